#pragma once
/// \file
/// What the makers of synthetic data sets share. Internal.

#include <filesystem>
#include <string>

namespace strata::data {

/// @throws InputError: `what` ("phantoms: the image size") is not within `low` and `high`.
void check_made(const std::string& what, int value, int low, int high);

/// The folder is the maker's to write if it is new, empty, or holds this very set: `description` is
/// what its dataset.json must hold. @throws InputError
void check_made_folder(const std::filesystem::path& out, const std::string& set,
                       const std::string& description);

}  // namespace strata::data
