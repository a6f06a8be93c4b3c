#include "fedrunner/outline.h"

#include "catch.h"
#include "strata/core/random.h"

using namespace strata;
using namespace strata::fedrunner;

namespace {

std::string around(const std::vector<std::string>& rows) {
  std::vector<std::uint8_t> labels;
  for (const std::string& row : rows)
    for (const char c : row) labels.push_back(static_cast<std::uint8_t>(c - '0'));
  return outline(labels.data(), static_cast<std::int64_t>(rows.size()),
                 static_cast<std::int64_t>(rows.front().size()), 1);
}

/// What a path of closed lines encloses, by the even-odd rule: pixels whose centre has an odd
/// number of its upright edges to the left.
std::vector<std::uint8_t> filled(const std::string& path, std::int64_t height, std::int64_t width) {
  std::vector<std::uint8_t> inside(static_cast<std::size_t>(height * width));
  std::int64_t x = 0, y = 0, start_y = 0;
  const auto upright = [&](std::int64_t to) {
    for (std::int64_t row = std::min(y, to); row < std::max(y, to); ++row)
      for (std::int64_t column = x; column < width; ++column)
        inside[static_cast<std::size_t>(row * width + column)] ^= 1;
    y = to;
  };
  std::istringstream in(path);
  for (char command; in >> command;) {
    if (command == 'M') {
      in >> x >> y;
      start_y = y;
      continue;
    }
    if (command == 'z') {
      upright(start_y);
      continue;
    }
    std::int64_t by = 0;
    in >> by;
    if (command == 'h') x += by;
    if (command == 'v') upright(y + by);
  }
  return inside;
}

}  // namespace

TEST_CASE("an outline is a closed line along the pixels' edges") {
  CHECK(around({"000", "000"}).empty());
  CHECK(around({"010", "000"}) == "M1 0h1v1h-1z");
  CHECK(around({"11", "11"}) == "M0 0h2v2h-2z");
  CHECK(around({"011", "010"}) == "M1 0h2v1h-1v1h-1z");
  // A hole has a line of its own, and other labels are not within.
  CHECK(around({"111", "121", "111"}) == "M0 0h3v3h-3zM1 2h1v-1h-1z");
}

TEST_CASE("pixels that touch at a corner alone are apart") {
  CHECK(around({"10", "01"}) == "M0 0h1v1h-1zM1 1h1v1h-1z");
  CHECK(around({"01", "10"}) == "M1 0h1v1h-1zM0 1h1v1h-1z");
}

TEST_CASE("whatever the labels, an outline encloses exactly them") {
  Random random(7);
  for (int trial = 0; trial < 50; ++trial) {
    const std::int64_t height = 1 + static_cast<std::int64_t>(random.below(9)),
                       width = 1 + static_cast<std::int64_t>(random.below(9));
    std::vector<std::uint8_t> labels(static_cast<std::size_t>(height * width)), truth;
    for (auto& label : labels) {
      label = static_cast<std::uint8_t>(random.below(3));
      truth.push_back(label == 2);
    }
    CHECK(filled(outline(labels.data(), height, width, 2), height, width) == truth);
  }
}
