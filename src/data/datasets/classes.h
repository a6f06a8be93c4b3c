#pragma once
/// \file
/// What the readers of labelled images share: the keys `label` and `labels`, and the classes of a
/// whole set. Internal.

#include <optional>
#include <string>
#include <vector>

#include "core/document.h"
#include "data/manifest.h"

namespace strata::data {

/// Reads `label`, one text, or `labels`, a list of texts that is empty where nothing is to be found
/// in the image. All lines of a set have the same one of the two.
class LabelFields {
 public:
  /// @throws InputError: neither, both, not the one that the set had before, a label that is "" or
  /// stands twice.
  std::vector<std::string> read(ObjectReader& reader);
  bool multi_label() const { return multi_label_.value_or(false); }

 private:
  std::optional<bool> multi_label_;
};

/// Makes all labels of the manifest its classes, sorted by their bytes, where it names none, and
/// brings every example's labels into the order of the classes. @throws InputError beginning with
/// the folder: no label at all.
void settle_classes(Manifest& manifest);

/// Adds a part's classes behind those of the parts before it, none twice. @throws InputError
/// beginning with the folder: one part is single-label and another multi-label.
void join_classes(Manifest& manifest, const std::string& part,
                  const std::vector<std::string>& classes, bool multi_label);

}  // namespace strata::data
