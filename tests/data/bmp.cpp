#include "data/bmp.h"

#include "data/image.h"
#include "support/error_text.h"
#include "support/image_files.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::data;
using namespace strata::test;

TEST_CASE("BMP files of 32 bits with the upper row first, and those that cannot be read") {
  const TempDir folder;
  const Image image = read_image(folder.write(
      "a.bmp", bmp(40, 1, -2, 32, 0, std::string("\x03\x02\x01\x09\x06\x05\x04\x00", 8))));
  CHECK(image.width == 1);
  CHECK(image.height == 2);
  CHECK(image.pixels == std::vector<std::uint8_t>{1, 2, 3, 4, 5, 6});
  const auto error = [&](const std::string& bytes) {
    const auto path = folder.write("b.bmp", bytes);
    const std::string text = input_error([&] { read_image(path); });
    CHECK(text.rfind(path.string() + ": ", 0) == 0);
    return text;
  };
  CHECK(contains(error(bmp(12, 1, 1, 24, 0, "1234")), "BMP image with a header of 12 bytes"));
  CHECK(contains(error(bmp(40, 1, 1, 8, 1, "1234")), "BMP image of 8 bits with compression 1"));
  CHECK(contains(error(bmp(40, 1, 1, 16, 0, "1234")), "BMP image of 16 bits with compression 0"));
  CHECK(contains(error(bmp(40, 0, 1, 24, 0, "1234")), "damaged BMP image: it says it has 0 x 1"));
  CHECK(contains(error(bmp(40, 1, 1 << 30, 24, 0, "1234")),
                 "BMP image of 1 x 1073741824 pixels; at most "));
  CHECK(
      contains(error(bmp(40, 1, 2, 24, 0, "1234")), "damaged BMP image: the file ends too early"));
  CHECK(contains(error(bmp(40, 1, 1, 8, 0, "1234")), "a pixel's colour is not in its palette"));
}
