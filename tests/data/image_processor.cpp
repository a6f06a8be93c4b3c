#include "data/image_processor.h"

#include <algorithm>
#include <array>

#include <nlohmann/json.hpp>

#include "support/error_text.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::data;
using namespace strata::test;

namespace {

ImageProcessor vilt(int shortest, int divisor) {
  ImageProcessor processor;
  processor.resize = ImageProcessor::Resize::kViltShortest;
  processor.shortest_edge = shortest;
  processor.size_divisor = divisor;
  return processor;
}

}  // namespace

TEST_CASE("an image in tiles is a grid of them with the whole below") {
  ImageProcessor tiles;
  tiles.resize = ImageProcessor::Resize::kTiles;
  tiles.size = {4, 4};
  tiles.longest_edge = 12;
  const auto grid = [&](ImageSize image) {
    const TileGrid found = tiles.tiles(tiles.output_size(image));
    return std::array<int, 3>{found.rows, found.columns, found.images()};
  };
  // 30 x 20: to 12 x 8, 30 x 21 to 12 x 8, 20 x 90 to 2 x 12.
  CHECK(tiles.output_size({30, 20}) == ImageSize{12, 8 + 4});
  CHECK(grid({30, 20}) == std::array<int, 3>{2, 3, 7});
  CHECK(grid({20, 90}) == std::array<int, 3>{3, 1, 4});
  CHECK(grid({90, 20}) == std::array<int, 3>{1, 3, 4});
  CHECK(grid({5, 5}) == std::array<int, 3>{3, 3, 10});
  // Without a longer edge each side goes up to the next multiple, the shorter one by the aspect:
  // 9 x 4 to 12 x 5.33, and so to two rows.
  tiles.longest_edge = 0;
  CHECK(grid({9, 4}) == std::array<int, 3>{2, 3, 7});
  CHECK(grid({4, 9}) == std::array<int, 3>{3, 2, 7});
  CHECK(grid({4, 4}) == std::array<int, 3>{0, 0, 1});
  CHECK(grid({3, 4}) == std::array<int, 3>{0, 0, 1});
  CHECK(tiles.output_size({3, 4}) == ImageSize{4, 4});
  // What is there of an image that is whole tiles already: itself, the whole made smaller, black.
  Image image{8, 4, {}};
  for (int i = 0; i < 8 * 4 * 3; ++i) image.pixels.push_back(static_cast<std::uint8_t>(2 * i + 1));
  const Image made = tiles.apply(image);
  CHECK(ImageSize{made.width, made.height} == ImageSize{8, 8});
  CHECK(std::equal(image.pixels.begin(), image.pixels.end(), made.pixels.begin()));
  const Image whole = resize(image, 4, 4, tiles.filter);
  for (std::size_t y = 0; y < 4; ++y) {
    const auto row = made.pixels.begin() + static_cast<std::ptrdiff_t>((4 + y) * 8 * 3);
    CHECK(std::equal(row, row + 12, whole.pixels.begin() + static_cast<std::ptrdiff_t>(y * 12)));
    CHECK(std::all_of(row + 12, row + 24, [](std::uint8_t value) { return value == 0; }));
  }
  CHECK(tiles.key() != [&] {
    ImageProcessor exact = tiles;
    exact.resize = ImageProcessor::Resize::kExact;
    return exact.key();
  }());
}

TEST_CASE("ViLT's sizes are those of ViltImageProcessor") {
  // tests/reference/vilt_sizes.py, and by the formula for the published model's 384 and 32.
  const auto record = nlohmann::json::parse(
      slurp(std::filesystem::path(STRATA_SOURCE_DIR) / "tests/reference/vilt_sizes/recorded.json"));
  const std::vector<ImageSize> images = {{150, 100}, {100, 150}, {128, 128}, {90, 60}, {30, 170},
                                         {171, 40},  {32, 32},   {61, 64},   {7, 9}};
  REQUIRE(record["grids"].size() == images.size());
  for (std::size_t i = 0; i < images.size(); ++i) {
    const ImageSize out = vilt(32, 8).output_size(images[i]);
    INFO(size_text(images[i]));
    CHECK(out ==
          ImageSize{record["grids"][i][1].get<int>() * 8, record["grids"][i][0].get<int>() * 8});
  }
  CHECK(vilt(384, 32).output_size({640, 480}) == ImageSize{512, 384});
  CHECK(vilt(384, 32).output_size({480, 640}) == ImageSize{384, 512});
  CHECK(vilt(384, 32).output_size({100, 100}) == ImageSize{384, 384});
  // The longer side is at most int(1333 / 800 * 384) = 639, so 608 in multiples of 32.
  CHECK(vilt(384, 32).output_size({4000, 1000}) == ImageSize{608, 160});
  CHECK_FALSE(vilt(384, 32).constant_size());
}

