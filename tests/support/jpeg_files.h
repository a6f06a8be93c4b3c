#pragma once
// JPEG files as libjpeg writes them.

// jpeglib.h needs FILE and size_t declared before it.
#include <cstddef>
#include <cstdio>

#include <jpeglib.h>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

namespace strata::test {

/// A JPEG of one colour, given in the file's own components (3: RGB, 4: Adobe's inverted CMYK).
inline std::string jpeg_of(const std::vector<std::uint8_t>& colour, bool ycck) {
  jpeg_compress_struct jpeg;
  jpeg_error_mgr errors;
  jpeg.err = jpeg_std_error(&errors);
  jpeg_create_compress(&jpeg);
  unsigned char* buffer = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&jpeg, &buffer, &size);
  jpeg.image_width = 8;
  jpeg.image_height = 8;
  jpeg.input_components = static_cast<int>(colour.size());
  jpeg.in_color_space = colour.size() == 4 ? JCS_CMYK : JCS_RGB;
  jpeg_set_defaults(&jpeg);
  if (colour.size() == 4) jpeg_set_colorspace(&jpeg, ycck ? JCS_YCCK : JCS_CMYK);
  jpeg_set_quality(&jpeg, 100, TRUE);
  jpeg_start_compress(&jpeg, TRUE);
  std::vector<std::uint8_t> line;
  for (int x = 0; x < 8; ++x) line.insert(line.end(), colour.begin(), colour.end());
  for (int y = 0; y < 8; ++y) {
    JSAMPROW row = line.data();
    jpeg_write_scanlines(&jpeg, &row, 1);
  }
  jpeg_finish_compress(&jpeg);
  jpeg_destroy_compress(&jpeg);
  const std::string out(reinterpret_cast<char*>(buffer), size);
  free(buffer);
  return out;
}

}  // namespace strata::test
