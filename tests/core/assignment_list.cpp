#include "strata/core/assignment_list.h"

#include <algorithm>
#include <stdexcept>
#include <tuple>

#include "catch.h"
#include "strata/core/random.h"

using namespace strata;

namespace {

/// Each differs from the one before in a few entries, some in none.
std::vector<Assignment> wandering(int clients, int units, int count, int largest = 1) {
  Random random(7);
  Assignment assignment = Assignment::Zero(clients, units);
  std::vector<Assignment> all;
  for (int k = 0; k < count; ++k) {
    for (int changes = k % 4; changes > 0; --changes) {
      auto& entry = assignment(static_cast<Eigen::Index>(random.below(clients)),
                               static_cast<Eigen::Index>(random.below(units)));
      // The first ones as if there were no ranks.
      const int most = k < count / 4 ? 1 : largest;
      entry = static_cast<std::uint8_t>((entry + 1 + random.below(most)) % (most + 1));
    }
    all.push_back(assignment);
  }
  return all;
}

std::vector<Assignment> all_of(const AssignmentList& list) {
  return {list.begin(), list.end()};
}

}  // namespace

TEST_CASE("the header's example") {
  AssignmentList list;
  CHECK(list.empty());
  CHECK(list.begin() == list.end());
  list.push_back(Assignment::Zero(2, 3));
  list.push_back(Assignment::Ones(2, 3));
  int sum = 0;
  for (const Assignment& assignment : list) sum += assignment.cast<int>().sum();
  CHECK(sum == 6);
  CHECK(list[1].cast<int>().sum() == 6);
  CHECK(list[0].cast<int>().sum() == 0);
}

TEST_CASE("a list gives back what it was given, from both ends and in between") {
  // More than one block of the comparison, and a last block that is not full.
  for (const auto& [clients, units, largest] :
       {std::tuple{3, 5, 1}, {30, 41, 1}, {3, 5, 8}, {30, 41, 255}}) {
    std::vector<Assignment> expected = wandering(clients, units, 50, largest);
    AssignmentList list(expected);
    REQUIRE(list.size() == 50);
    CHECK(all_of(list) == expected);
    for (std::size_t k = 0; k < expected.size(); ++k) CHECK(list[k] == expected[k]);

    list.reverse();
    std::reverse(expected.begin(), expected.end());
    CHECK(all_of(list) == expected);
    for (std::size_t k = 0; k < expected.size(); ++k) CHECK(list[k] == expected[k]);

    for (int k = 0; k < 20; ++k) {
      list.pop_back();
      expected.pop_back();
    }
    CHECK(list[29] == expected[29]);
    list.push_back(Assignment::Ones(clients, units));
    expected.push_back(Assignment::Ones(clients, units));
    CHECK(all_of(list) == expected);
  }
  AssignmentList emptied{Assignment::Ones(1, 2)};
  emptied.pop_back();
  CHECK(emptied.empty());
  emptied.reverse();
  emptied.push_back(Assignment::Zero(3, 4));
  CHECK(emptied[0] == Assignment::Zero(3, 4));
}

TEST_CASE("a list takes the memory of what differs") {
  AssignmentList list;
  Assignment assignment = Assignment::Zero(500, 200);
  for (int k = 0; k < 1000; ++k) {
    assignment.data()[k * 7] ^= 1;
    list.push_back(assignment);
  }
  // Two whole assignments, an entry and an end each, and what vectors keep in reserve.
  CHECK(list.bytes() >= 2 * 100'000 + 1000 * (4 + 8));
  CHECK(list.bytes() <= 2 * 100'000 + 2 * 1024 * (4 + 8));
}

TEST_CASE("assignments of another shape are refused") {
  AssignmentList list{Assignment::Zero(2, 3)};
  CHECK_THROWS_AS(list.push_back(Assignment::Zero(3, 2)), std::invalid_argument);
  CHECK(list.size() == 1);
}
