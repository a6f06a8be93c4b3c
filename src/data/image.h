#pragma once
/// \file
/// 8-bit RGB images in memory, read from PNG or JPEG, written as PNG.

#include <cstdint>
#include <filesystem>
#include <vector>

namespace strata {

/// Interleaved RGB, row by row: pixels[(y * width + x) * 3 + channel].
struct Image {
  int width = 0, height = 0;
  std::vector<std::uint8_t> pixels;
};

/// Reads PNG (any bit depth and colour type; alpha is composed over black, grey becomes RGB) or
/// JPEG by the file's first bytes. @throws InputError naming the file: missing, neither format,
/// damaged.
Image read_image(const std::filesystem::path& path);

/// Width and height from the header alone. @throws InputError
void read_image_size(const std::filesystem::path& path, int& width, int& height);

/// 8-bit RGB PNG; the same image gives the same bytes. Whole or absent, but
/// not flushed to the disk, as sets have thousands of images. @throws WorkError
void write_png(const Image& image, const std::filesystem::path& path);

/// Bilinear with antialiasing when shrinking (a triangle filter scaled to the source, as PIL's
/// BILINEAR), which is the identity when the size does not change.
Image resize(const Image& image, int width, int height);

}  // namespace strata
