#pragma once
/// \file
/// Images in arrays of NumPy's .npz files, as MedMNIST has them. Internal: read_image chooses them
/// by their names.

#include <cstdint>
#include <filesystem>
#include <string>

#include "data/rgb_image.h"

namespace strata::data {

/// "FILE.npz#ARRAY/INDEX", the name of an image in an array (count, height, width[, 3]).
struct NpzImageName {
  std::filesystem::path file;
  std::string array;
  std::int64_t index = 0;
};

/// Whether `path` is such a name, and which.
bool parse_npz_image(const std::filesystem::path& path, NpzImageName& name);

/// The image; grey becomes RGB. Arrays stay unpacked for the next image, for as long as the program
/// runs. Safe to call from several threads. @throws InputError, WorkError as NpzFile; an array that
/// holds no images; an index beyond its end.
Image read_npz_image(const NpzImageName& name);

/// Height and width of the array's images; the same errors.
void npz_image_size(const NpzImageName& name, int& width, int& height);

}  // namespace strata::data
