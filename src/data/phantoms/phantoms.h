#pragma once
/// \file
/// Synthetic images in the manner of nine medical modalities, with questions: the built-in data
/// set. Synthetic throughout: nothing here is, or is derived from, a patient's image.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "data/manifest.h"

namespace strata::data {

/// xray, ct, mri, ultrasound, oct, fundus, dermoscopy, histology, endoscopy.
const std::vector<std::string>& phantom_modalities();

struct PhantomOptions {
  std::uint64_t seed = 1;
  int images_per_modality = 160;  ///< 80 % train, 20 % test, by image
  int shapes_images = 1200;       ///< the non-medical set to pretrain on
  int size = 64;                  ///< pixels, square
  int threads = 0;                ///< 0: all; the files do not depend on it
};

/// Writes OUT/manifest.jsonl, OUT/images/<modality>/NNNN.png and OUT/shapes/… (a data set of its
/// own). The same options give the same bytes on every machine and for any number of threads.
/// Returns the medical-manner set's manifest. @throws WorkError, InputError when OUT holds
/// something else.
Manifest make_phantoms(const std::filesystem::path& out, const PhantomOptions& options);

}  // namespace strata::data
