#pragma once
/// \file
/// Training and test of sets that are published without them. Internal.

#include <string>
#include <vector>

#include "data/manifest.h"

namespace strata::data {

/// Gives every example its split. Examples with the same of `groups` (one an example: a patient, a
/// lesion or an image) stay together. One group in five is for testing: of each class, rounded, and
/// as nearly as that allows of each client within the class; a client keeps at least one group for
/// training. A group is of the first class and client by name that its examples have. The groups
/// are drawn with a seed that never changes, so that every command has the same test, and by their
/// names, so that the order of the examples does not matter. The examples have one label each.
void split_stratified(Manifest& manifest, const std::vector<std::string>& groups);

}  // namespace strata::data
