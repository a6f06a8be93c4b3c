#include "strata/optimizers/choose.h"

#include "catch.h"
#include "strata/core/error.h"

using namespace strata;
using namespace strata::optimizers;

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
                    "choose: \"variance:0.05\": no plan that was found has a usage variance of at "
                    "most 0.05; the least found is 0.1");
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

namespace {

/// Importance, usage variance, bytes, seconds.
const std::vector<Objectives> kFour = {{10, 0, 900, 5},   {12, 0.5, 500, 4}, {8, 0.5, 100, 1},
                                       {16, 1, 1000, 10}, {14, 2, 400, 6},   {6, 4, 0, 0}};
const std::vector<std::string> kNames = {"importance", "usage_variance", "uplink_bytes",
                                         "slowest_client"};

}  // namespace

TEST_CASE("limits of any objective leave the most important point that keeps to all of them") {
  const auto picked = [](const std::string& rule) { return choose(kFour, rule, kNames); };
  CHECK(picked("uplink_bytes:500") == 4);
  CHECK(picked("uplink_bytes:0.5kB") == 4);
  CHECK(picked("uplink_bytes:399") == 2);
  CHECK(picked("slowest_client:4") == 1);
  CHECK(picked("slowest_client:3.9") == 2);
  CHECK(picked("uplink_bytes:500,slowest_client:5") == 1);
  CHECK(picked("slowest_client:5,uplink_bytes:500") == 1);
  CHECK(picked("usage_variance:1") == 3);
  CHECK(picked("variance:1,uplink_bytes:950") == 1);
  // With a least importance, the most even of those that have it.
  CHECK(picked("importance:60") == 0);
  CHECK(picked("importance:60,uplink_bytes:800") == 1);
  CHECK(picked("importance:80,uplink_bytes:800") == 4);
  // A limit read off a file that rounds to 15 digits still allows its point.
  std::vector<Objectives> third = kFour;
  third[1].slowest_seconds = 1.0 / 3;
  CHECK(choose(third, "slowest_client:0.333333333333333", kNames) == 1);
}

TEST_CASE("a limit that no point keeps to is named with the least there is") {
  CHECK_THROWS_WITH(
      choose(kFour, "uplink_bytes:500,slowest_client:0.5,variance:3", kNames),
      "choose: \"uplink_bytes:500,slowest_client:0.5,variance:3\": no plan that "
      "was found with uplink_bytes:500 and slowest_client:0.5 has a usage variance of at "
      "most 3; the least found is 4");
  const std::vector<Objectives> slow(kFour.begin(), kFour.end() - 1);
  CHECK_THROWS_WITH(choose(slow, "slowest_client:0.5", kNames),
                    "choose: \"slowest_client:0.5\": no plan that was found has a slowest client's "
                    "time in seconds of at most 0.5; the least found is 1");
  CHECK_THROWS_WITH(choose(slow, "uplink_bytes:450,importance:95", kNames),
                    "choose: \"uplink_bytes:450,importance:95\": no plan that was found with "
                    "uplink_bytes:450 has 95 % of the greatest importance; the most found is "
                    "87.5 %");
}

TEST_CASE("weights by name are over objectives normalised over the front") {
  const auto picked = [](const std::string& rule) { return choose(kFour, rule, kNames); };
  CHECK(picked("weights:importance=1") == 3);
  CHECK(picked("weights:usage_variance=2") == 0);
  CHECK(picked("weights:uplink_bytes=1") == 5);
  // Normalised importance 0.4 0.6 0.2 1 0.8 0, bytes 0.9 0.5 0.1 1 0.4 0: differences −0.5 0.1 0.1
  // 0 0.4 0.
  CHECK(picked("weights:importance=1,uplink_bytes=1") == 4);
  // Less seconds at ten times the weight: 0.5 0.4 0.1 1 0.6 0.
  CHECK(picked("weights:importance=1,slowest_client=10") == 5);
  // Only ratios count.
  CHECK(picked("weights:importance=100,uplink_bytes=100") == 4);
  CHECK(picked("weights:0.9") == picked("weights:importance=0.9,usage_variance=0.1"));
}

