#include "data/image.h"

#include <nlohmann/json.hpp>

#include "data/error_text.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::test;

namespace {

const nlohmann::json& reference() {
  static const auto json = nlohmann::json::parse(
      slurp(std::filesystem::path(STRATA_SOURCE_DIR) / "tests" / "reference" / "images.json"));
  return json;
}

std::string from_hex(const std::string& hex) {
  std::string out;
  for (std::size_t i = 0; i < hex.size(); i += 2)
    out += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  return out;
}

int largest_difference(const std::vector<std::uint8_t>& a, const std::vector<std::uint8_t>& b) {
  REQUIRE(a.size() == b.size());
  int largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::abs(a[i] - b[i]));
  return largest;
}

Image gradient(int width, int height) {
  Image image{width, height, {}};
  for (int i = 0; i < width * height * 3; ++i)
    image.pixels.push_back(static_cast<std::uint8_t>(i * 7 % 256));
  return image;
}

}  // namespace

TEST_CASE("PNG and JPEG files read as Pillow reads them") {
  const TempDir folder;
  for (const auto& file : reference()["files"]) {
    const std::string name = file["name"];
    INFO(name);
    const auto path = folder.write(name, from_hex(file["bytes"]));
    const Image image = read_image(path);
    // JPEG decoders may differ by one in a rounding; PNG is exact.
    const int tolerance = path.extension() == ".jpg" ? 1 : 0;
    CHECK(largest_difference(image.pixels, file["pixels"]) <= tolerance);
    int width = 0, height = 0;
    read_image_size(path, width, height);
    CHECK(width == image.width);
    CHECK(height == image.height);
  }
}

TEST_CASE("a written PNG reads back the same, and the same image gives the same bytes") {
  const TempDir folder;
  // 200 x 150 needs several stored blocks.
  for (const Image& image : {gradient(1, 1), gradient(7, 5), gradient(200, 150)}) {
    write_png(image, folder / "a.png");
    write_png(image, folder / "b.png");
    const Image back = read_image(folder / "a.png");
    CHECK(back.width == image.width);
    CHECK(back.height == image.height);
    CHECK(back.pixels == image.pixels);
    CHECK(slurp(folder / "a.png") == slurp(folder / "b.png"));
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
                 "neither a PNG nor a JPEG"));
  CHECK(contains(input_error([&] { read_image(folder.write("empty.png", "")); }),
                 "neither a PNG nor a JPEG"));
  CHECK(contains(input_error([&] { read_image(folder / "absent.png"); }), "absent.png"));
}

TEST_CASE("resizing is Pillow's BILINEAR, and the identity at the same size") {
  const auto& source = reference()["source"];
  const Image image{source["width"], source["height"], source["pixels"]};
  for (const auto& expected : reference()["resized"]) {
    INFO(expected["width"] << " x " << expected["height"]);
    const Image small = resize(image, expected["width"], expected["height"]);
    CHECK(small.pixels == expected["pixels"].get<std::vector<std::uint8_t>>());
  }
  CHECK(resize(image, image.width, image.height).pixels == image.pixels);
}
