#include "data/mask_scores.h"

#include <nlohmann/json.hpp>

#include "catch.h"
#include "temp_dir.h"

using namespace strata::data;

namespace {

Mask empty_mask(std::array<std::int64_t, 3> size, std::array<double, 3> spacing = {1, 1, 1}) {
  Mask mask;
  mask.size = size;
  mask.spacing = spacing;
  mask.labels.assign(mask.voxels(), 0);
  return mask;
}

}  // namespace

TEST_CASE("Dice, HD95 and surface Dice of random shapes are medpy's and scipy's") {
  const auto recorded = nlohmann::json::parse(
      strata::test::slurp(std::filesystem::path(STRATA_SOURCE_DIR) / "tests/reference/masks.json"));
  CHECK(recorded.size() == 6);
  for (const auto& entry : recorded) {
    INFO(entry["size"]);
    Mask found = empty_mask(entry["size"], entry["spacing"]), truth = found;
    for (const std::size_t place : entry["found"]) found.labels[place] = 2;
    for (const std::size_t place : entry["true"]) truth.labels[place] = 2;
    const auto scores = score_masks(found, truth, 2, entry["tolerance"]);
    REQUIRE(scores.size() == 2);
    CHECK(scores[1].dice == Approx(entry["dice"].get<double>()));
    CHECK(scores[1].hd95 == Approx(entry["hd95"].get<double>()));
    CHECK(scores[1].surface_dice == Approx(entry["nsd"].get<double>()));
    CHECK(scores[1].in_found);
    CHECK(scores[1].in_truth);
    CHECK_FALSE(scores[0].in_truth);
  }
}

TEST_CASE("a class that one mask or none has is scored by the stated rule") {
  Mask found = empty_mask({10, 10, 5}, {1, 2, 4}), truth = found;
  const MaskScore none = score_masks(found, truth, 1, 1)[0];
  CHECK(none.dice == 1);
  CHECK(none.hd95 == 0);
  CHECK(none.surface_dice == 1);
  found.labels[7] = 1;
  for (const auto& [a, b] : {std::pair(found, truth), std::pair(truth, found)}) {
    const MaskScore one = score_masks(a, b, 1, 1)[0];
    CHECK(one.dice == 0);
    CHECK(one.hd95 == Approx(30));  // 10, 20 and 20 mm
    CHECK(one.surface_dice == 0);
    CHECK(one.in_found != one.in_truth);
  }
  CHECK_THROWS_AS(score_masks(found, empty_mask({10, 10, 4}), 1, 1), std::invalid_argument);
}

TEST_CASE("a shape that is moved is as far away as it was moved, in millimetres") {
  Mask found = empty_mask({12, 12, 12}, {0.5, 1, 3}), truth = found;
  const auto fill = [](Mask& mask, std::int64_t k) {
    for (std::int64_t j = 3; j < 8; ++j)
      for (std::int64_t i = 3; i < 8; ++i)
        mask.labels[static_cast<std::size_t>(i + 12 * (j + 12 * k))] = 1;
  };
  fill(found, 4);
  fill(truth, 6);
  const MaskScore score = score_masks(found, truth, 1, 5.9)[0];
  CHECK(score.dice == 0);
  CHECK(score.hd95 == Approx(6));
  CHECK(score.surface_dice == 0);
  CHECK(score_masks(found, truth, 1, 6)[0].surface_dice == 1);
  CHECK(score_masks(truth, truth, 1, 0)[0].surface_dice == 1);
  CHECK(score_masks(truth, truth, 1, 0)[0].hd95 == 0);
}
