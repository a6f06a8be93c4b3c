#include "data/tiff.h"

#include "data/image.h"
#include "support/error_text.h"
#include "support/image_files.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::data;
using namespace strata::test;

TEST_CASE("TIFF files of either byte order, in tiles, white at zero, turned") {
  const TempDir folder;
  // 3 x 2 pixels in one tile of 16 x 16, the rest of which is not of the image.
  const Tags grey = {{256, 3}, {257, 2}, {258, 8}, {259, 1}, {262, 1}};
  for (const bool big : {false, true}) {
    Tags tags = grey;
    for (const auto& [tag, value] : Tags{{322, 16}, {323, 16}, {324, 256}, {325, 256}})
      tags.emplace_back(tag, value);
    std::string data = "\x01\x02\x03" + std::string(13, '_') + "\x04\x05\x06";
    data.resize(256, '_');
    const Image tiled = read_image(folder.write("a.tif", tiff(big, tags, data)));
    CHECK(tiled.width == 3);
    CHECK(tiled.pixels ==
          std::vector<std::uint8_t>{1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5, 5, 6, 6, 6});
    tags[4].second = 0;
    CHECK(read_image(folder.write("a.tif", tiff(big, tags, data))).pixels[0] == 254);
    tags.insert(tags.begin() + 5, {274, 6});
    int width = 0, height = 0;
    read_image_size(folder.write("a.tif", tiff(big, tags, data)), width, height);
    CHECK(width == 2);
    CHECK(height == 3);
    CHECK(read_image(folder / "a.tif").pixels[0] == 251);
  }

  // Two strips of one row, the samples of 16 bits.
  Tags deep = {{256, 1}, {257, 1}, {258, 16}, {262, 1}, {273, 256}, {278, 1}, {279, 2}};
  for (const bool big : {false, true})
    CHECK(read_image(folder.write("b.tif", tiff(big, deep, big ? "\x80\x01" : "\x01\x80")))
              .pixels[0] == 128);

  // Two samples a pixel, grey and alpha that is not multiplied in: over black, as in a PNG.
  const Tags alpha = {{256, 2}, {257, 1}, {258, 8}, {262, 1}, {273, 256},
                      {277, 2}, {278, 1}, {279, 4}, {338, 2}};
  const Image over =
      read_image(folder.write("d.tif", tiff(false, alpha, std::string("\xc8\0\xc8\x80", 4))));
  CHECK(over.pixels == std::vector<std::uint8_t>{0, 0, 0, 100, 100, 100});

  const auto error = [&](int tag, std::uint32_t value) {
    Tags tags = {{256, 1}, {257, 1}, {258, 8}, {262, 1}, {273, 256}, {278, 1}, {279, 1}};
    for (auto& known : tags)
      if (known.first == tag) known.second = value;
    if (tag == 259 || tag == 284 || tag == 317 || tag == 339) tags.emplace_back(tag, value);
    if (tag == 277 || tag == 284) tags.emplace_back(277, tag == 277 ? value : 3);
    const auto path = folder.write("c.tif", tiff(false, tags, "x"));
    const std::string text = input_error([&] { read_image(path); });
    CHECK(text.rfind(path.string() + ": ", 0) == 0);
    return text;
  };
  CHECK(contains(error(258, 12), "TIFF image that cannot be read: "));
  CHECK(contains(error(258, 12), "12-bit"));
  CHECK(contains(error(257, 20000),
                 ": TIFF image of 1 x 20000 pixels; at most 16384 a side and 67108864 in all"));
  for (const auto& [tag, value] : Tags{{256, 0}, {273, 300}})
    CHECK(contains(error(tag, value), "damaged TIFF image: "));
  for (const auto& [tag, value] : Tags{{259, 7}, {259, 60000}, {262, 60000}, {277, 99}, {339, 3}}) {
    CAPTURE(tag, value);
    CHECK(contains(error(tag, value), "TIFF image"));
  }
}
