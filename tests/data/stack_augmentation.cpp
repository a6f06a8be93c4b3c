#include "data/stack_augmentation.h"

#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "catch.h"
#include "data/phantoms/tools.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::data;

namespace {

/// Two slices, of which the second is recorded and the first black.
struct RecordedChanges {
  nlohmann::json recorded = nlohmann::json::parse(test::slurp(
      std::filesystem::path(STRATA_SOURCE_DIR) / "tests/reference/volumes.json"))["changes"];
  StackPair stack{ImagePlanes(2, 11, 14), LabelPlanes(2, 11, 14)};

  RecordedChanges() {
    const auto image = recorded["image"].get<std::vector<int>>();
    const auto mask = recorded["mask"].get<std::vector<std::uint8_t>>();
    for (std::size_t i = 0; i < image.size(); ++i)
      stack.image.plane(1)[i] = static_cast<float>(image[i]) / 255;
    std::copy(mask.begin(), mask.end(), stack.mask.plane(1));
  }

  template <typename Change>
  void check(const std::string& name, Change change) const {
    INFO(name);
    const auto& entry = recorded["made"][name];
    StackPair changed = stack;
    change(changed, entry["by"].get<double>());
    const auto image = entry["image"].get<std::vector<int>>();
    REQUIRE(changed.image.area() == image.size());
    std::vector<int> found;
    for (std::size_t i = 0; i < image.size(); ++i)
      found.push_back(static_cast<int>(changed.image.plane(1)[i] * 255.0F));
    CHECK(found == image);
    if (!entry.contains("mask")) {
      CHECK(changed.mask == stack.mask);
      return;
    }
    const auto mask = entry["mask"].get<std::vector<std::uint8_t>>();
    CHECK(std::vector<std::uint8_t>(changed.mask.plane(1), changed.mask.plane(1) + mask.size()) ==
          mask);
  }
};

double sum_of(const StackPair& stack) {
  double sum = 0;
  for (const float value : stack.image.values) sum += value;
  return sum;
}

}  // namespace

TEST_CASE_METHOD(RecordedChanges, "pixels are moved as Pillow and scipy move them") {
  check("shear_columns", [](StackPair& s, double by) { move_pixels(s, shear_columns(s, by)); });
  check("shear_rows", [](StackPair& s, double by) { move_pixels(s, shear_rows(s, by)); });
  check("scale_both", [](StackPair& s, double by) { move_pixels(s, scale_both(by)); });
  check("move_columns", [](StackPair& s, double by) { move_pixels(s, move_columns(s, by)); });
  check("move_rows", [](StackPair& s, double by) { move_pixels(s, move_rows(s, by)); });
  for (const char* name : {"rotate11", "rotate-15"})
    check(name, [](StackPair& s, double by) { rotate(s, static_cast<int>(by)); });
  check("turn3_sideways",
        [](StackPair& s, double by) { turn_and_flip(s, static_cast<int>(by), true); });
}

TEST_CASE_METHOD(RecordedChanges, "brightnesses are changed as Pillow changes them") {
  check("posterize", [](StackPair& s, double by) { posterize(s, static_cast<int>(by)); });
  check("contrast", change_contrast);
  check("brightness", change_brightness);
  check("sharpness", change_sharpness);
  check("gamma", change_gamma);
}

TEST_CASE_METHOD(RecordedChanges, "a box is erased alike in all slices") {
  Random noise(3);
  StackPair erased = stack;
  erase(erased, {2, 3, 4, 5}, noise);
  int changed = 0;
  for (std::int64_t row = 0; row < 11; ++row)
    for (std::int64_t column = 0; column < 14; ++column) {
      const bool inside = row >= 2 && row < 6 && column >= 3 && column < 8;
      changed += inside;
      CHECK((erased.image.at(1, row, column) == stack.image.at(1, row, column)) != inside);
      CHECK((erased.image.at(0, row, column) == erased.image.at(1, row, column)) ==
            (inside || stack.image.at(1, row, column) == 0));
      if (inside) CHECK(erased.mask.at(1, row, column) == 0);
    }
  CHECK(changed == 20);
}

TEST_CASE_METHOD(RecordedChanges, "the same seed varies a stack alike, and others otherwise") {
  std::set<double> sums;
  int turned = 0, kept_mask = 0;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    StackPair first = stack, again = stack;
    Random one(seed), two(seed);
    augment(first, one);
    augment(again, two);
    CHECK(first.image == again.image);
    CHECK(first.mask == again.mask);
    CHECK(first.image.height == first.mask.height);
    CHECK(first.image.area() == stack.image.area());
    turned += first.image.height == 14;
    kept_mask += first.mask == stack.mask;
    sums.insert(sum_of(first));
  }
  CHECK(sums.size() > 190);
  // A quarter turn or three, in half of the cases: a quarter.
  CHECK(turned > 30);
  CHECK(turned < 70);
  CHECK(kept_mask < 40);
}

TEST_CASE("powers that are the same on every machine are powers") {
  for (const double x : {1e-9, 0.1, 0.5, 0.7071, 0.9, 3.0, 1e6})
    for (const double p : {0.2, 1.0, 1.7, -2.0}) CHECK(exact_pow(x, p) == Approx(std::pow(x, p)));
  CHECK(exact_pow(1, 0.37) == 1);
  CHECK(exact_pow(0, 2) == 0);
}