TEST_CASE("knee and ideal look at all objectives that the problem has") {
  // Importance less variance, bytes and seconds, normalised: −1, −0.425, −0.125, −1.25, −0.7, −1.
  CHECK(choose(kFour, "knee", kNames) == 2);
  // Distances from the best of all: 1.192, 0.765, 0.822, 1.436, 0.9, 1.414.
  CHECK(choose(kFour, "ideal", kNames) == 1);
  // With two objectives the points (10, 0), (12, 0.5), (16, 1) are left: the knee is at the ends'
  // chord, or below it.
  CHECK(choose(kFour, "knee") == 0);
}

TEST_CASE("a row of the front is taken by its number, from 1") {
  CHECK(choose(kFour, "row:1", kNames) == 0);
  CHECK(choose(kFour, "row:6", kNames) == 5);
  CHECK(choose({{1, 0}, {2, 1}}, "row:2") == 1);
  CHECK_THROWS_WITH(choose(kFour, "row:7", kNames),
                    "choose: \"row:7\": the front has 6 rows; allowed is row:1 to row:6");
  for (const char* wrong : {"row:0", "row:-1", "row:1.5", "row:", "row"}) {
    CAPTURE(wrong);
    CHECK_THROWS_WITH(check_choice(wrong), Catch::Contains("allowed is a row of the front from 1"));
  }
}

TEST_CASE("rules about objectives that the problem does not have are refused") {
  CHECK_THROWS_WITH(choose({{1, 0}}, "uplink_bytes:1e6"),
                    "choose: \"uplink_bytes:1e6\": uplink_bytes is not among the problem's "
                    "objectives, which are \"importance\", \"usage_variance\"");
  CHECK_THROWS_WITH(choose({{1, 0}}, "weights:importance=1,slowest_client=0.5"),
                    Catch::Contains("slowest_client is not among the problem's objectives"));
  CHECK(choose({{1, 0}}, "weights:importance=1,slowest_client=0") == 0);
  const auto refused = [](const std::string& rule, const std::string& message) {
    CAPTURE(rule);
    CHECK_THROWS_WITH(check_choice(rule), Catch::Contains(message));
  };
  refused("uplink_byte:3", "unknown rule \"uplink_byte:3\" (did you mean \"uplink_bytes\"?)");
  refused("uplink_bytes:4XB", "found \"4XB\" after uplink_bytes, allowed is a number of bytes");
  refused("uplink_bytes:4MB,knee", "\"knee\" cannot be joined with others; limits can");
  refused("uplink_bytes:4MB,", "unknown rule \"\"");
  refused("variance:1,usage_variance:2", "limit the same objective");
  refused("weights:importance=1,importance=2", "importance has two weights");
  refused("weights:importnace=1", "(did you mean \"importance\"?)");
  refused("weights:importance=0", "all weights are 0");
  refused("weights:importance=-1", "found \"-1\" after importance=");
  refused("weights:importance=1,", "unknown objective \"\"");
}

TEST_CASE("choose refuses an unknown or malformed rule and an empty front") {
  CHECK_THROWS_WITH(choose({{1, 0}}, "kene"),
                    "choose: unknown rule \"kene\" (did you mean \"knee\"?); allowed: \"knee\", "
                    "\"ideal\", \"weights:W\", \"weights:NAME=W,…\", \"importance:X\", "
                    "\"variance:V\", \"uplink_bytes:B\", \"slowest_client:S\", \"row:N\"");
  CHECK_THROWS_AS(choose({}, "knee"), InputError);
  CHECK_THROWS_WITH(check_choice("weigths:0.5"),
                    "choose: unknown rule \"weigths:0.5\" (did you mean \"weights\"?); allowed: "
                    "\"knee\", \"ideal\", \"weights:W\", \"weights:NAME=W,…\", "
                    "\"importance:X\", \"variance:V\", \"uplink_bytes:B\", "
                    "\"slowest_client:S\", \"row:N\"");
  CHECK_THROWS_WITH(
      check_choice("weights:1.5"),
      "choose: \"weights:1.5\": found \"1.5\" after weights, allowed is a weight of 0 "
      "to 1, as in weights:0.5, or weights by name, as in "
      "weights:importance=0.7,usage_variance=0.3");
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