TEST_CASE("images are padded to squares around their middle, and no larger than images are") {
  ImageProcessor processor;
  processor.pad_square = true;
  processor.resize = ImageProcessor::Resize::kNone;
  processor.mean = {0.1, 0.5, 1};
  const Image wide{2, 5, std::vector<std::uint8_t>(30, 7)};
  CHECK(processor.output_size({2, 5}) == ImageSize{5, 5});
  const Image square = processor.apply(wide);
  const std::vector<int> columns = {25, 7, 7, 25, 25};  // of the three that are left one is before
  for (int y = 0; y < 5; ++y) {
    for (int x = 0; x < 5; ++x) {
      const std::size_t at = static_cast<std::size_t>(y * 5 + x) * 3;
      CHECK(square.pixels[at] == columns[static_cast<std::size_t>(x)]);
      CHECK(square.pixels[at + 1] == (columns[static_cast<std::size_t>(x)] == 7 ? 7 : 127));
      CHECK(square.pixels[at + 2] == (columns[static_cast<std::size_t>(x)] == 7 ? 7 : 255));
    }
  }
  const Image high = processor.apply({5, 2, std::vector<std::uint8_t>(30, 7)});
  CHECK(high.pixels[4 * 3] == 25);
  CHECK(high.pixels[5 * 3] == 7);
  CHECK(high.pixels[(3 * 5 - 1) * 3] == 7);
  CHECK(high.pixels[3 * 5 * 3] == 25);
  CHECK(input_error([&] {
          processor.output_size({16000, 3});
        }) == "an image of 16000 x 3 pixels becomes too large a square");
  ImageProcessor other = processor;
  other.mean[0] = 0.2;
  CHECK(other.key() != processor.key());
  other.pad_square = false;
  CHECK(other.key() != processor.key());
  processor.pad_square = false;
  processor.longest_edge = 9;
  CHECK(other.key() != processor.key());
}

TEST_CASE("other sizes, and the part that is cut out") {
  ImageProcessor processor = ImageProcessor::square(4);
  CHECK(processor.constant_size() == ImageSize{4, 4});
  CHECK(processor.output_size({90, 3}) == ImageSize{4, 4});
  processor.resize = ImageProcessor::Resize::kShortestEdge;
  processor.shortest_edge = 6;
  CHECK(processor.output_size({10, 7}) == ImageSize{8, 6});
  CHECK(processor.output_size({7, 10}) == ImageSize{6, 8});
  CHECK_FALSE(processor.constant_size());
  processor.crop = ImageSize{5, 4};
  CHECK(processor.constant_size() == ImageSize{5, 4});
  Image image{8, 6, {}};
  for (int p = 0; p < 8 * 6; ++p)
    for (int channel = 0; channel < 3; ++channel)
      image.pixels.push_back(static_cast<std::uint8_t>(p * 3 + channel));
  const Image cut = processor.apply(image);
  CHECK(cut.width == 5);
  CHECK(cut.height == 4);
  REQUIRE(cut.pixels.size() == 60);
  // transformers' centre crop leaves out (6 - 4) / 2 rows above and (8 - 5) / 2 columns left.
  CHECK(cut.pixels[0] == (1 * 8 + 1) * 3);
  CHECK(cut.pixels[59] == (4 * 8 + 5) * 3 + 2);
  processor.resize = ImageProcessor::Resize::kNone;
  processor.crop.reset();
  CHECK(processor.apply(image).pixels == image.pixels);
  CHECK(processor.output_size({8, 6}) == ImageSize{8, 6});
}

TEST_CASE("an image that a model cannot read is an error that says what it becomes") {
  const auto refusal = [](const ImageProcessor& processor, ImageSize image) {
    return input_error([&] { processor.output_size(image); });
  };
  CHECK(contains(
      refusal(vilt(384, 32), {1000, 40}),
      "an image of 1000 x 40 pixels becomes one of 608 x 0 pixels, as its sides are rounded "
      "down to multiples of 32 (size_divisor)"));
  ImageProcessor processor = vilt(32, 8);
  processor.resize = ImageProcessor::Resize::kNone;
  processor.multiple_of = 8;
  CHECK(contains(refusal(processor, {32, 36}), "not multiples of the patch size 8"));
  processor.only_size = ImageSize{32, 32};
  CHECK(contains(refusal(processor, {32, 40}), "but the model reads images of 32 x 32 only"));
  processor.crop = ImageSize{33, 32};
  CHECK(contains(refusal(processor, {32, 40}), "smaller than the 33 x 32 that are to be cut out"));
  processor = ImageProcessor::square(8);
  processor.resize = ImageProcessor::Resize::kShortestEdge;
  processor.shortest_edge = 8000;
  CHECK(contains(refusal(processor, {10, 100}), "too long"));
}

TEST_CASE("the key tells processings with other pixels apart, and no others") {
  ImageProcessor a = vilt(32, 8), b = a;
  b.mean = {1, 2, 3};
  b.normalize = false;
  CHECK(a.key() == b.key());
  std::vector<std::string> keys = {a.key(), vilt(32, 16).key(), vilt(40, 8).key(),
                                   ImageProcessor::square(32).key(),
                                   ImageProcessor::square(40).key()};
  b.filter = Filter::kBicubic;
  keys.push_back(b.key());
  b.crop = ImageSize{8, 8};
  keys.push_back(b.key());
  b.resize = ImageProcessor::Resize::kShortestEdge;
  keys.push_back(b.key());
  b.resize = ImageProcessor::Resize::kNone;
  keys.push_back(b.key());
  std::sort(keys.begin(), keys.end());
  CHECK(std::unique(keys.begin(), keys.end()) == keys.end());
}
