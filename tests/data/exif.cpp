#include "data/exif.h"

#include <zlib.h>

#include <functional>

#include "data/image.h"
#include "support/error_text.h"
#include "support/image_files.h"
#include "support/recorded_images.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::data;
using namespace strata::test;

TEST_CASE("pictures are turned upright as their EXIF orientation says") {
  const TempDir folder;
  std::string jpeg;
  for (const auto& file : reference()["files"])
    if (file["name"] == "rgb.jpg") jpeg = from_hex(file["bytes"]);
  const Image stored = read_image(folder.write("stored.jpg", jpeg));
  const int w = stored.width, h = stored.height;
  // Where the pixel (x, y) of the upright picture lies in the file, by EXIF 2.3: the file's first
  // row and first column are the picture's …
  using Place = std::pair<int, int>;
  const std::function<Place(int, int)> places[] = {
      [&](int x, int y) { return Place(x, y); },                  // 1: top, left
      [&](int x, int y) { return Place(w - 1 - x, y); },          // 2: top, right
      [&](int x, int y) { return Place(w - 1 - x, h - 1 - y); },  // 3: bottom, right
      [&](int x, int y) { return Place(x, h - 1 - y); },          // 4: bottom, left
      [&](int x, int y) { return Place(y, x); },                  // 5: left, top
      [&](int x, int y) { return Place(y, h - 1 - x); },          // 6: right, top
      [&](int x, int y) { return Place(w - 1 - y, h - 1 - x); },  // 7: right, bottom
      [&](int x, int y) { return Place(w - 1 - y, x); }};         // 8: left, bottom
  for (int orientation = 1; orientation <= 8; ++orientation)
    for (const bool big : {false, true}) {
      INFO("orientation " << orientation << ", big endian " << big);
      const auto path = folder.write(
          "turned.jpg", jpeg.substr(0, 2) + exif_segment(orientation, big) + jpeg.substr(2));
      const Image image = read_image(path);
      REQUIRE(image.width == (orientation < 5 ? w : h));
      REQUIRE(image.height == (orientation < 5 ? h : w));
      int width = 0, height = 0;
      read_image_size(path, width, height);
      CHECK(width == image.width);
      CHECK(height == image.height);
      int wrong = 0;
      for (int y = 0; y < image.height; ++y)
        for (int x = 0; x < image.width; ++x) {
          const auto [from_x, from_y] = places[orientation - 1](x, y);
          for (int c = 0; c < 3; ++c)
            wrong += image.pixels[(y * image.width + x) * 3 + c] !=
                     stored.pixels[(from_y * w + from_x) * 3 + c];
        }
      CHECK(wrong == 0);
    }
  // What makes no sense is upright.
  for (const int orientation : {0, 9}) {
    const auto path = folder.write(
        "odd.jpg", jpeg.substr(0, 2) + exif_segment(orientation, true) + jpeg.substr(2));
    CHECK(read_image(path).pixels == stored.pixels);
  }
  // Nor is a picture refused for a damaged note: every cut of it, its length made to fit.
  const std::string note = exif_segment(6, false);
  for (std::size_t size = 4; size < note.size(); ++size) {
    std::string cut = note.substr(0, size);
    cut[2] = static_cast<char>((size - 2) >> 8);
    cut[3] = static_cast<char>((size - 2) & 0xff);
    const Image image =
        read_image(folder.write("cut.jpg", jpeg.substr(0, 2) + cut + jpeg.substr(2)));
    CHECK(image.pixels.size() == stored.pixels.size());
  }
}

TEST_CASE("a PNG's EXIF chunk turns it, too") {
  const TempDir folder;
  Image image{2, 1, {10, 20, 30, 40, 50, 60}};
  write_png(image, folder / "a.png");
  const std::string png = slurp(folder / "a.png");
  const std::string tiff = exif_segment(6, true).substr(10);
  std::string chunk = "eXIf" + tiff;
  const auto crc =
      crc32(0, reinterpret_cast<const Bytef*>(chunk.data()), static_cast<uInt>(chunk.size()));
  for (int shift = 24; shift >= 0; shift -= 8) chunk += static_cast<char>(crc >> shift & 0xff);
  constexpr std::size_t kAfterHeader = 8 + 25;
  const auto path =
      folder.write("b.png", png.substr(0, kAfterHeader) + std::string("\0\0\0", 3) +
                                static_cast<char>(tiff.size()) + chunk + png.substr(kAfterHeader));
  const Image turned = read_image(path);
  CHECK(turned.width == 1);
  CHECK(turned.height == 2);
  CHECK(turned.pixels == image.pixels);
}
