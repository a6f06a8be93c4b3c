#include "data/jpeg.h"

#include "data/image.h"
#include "support/error_text.h"
#include "support/gradient.h"
#include "support/jpeg_files.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::data;
using namespace strata::test;

namespace {

/// A progressive JPEG of 64 x 64 pixels, ten scans, whose last stands `repeats` times more.
std::string progressive_jpeg(int repeats) {
  jpeg_compress_struct jpeg;
  jpeg_error_mgr errors;
  jpeg.err = jpeg_std_error(&errors);
  jpeg_create_compress(&jpeg);
  unsigned char* memory = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&jpeg, &memory, &size);
  jpeg.image_width = jpeg.image_height = 64;
  jpeg.input_components = 3;
  jpeg.in_color_space = JCS_RGB;
  jpeg_set_defaults(&jpeg);
  jpeg_simple_progression(&jpeg);
  jpeg_start_compress(&jpeg, TRUE);
  const Image image = gradient(64, 64);
  while (jpeg.next_scanline < jpeg.image_height) {
    JSAMPROW row = const_cast<JSAMPROW>(image.pixels.data()) + 64 * 3 * jpeg.next_scanline;
    jpeg_write_scanlines(&jpeg, &row, 1);
  }
  jpeg_finish_compress(&jpeg);
  jpeg_destroy_compress(&jpeg);
  std::string bytes(reinterpret_cast<const char*>(memory), size);
  std::free(memory);
  const auto last = bytes.rfind("\xff\xda");
  const std::string scan = bytes.substr(last, bytes.size() - 2 - last);
  for (int i = 0; i < repeats; ++i) bytes.insert(last, scan);
  return bytes;
}

}  // namespace

TEST_CASE("CMYK and YCCK pictures are as Adobe writes them, inverted") {
  const TempDir folder;
  // No ink at all is white; full cyan lets green and blue through; half black halves the light.
  const std::vector<std::pair<std::vector<std::uint8_t>, std::vector<int>>> colours = {
      {{255, 255, 255, 255}, {255, 255, 255}}, {{0, 255, 255, 255}, {0, 255, 255}},
      {{255, 255, 255, 0}, {0, 0, 0}},         {{255, 255, 255, 128}, {128, 128, 128}},
      {{255, 100, 50, 128}, {128, 50, 25}},    {{90, 160, 220, 255}, {90, 160, 220}}};
  for (const bool ycck : {false, true})
    for (const auto& [stored, expected] : colours) {
      const Image image = read_image(folder.write("a.jpg", jpeg_of(stored, ycck)));
      INFO("YCCK " << ycck << ", expected " << expected[0] << " " << expected[1] << " "
                   << expected[2]);
      for (int c = 0; c < 3; ++c) CHECK(std::abs(image.pixels[c] - expected[c]) <= 2);
    }
  CHECK(read_image(folder.write("rgb.jpg", jpeg_of({200, 100, 50}, false))).width == 8);
}

TEST_CASE("progressive JPEG files have a few dozen scans, not hundreds") {
  const TempDir folder;
  CHECK(read_image(folder.write("a.jpg", progressive_jpeg(0))).width == 64);
  CHECK(read_image(folder.write("a.jpg", progressive_jpeg(40))).width == 64);
  for (const int repeats : {41, 500}) {
    const auto path = folder.write("bomb.jpg", progressive_jpeg(repeats));
    CHECK(input_error([&] { read_image(path); }) ==
          path.string() + ": damaged JPEG image: it has more than 50 scans");
  }
}
