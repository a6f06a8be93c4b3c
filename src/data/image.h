#pragma once
/// \file
/// 8-bit RGB images: read from PNG, JPEG, TIFF, BMP or NumPy files, resized; written as PNG
/// (data/png.h).

#include <filesystem>

#include "data/png.h"
#include "data/rgb_image.h"

namespace strata::data {

/// Reads PNG (1 to 16 bits, grey, palette, RGB, with alpha or a transparent colour, interlaced:
/// alpha is composed over black, grey becomes RGB, 16 bits are scaled to 8), JPEG (grey, YCbCr,
/// RGB, CMYK and YCCK, the last two inverted as Adobe writes them), TIFF or BMP
/// (data/bmp.h and data/tiff.h say which) by the file's first bytes, and turns it upright as its
/// EXIF or TIFF orientation says. "FILE.npz#ARRAY/INDEX" is an image in a NumPy file
/// (data/npz_image.h).
/// @throws InputError naming the file: missing, none of these formats, damaged.
Image read_image(const std::filesystem::path& path);

/// Whether `path` names a file, or an image in a NumPy file that exists. Reads nothing.
bool is_image(const std::filesystem::path& path);

/// Width and height of the upright image, from the header alone. @throws InputError
void read_image_size(const std::filesystem::path& path, int& width, int& height);

/// Pillow's filters, by Pillow's numbers.
enum class Filter {
  kNearest = 0,
  kLanczos = 1,
  kBilinear = 2,
  kBicubic = 3,
  kBox = 4,
  kHamming = 5
};

/// As PIL's resize: with antialiasing when shrinking (the filter is scaled to the source), which is
/// the identity when the size does not change; the same pixels to the bit.
Image resize(const Image& image, int width, int height, Filter filter = Filter::kBilinear);

}  // namespace strata::data
