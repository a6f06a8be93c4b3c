#include "data/spline_resize.h"

#include <nlohmann/json.hpp>

#include "catch.h"
#include "temp_dir.h"

using namespace strata::data;

TEST_CASE("images and labels in another size as scipy.ndimage.zoom makes them") {
  const auto recorded = nlohmann::json::parse(strata::test::slurp(
      std::filesystem::path(STRATA_SOURCE_DIR) / "tests/reference/volumes.json"))["resized"];
  CHECK(recorded.size() == 7);
  for (const auto& entry : recorded) {
    const std::int64_t rows = entry["size"][0], columns = entry["size"][1];
    INFO(rows << " x " << columns << " to " << entry["to"]);
    ImagePlanes image(2, rows, columns);
    const auto values = entry["image"].get<std::vector<float>>();
    std::copy(values.begin(), values.end(), image.plane(1));
    const ImagePlanes cubic = resize_cubic(image, entry["to"][0], entry["to"][1]);
    const auto expected = entry["cubic"].get<std::vector<float>>();
    REQUIRE(cubic.values.size() == 2 * expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i) {
      CHECK(cubic.values[i] == 0);
      CHECK(cubic.plane(1)[i] == Approx(expected[i]).margin(2e-6));
    }
    LabelPlanes labels(1, rows, columns);
    labels.values = entry["label"].get<std::vector<std::uint8_t>>();
    CHECK(resize_nearest(labels, entry["to"][0], entry["to"][1]).values ==
          entry["nearest"].get<std::vector<std::uint8_t>>());
  }
}

TEST_CASE("an image in its own size is itself, and a smooth one comes back") {
  ImagePlanes image(1, 20, 24);
  for (std::int64_t row = 0; row < 20; ++row)
    for (std::int64_t column = 0; column < 24; ++column)
      image.at(0, row, column) = static_cast<float>(3 * row + column * column / 24.0);
  CHECK(resize_cubic(image, 20, 24) == image);
  const ImagePlanes back = resize_cubic(resize_cubic(image, 47, 50), 20, 24);
  for (std::size_t i = 0; i < image.values.size(); ++i)
    CHECK(back.values[i] == Approx(image.values[i]).margin(0.15));
  LabelPlanes labels(1, 2, 2);
  labels.values = {1, 2, 3, 4};
  CHECK(resize_nearest(labels, 4, 4).values ==
        std::vector<std::uint8_t>{1, 1, 2, 2, 1, 1, 2, 2, 3, 3, 4, 4, 3, 3, 4, 4});
}
