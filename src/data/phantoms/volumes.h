#pragma once
/// \file
/// Synthetic volumes with masks in the layouts of published sets, so that their readers read them:
/// made up throughout, nothing here is, or is derived from, a patient's image.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "data/manifest.h"

namespace strata::data {

/// "kits", "ixi", "prostate": Fed-KiTS19's, IXI Tiny's and SAML's.
const std::vector<std::string>& volume_layouts();

struct VolumePhantomOptions {
  std::string layout = "kits";  ///< one of volume_layouts()
  std::uint64_t seed = 1;
  int volumes = 40;  ///< of all sites together, and as many of solids to pretrain on
  int size = 64;     ///< pixels a side of a slice
  int threads = 0;   ///< 0: all; the files do not depend on it
};

/// Writes OUT/… as the layout has it, OUT/dataset.json, which says how it was made, and OUT/solids,
/// a data set in Strata's own layout: ellipsoids (class 1) and boxes (class 2) by the same
/// scanners. Each site is a scanner of its own (phantoms/scanners.h), and sites are as unequal as
/// the published ones; a fifth of each, one at least, is its test, by the numbers of the published
/// split. The same options give the same bytes on every machine and for any number of threads.
/// Returns what the layout's reader makes of it. @throws WorkError, InputError when OUT holds
/// something else, or options are out of range: 12 to 60 volumes, 32 to 256 pixels.
Manifest make_volumes(const std::filesystem::path& out, const VolumePhantomOptions& options);

}  // namespace strata::data
