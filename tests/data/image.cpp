#include "data/image.h"

#include <zlib.h>

#include <cstdlib>

#include "support/error_text.h"
#include "support/gradient.h"
#include "support/image_files.h"
#include "support/jpeg_files.h"
#include "support/recorded_images.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::data;
using namespace strata::test;

namespace {

int largest_difference(const std::vector<std::uint8_t>& a, const std::vector<std::uint8_t>& b) {
  REQUIRE(a.size() == b.size());
  int largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::abs(a[i] - b[i]));
  return largest;
}

}  // namespace

TEST_CASE("PNG, JPEG, TIFF and BMP files read as Pillow reads them") {
  const TempDir folder;
  for (const auto& file : reference()["files"]) {
    const std::string name = file["name"];
    INFO(name);
    const auto path = folder.write(name, from_hex(file["bytes"]));
    const Image image = read_image(path);
    // JPEG decoders may differ by one in a rounding, and libtiff cuts 16 bits to 8; the others are
    // exact.
    const bool rounded =
        path.extension() == ".jpg" || (path.extension() == ".tif" && name.find("sixteen") == 0);
    const int tolerance = rounded ? 1 : 0;
    CHECK(largest_difference(image.pixels, file["pixels"]) <= tolerance);
    int width = 0, height = 0;
    read_image_size(path, width, height);
    CHECK(width == image.width);
    CHECK(height == image.height);
  }
}

TEST_CASE("damaged images are errors that name the file") {
  const TempDir folder;
  for (const auto& file : reference()["files"]) {
    const std::string name = file["name"], bytes = from_hex(file["bytes"]);
    for (const double share : {0.2, 0.5, 0.9}) {
      INFO(name << " cut to " << share);
      const auto path =
          folder.write(name, bytes.substr(0, static_cast<std::size_t>(share * bytes.size())));
      const std::string text = input_error([&] { read_image(path); });
      CHECK(contains(text, path.string()));
      CHECK(contains(text, "damaged"));
    }
  }
  std::string flipped = from_hex(reference()["files"][0]["bytes"]);
  flipped[flipped.size() - 20] = static_cast<char>(flipped[flipped.size() - 20] ^ 0x55);
  CHECK(contains(input_error([&] { read_image(folder.write("flipped.png", flipped)); }),
                 "damaged PNG"));

  // A header that asks for 2^31 - 1 pixels a side must not be believed.
  std::string huge = from_hex(reference()["files"][0]["bytes"]);
  huge.replace(16, 8, std::string("\x7f\xff\xff\xff\x7f\xff\xff\xff", 8));
  CHECK(contains(input_error([&] { read_image(folder.write("huge.png", huge)); }), "damaged PNG"));

  CHECK(contains(input_error([&] { read_image(folder.write("text.png", "hello")); }),
                 "neither a PNG, a JPEG, a TIFF nor a BMP image"));
  CHECK(contains(input_error([&] { read_image(folder.write("empty.png", "")); }),
                 "neither a PNG, a JPEG, a TIFF nor a BMP image"));
  CHECK(contains(input_error([&] { read_image(folder / "absent.png"); }), "absent.png"));
}

TEST_CASE("resizing is Pillow's with every filter, and the identity at the same size") {
  const auto& source = reference()["source"];
  const Image image{source["width"], source["height"], source["pixels"]};
  for (const auto& expected : reference()["resized"]) {
    INFO(expected["width"] << " x " << expected["height"] << ", filter " << expected["filter"]);
    const auto filter = static_cast<Filter>(expected["filter"].get<int>());
    const Image small = resize(image, expected["width"], expected["height"], filter);
    CHECK(small.pixels == expected["pixels"].get<std::vector<std::uint8_t>>());
    CHECK(resize(image, image.width, image.height, filter).pixels == image.pixels);
  }
}

TEST_CASE("images of too many pixels are refused by their headers, in every format") {
  const TempDir folder;
  const auto refused = [&](const std::string& name, const std::string& format,
                           const std::string& bytes) {
    CAPTURE(name);
    const auto path = folder.write(name, bytes);
    const std::string expected = path.string() + ": " + format +
                                 " image of 16384 x 4097 pixels; at most 16384 a side and "
                                 "67108864 in all can be read";
    CHECK(input_error([&] { read_image(path); }) == expected);
    int width = 0, height = 0;
    CHECK(input_error([&] { read_image_size(path, width, height); }) == expected);
  };
  std::string header("IHDR\0\0\x40\0\0\0\x10\x01\1\0\0\0\0", 17);
  const auto crc = crc32(0, reinterpret_cast<const Bytef*>(header.data()), 17);
  for (int shift = 24; shift >= 0; shift -= 8) header += static_cast<char>(crc >> shift & 0xff);
  refused("a.png", "PNG",
          std::string("\x89PNG\r\n\x1a\n\0\0\0\x0d", 12) + header +
              std::string("\0\0\0\0IDAT\x35\xaf\x06\x1e", 12));
  // 8 x 8 in the frame's header, which this puts in its place.
  std::string jpeg = jpeg_of({1, 2, 3}, false);
  const auto frame = jpeg.find("\xff\xc0");
  REQUIRE(frame != std::string::npos);
  jpeg.replace(frame + 5, 4, std::string("\x10\x01\x40\0", 4));
  refused("a.jpg", "JPEG", jpeg);
  refused(
      "a.tif", "TIFF",
      tiff(false, {{256, 16384}, {257, 4097}, {258, 8}, {262, 1}, {273, 256}, {278, 1}, {279, 1}},
           "x"));
  std::string bmp = "BM" + std::string(52, '\0');
  bmp[14] = 40;
  bmp.replace(18, 8, std::string("\0\x40\0\0\x01\x10\0\0", 8));
  bmp[28] = 24;
  refused("a.bmp", "BMP", bmp);
}
