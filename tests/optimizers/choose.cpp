#include "strata/optimizers/choose.h"

#include "catch.h"
#include "strata/core/error.h"

using namespace strata;

TEST_CASE("knee is the point farthest above the chord") {
  // Normalised: (0, 0), (0.1, 0.6), (0.5, 0.9), (1, 1); above the diagonal by 0, 0.5, 0.4, 0.
  const std::vector<Objectives> front = {{10, 0}, {16, 0.2}, {19, 1}, {20, 2}};
  CHECK(choose(front, "knee") == 1);
}

TEST_CASE("knee does not depend on units and offsets of the objectives") {
  std::vector<Objectives> front = {{10, 0}, {14, 0.2}, {19, 1}, {20, 2}};
  const std::size_t expected = choose(front, "knee");
  for (Objectives& point : front) {
    point.importance = 1e-3 * point.importance + 5;
    point.usage_variance = 1e4 * point.usage_variance + 3;
  }
  CHECK(choose(front, "knee") == expected);
}

TEST_CASE("knee of small and flat fronts") {
  CHECK(choose({{1, 0}}, "knee") == 0);
  CHECK(choose({{1, 0}, {2, 1}}, "knee") == 0);
  CHECK(choose({{0, 0}, {1, 1}, {2, 2}}, "knee") == 0);    // on the chord
  CHECK(choose({{0, 0}, {0.5, 1}, {2, 2}}, "knee") == 0);  // below it
  // Two points equally far above: the lower usage variance.
  CHECK(choose({{0, 0}, {0.5, 0.25}, {0.75, 0.5}, {1, 1}}, "knee") == 1);
}

TEST_CASE("ideal is the point closest to the best of both objectives") {
  // Normalised: (0, 0), (0.1, 0.6), (0.3, 0.8), (1, 1); distances 1, 0.412, 0.361, 1.
  const std::vector<Objectives> front = {{10, 0}, {16, 0.2}, {18, 0.6}, {20, 2}};
  CHECK(choose(front, "ideal") == 2);
  CHECK(choose(front, "knee") == 1);  // above the chord by 0.5 and 0.5: the lower usage variance
  CHECK(choose({{1, 0}}, "ideal") == 0);
  CHECK(choose({{1, 0}, {2, 1}}, "ideal") == 0);
}

TEST_CASE("weights go from least usage variance to greatest importance") {
  const std::vector<Objectives> front = {{10, 0}, {16, 0.2}, {18, 0.6}, {20, 2}};
  CHECK(choose(front, "weights:0") == 0);
  CHECK(choose(front, "weights:1") == 3);
  // 0.5: 0, 0.25, 0.25, 0 (a tie, the lower usage variance); 0.6: 0, 0.32, 0.36, 0.2.
  CHECK(choose(front, "weights:0.5") == 1);
  CHECK(choose(front, "weights:0.6") == 2);
  CHECK(choose(front, "weights:0.9") == 3);
  CHECK(choose({{1, 0}}, "weights:0.3") == 0);
}

TEST_CASE("at least a share of the greatest importance") {
  const std::vector<Objectives> front = {{10, 0}, {16, 0.2}, {18, 0.6}, {20, 2}};
  CHECK(choose(front, "importance:0") == 0);
  CHECK(choose(front, "importance:50") == 0);
  CHECK(choose(front, "importance:50.1") == 1);
  CHECK(choose(front, "importance:90") == 2);
  CHECK(choose(front, "importance:100") == 3);
  CHECK(choose({{0, 0}}, "importance:100") == 0);
}

TEST_CASE("at most a usage variance") {
  const std::vector<Objectives> front = {{10, 0.1}, {16, 0.2}, {18, 0.6}, {20, 2}};
  CHECK(choose(front, "variance:0.1") == 0);
  CHECK(choose(front, "variance:0.59") == 1);
  CHECK(choose(front, "variance:0.6") == 2);
  CHECK(choose(front, "variance:1e9") == 3);
  CHECK_THROWS_WITH(choose(front, "variance:0.05"),
                    "choose: \"variance:0.05\": no plan of the front has a usage variance of at "
                    "most 0.05; the least there is is 0.1");
}

TEST_CASE("points that are on a front for further objectives do not mislead a rule") {
  // The third and the last are worse in importance and usage variance than the one before, but send
  // less.
  const std::vector<Objectives> front = {{10, 0, 9},   {16, 0.2, 8}, {5, 0.3, 1},
                                         {18, 0.6, 8}, {20, 2, 9},   {3, 8, 0}};
  const std::vector<Objectives> plain = {{10, 0}, {16, 0.2}, {18, 0.6}, {20, 2}};
  for (const std::string rule :
       {"knee", "ideal", "weights:0", "weights:0.4", "weights:0.6", "weights:1", "importance:20",
        "importance:85", "importance:100", "variance:0.3", "variance:0.5", "variance:99"}) {
    CAPTURE(rule);
    const Objectives& found = front[choose(front, rule)];
    const Objectives& expected = plain[choose(plain, rule)];
    CHECK(found.importance == expected.importance);
    CHECK(found.usage_variance == expected.usage_variance);
  }
}

TEST_CASE("choose refuses an unknown or malformed rule and an empty front") {
  CHECK_THROWS_WITH(choose({{1, 0}}, "kene"),
                    "choose: unknown rule \"kene\" (did you mean \"knee\"?); allowed: \"knee\", "
                    "\"ideal\", \"weights:W\", \"importance:X\", \"variance:V\"");
  CHECK_THROWS_AS(choose({}, "knee"), InputError);
  CHECK_THROWS_WITH(check_choice("weigths:0.5"),
                    "choose: unknown rule \"weigths:0.5\" (did you mean \"weights\"?); allowed: "
                    "\"knee\", \"ideal\", \"weights:W\", \"importance:X\", \"variance:V\"");
  CHECK_THROWS_WITH(
      check_choice("weights:1.5"),
      "choose: \"weights:1.5\": found \"1.5\" after weights, allowed is a weight of 0 "
      "to 1, as in weights:0.5");
  CHECK_THROWS_WITH(check_choice("importance"),
                    "choose: \"importance\": found no number after importance, allowed is a "
                    "percentage of 0 to 100, as in importance:95");
  CHECK_THROWS_WITH(check_choice("knee:1"), "choose: \"knee:1\": the rule knee takes no number");
  for (const std::string rule : {"weights:W", "weights:nan", "importance:101", "importance:-1",
                                 "variance:-0.1", "variance:inf", "variance:", "", ":"}) {
    CAPTURE(rule);
    CHECK_THROWS_AS(check_choice(rule), InputError);
  }
  for (const std::string rule : {"knee", "ideal", "weights:0", "weights:1", "importance:100",
                                 "variance:0", "variance:1e300"}) {
    CHECK_NOTHROW(check_choice(rule));
  }
}
