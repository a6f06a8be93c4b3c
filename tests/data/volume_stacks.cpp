#include "data/volume_stacks.h"

#include <nlohmann/json.hpp>

#include "catch.h"
#include "temp_dir.h"

using namespace strata::data;

namespace {

/// Values that say where they are: 100 i + 10 j + k.
Volume numbered() {
  Volume volume;
  volume.size = {4, 3, 2};
  for (int k = 0; k < 2; ++k)
    for (int j = 0; j < 3; ++j)
      for (int i = 0; i < 4; ++i) volume.values.push_back(static_cast<float>(100 * i + 10 * j + k));
  return volume;
}

}  // namespace

TEST_CASE("slices along each of the axes, and the mask of slices back in the volume") {
  const Volume volume = numbered();
  const ImagePlanes along[] = {slices_of(volume, 0), slices_of(volume, 1), slices_of(volume, 2)};
  CHECK(along[0].count == 4);
  CHECK(along[0].height == 3);
  CHECK(along[0].width == 2);
  CHECK(along[0].at(3, 2, 1) == 321);
  CHECK(along[1].count == 3);
  CHECK(along[1].at(2, 3, 1) == 321);
  CHECK(along[2].count == 2);
  CHECK(along[2].at(1, 3, 2) == 321);
  CHECK(along[2].at(0, 1, 0) == 100);
  Mask mask{volume, {}};
  for (std::size_t i = 0; i < volume.voxels(); ++i)
    mask.labels.push_back(static_cast<std::uint8_t>(i));
  for (int axis = 0; axis < 3; ++axis)
    CHECK(mask_of(slices_of(mask, axis), volume, axis).labels == mask.labels);
  CHECK_THROWS_AS(mask_of(slices_of(mask, 0), volume, 2), std::invalid_argument);
}

TEST_CASE("a stack repeats the first and the last slice beyond the volume's ends") {
  ImagePlanes slices(4, 1, 1);
  slices.values = {10, 11, 12, 13};
  CHECK(stack_around(slices, 0).values == std::vector<float>{10, 10, 10, 11, 12});
  CHECK(stack_around(slices, 2).values == std::vector<float>{10, 11, 12, 13, 13});
  CHECK(stack_around(slices, 3).values == std::vector<float>{11, 12, 13, 13, 13});
  LabelPlanes one(1, 1, 2);
  one.values = {1, 2};
  CHECK(stack_around(one, 0).values == std::vector<std::uint8_t>{1, 2, 1, 2, 1, 2, 1, 2, 1, 2});
  CHECK(slice_in_stack(4, 1, 4) == 3);
}

TEST_CASE("a stack is scaled to 0 … 1 as numpy scales it") {
  const auto recorded = nlohmann::json::parse(strata::test::slurp(
      std::filesystem::path(STRATA_SOURCE_DIR) / "tests/reference/volumes.json"))["scaled"];
  ImagePlanes stack(5, 3, 4);
  stack.values = recorded["stack"].get<std::vector<float>>();
  const ImagePlanes scaled = scaled_stack(stack);
  const auto expected = recorded["scaled"].get<std::vector<float>>();
  REQUIRE(expected.size() == scaled.values.size());
  for (std::size_t i = 0; i < expected.size(); ++i)
    CHECK(scaled.values[i] == Approx(expected[i]).margin(1e-6));
  stack.values.assign(60, -7);
  CHECK(scaled_stack(stack).values == std::vector<float>(60, 0));
}
