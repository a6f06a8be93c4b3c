#pragma once
/// \file
/// What the readers of published volumes share: an image and its mask by their names. Internal.

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "data/manifest.h"

namespace strata::data {

/// The name of a NIfTI file without .nii.gz or .nii; "" of another file.
std::string volume_stem(const std::filesystem::path& file);

/// The stems of the NIfTI files in a folder, sorted; none where there is no such folder.
std::vector<std::string> volume_stems(const std::filesystem::path& folder);

/// STEM.nii.gz or STEM.nii from `folder`, whichever there is; "" where there is neither.
std::string find_volume(const std::filesystem::path& folder, const std::string& stem);

/// The example of an image and a mask, each a stem from `folder`, the mask's the first that is
/// there. Empty where neither is. @throws InputError: only one of them is.
std::optional<Example> find_pair(const std::filesystem::path& folder, const std::string& image,
                                 const std::vector<std::string>& masks);

/// "3 of the 96 volumes of the published split are not here (first: case_00021)", where there are
/// such and the set is none of Strata's own making, which is smaller. @throws InputError: none is
/// here.
void note_absent(Manifest& manifest, const std::vector<std::string>& absent, std::size_t all);

/// Whether the folder is one of `strata data make`, whose dataset.json says so: sets in a published
/// layout have none.
bool is_made_set(const std::filesystem::path& folder);

}  // namespace strata::data
