#include "strata/optimizers/statistics.h"

#include <cmath>
#include <limits>

#include "catch.h"
#include "strata/core/error.h"

using namespace strata;
using namespace strata::optimizers;

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::vector<Objectives> front(const std::vector<std::pair<double, double>>& points) {
  std::vector<Objectives> result;
  for (const auto& [importance, variance] : points) result.push_back({importance, variance});
  return result;
}

SignedRankTest test_of(const std::vector<double>& differences) {
  return wilcoxon_signed_rank(differences, std::vector<double>(differences.size(), 0.0));
}

}  // namespace

TEST_CASE("IGD+ agrees with hand-computed distances") {
  const auto exact = front({{0, 0}, {5, 1}, {10, 4}});
  CHECK(igd_plus(exact, exact) == 0);
  // Ranges 10 and 4. From (0, 0): nothing lost; (5, 1): 5/10; (10, 4): 10/10.
  CHECK(igd_plus(front({{0, 0}}), exact) == Approx((0 + 0.5 + 1) / 3));
  // To (0, 0) the point (8, 3) loses 3/4; to (5, 1) 2/4; to (10, 4) 2/10. Gains count as nothing.
  CHECK(igd_plus(front({{8, 3}}), exact) == Approx((0.75 + 0.5 + 0.2) / 3));
  // To (5, 1) the point (3, 2) loses 2/10 and 1/4, and (10, 4) loses 3/4 alone; to (0, 0) 2/4.
  CHECK(igd_plus(front({{3, 2}, {10, 4}}), exact) == Approx((0.5 + std::hypot(0.2, 0.25) + 0) / 3));
  // A point better than the exact front has no distance.
  CHECK(igd_plus(front({{11, 0}}), exact) == 0);
  // Without a range the objective counts as it is.
  CHECK(igd_plus(front({{1, 3}}), front({{2, 3}})) == Approx(1));
  CHECK_THROWS_AS(igd_plus({}, exact), InputError);
  CHECK_THROWS_AS(igd_plus(exact, {}), InputError);
}

TEST_CASE("the spread is 0 for an even and complete front") {
  const auto exact = front({{0, 0}, {5, 1}, {10, 2}});
  CHECK(spread(exact, exact) == Approx(0).margin(1e-12));
  // A complete front of even gaps need not hold the same points.
  CHECK(spread(front({{0, 0}, {2.5, 0.5}, {5, 1}, {7.5, 1.5}, {10, 2}}), exact) ==
        Approx(0).margin(1e-12));
  // Gaps √2/4 and 3√2/4 around a mean of √2/2.
  CHECK(spread(front({{0, 0}, {2.5, 0.5}, {10, 2}}), exact) == Approx(0.5));
  // Only the ends' distances are left of a single point.
  CHECK(spread(front({{5, 1}}), exact) == Approx(1));
  CHECK(spread(front({{0, 0}}), exact) == Approx(1));
  CHECK(spread(front({{3, 3}}), front({{3, 3}})) == 0);
  // Even, but the upper half is missed: e₂ = √2/2 and two gaps of √2/4.
  CHECK(spread(front({{0, 0}, {2.5, 0.5}, {5, 1}}), exact) == Approx(0.5));
  CHECK_THROWS_AS(spread({}, exact), InputError);
}

TEST_CASE("quartiles interpolate as type 7 and know infinity") {
  const Quartiles five = quartiles({5, 1, 4, 2, 3});
  CHECK(five.lower == 2);
  CHECK(five.median == 3);
  CHECK(five.upper == 4);
  const Quartiles four = quartiles({1, 2, 3, 4});
  CHECK(four.lower == Approx(1.75));
  CHECK(four.median == Approx(2.5));
  CHECK(four.upper == Approx(3.25));
  CHECK(quartiles({7}).upper == 7);
  const Quartiles never = quartiles({1, 2, 3, kInfinity, kInfinity});
  CHECK(never.lower == 2);
  CHECK(never.median == 3);
  CHECK(never.upper == kInfinity);
  CHECK(quartiles({1, kInfinity}).median == kInfinity);
  CHECK(quartiles({kInfinity, kInfinity}).lower == kInfinity);
  CHECK_THROWS_AS(quartiles({}), InputError);
  CHECK_THROWS_AS(quartiles({1, std::nan("")}), InputError);
}

TEST_CASE("the signed-rank test agrees with published and enumerated values") {
  // Darwin's plants (Fisher, The Design of Experiments, 1935): p = 0.0412598, W− = 24.
  const auto darwin = test_of({6, 8, 14, 16, 23, 24, 28, 29, 41, -48, 49, 56, 60, -67, 75});
  CHECK(darwin.pairs == 15);
  CHECK(darwin.positive_sum == 96);
  CHECK(darwin.p == Approx(0.041259765625).epsilon(1e-12));
  // All one sign: two of 2⁶ outcomes.
  CHECK(test_of({1, 2, 3, 4, 5, 6}).p == Approx(2.0 / 64));
  CHECK(test_of({-1, -2, -3, -4, -5, -6}).p == Approx(2.0 / 64));
  CHECK(test_of({3}).p == 1);
  // Symmetric about 0: nothing shown.
  CHECK(test_of({1, -1, 2, -2}).p == 1);
  // A zero is dropped and ties share ranks; 162 of the 512 outcomes have W ≤ 18.
  const auto tied = test_of({15, -7, 5, 20, 0, -9, 17, -12, 5, -10});
  CHECK(tied.pairs == 9);
  CHECK(tied.positive_sum == 27);
  CHECK(tied.p == Approx(2 * 162.0 / 512).epsilon(1e-12));
}

TEST_CASE("pairs that do not differ show nothing, and tolerance decides what differs") {
  CHECK(test_of({}).p == 1);
  CHECK(test_of({0, 0, 0}).pairs == 0);
  CHECK(test_of({0, 0, 0}).p == 1);
  const auto test = wilcoxon_signed_rank({1, 2, 3}, {1 + 1e-13, 2, 2}, 1e-12);
  CHECK(test.pairs == 1);
  CHECK_THROWS_AS(wilcoxon_signed_rank({1}, {1, 2}), InputError);
  CHECK_THROWS_AS(wilcoxon_signed_rank({std::nan("")}, {1}), InputError);
}

TEST_CASE("above fifty pairs the normal approximation agrees with the formula") {
  // Ranks 1 to 60 with every third pair negative: W+ = 1830 − (3 + 6 + … + 60) = 1200, mean 915,
  // variance 60 · 61 · 121 / 24 = 18452.5.
  std::vector<double> differences;
  for (int i = 1; i <= 60; ++i) differences.push_back(i % 3 == 0 ? -i : i);
  const auto test = test_of(differences);
  CHECK(test.positive_sum == 1200);
  CHECK(test.p == Approx(std::erfc((285 - 0.5) / std::sqrt(2 * 18452.5))).epsilon(1e-12));
  // All 64 sizes tie: the variance falls by (64³ − 64) / 48 to 64 · 65² / 16 = 16900.
  std::vector<double> tied(64, 1.0);
  for (int i = 0; i < 24; ++i) tied[i] = -1;
  const auto sign = test_of(tied);
  CHECK(sign.positive_sum == 40 * 32.5);
  CHECK(sign.p == Approx(std::erfc((260 - 0.5) / std::sqrt(2 * 16900.0))).epsilon(1e-12));
  // At the border, both methods agree to the approximation's accuracy.
  differences.resize(50);
  const double exact = test_of(differences).p;
  differences.push_back(0.5);
  CHECK(test_of(differences).p == Approx(exact).epsilon(0.15));
}

TEST_CASE("Holm's adjustment keeps the order and never exceeds 1") {
  const auto adjusted = holm({0.01, 0.04, 0.03, 0.005});
  REQUIRE(adjusted.size() == 4);
  CHECK(adjusted[0] == Approx(0.03));
  CHECK(adjusted[1] == Approx(0.06));
  CHECK(adjusted[2] == Approx(0.06));
  CHECK(adjusted[3] == Approx(0.02));
  CHECK(holm({0.7, 0.6}) == std::vector<double>{1, 1});
  CHECK(holm({0.02}) == std::vector<double>{0.02});
  CHECK(holm({}).empty());
}

TEST_CASE("Friedman's test ranks Demšar's classifiers as published") {
  // Demšar (2006), table 6: AUC of C4.5, C4.5+m, C4.5+cf and C4.5+m+cf on 14 data sets
  // (0.9751 is printed as 0.975, but ranked before the other).
  const std::vector<std::vector<double>> auc = {
      {0.763, 0.768, 0.771, 0.798},  {0.599, 0.591, 0.590, 0.569}, {0.954, 0.971, 0.968, 0.967},
      {0.628, 0.661, 0.654, 0.657},  {0.882, 0.888, 0.886, 0.898}, {0.936, 0.931, 0.916, 0.931},
      {0.661, 0.668, 0.609, 0.685},  {0.583, 0.583, 0.563, 0.625}, {0.775, 0.838, 0.866, 0.875},
      {1.000, 1.000, 1.000, 1.000},  {0.940, 0.962, 0.965, 0.962}, {0.619, 0.666, 0.614, 0.669},
      {0.972, 0.981, 0.9751, 0.975}, {0.957, 0.978, 0.946, 0.970}};
  const FriedmanTest test = friedman(auc);
  CHECK(test.blocks == 14);
  CHECK(test.mean_ranks[0] == Approx(3.143).margin(5e-4));
  CHECK(test.mean_ranks[1] == Approx(2.000).margin(5e-4));
  CHECK(test.mean_ranks[2] == Approx(2.893).margin(5e-4));
  CHECK(test.mean_ranks[3] == Approx(1.964).margin(5e-4));
  // One set of four equal values and three of two: 60 + 3 · 6 of 14 · 60.
  CHECK(test.statistic * (1 - 78.0 / 840) == Approx(9.28).margin(5e-3));
  // Against C4.5: 0.607, 0.019 and 0.016.
  const auto p = test.against(0);
  CHECK(std::isnan(p[0]));
  CHECK(p[1] == Approx(0.019).margin(5e-4));
  CHECK(p[2] == Approx(0.607).margin(2e-3));
  CHECK(p[3] == Approx(0.016).margin(5e-4));
}

TEST_CASE("Friedman's p is that of chi-squared, and equal treatments have none") {
  // Three blocks that agree on four treatments: 3 · 3 = 9 with three degrees, P = 0.029291.
  CHECK(friedman({{4, 3, 2, 1}, {8, 6, 4, 2}, {0.4, 0.3, 0.2, 0.1}}).statistic == Approx(9));
  CHECK(friedman({{4, 3, 2, 1}, {8, 6, 4, 2}, {0.4, 0.3, 0.2, 0.1}}).p ==
        Approx(0.029291).margin(1e-6));
  // With three treatments two degrees: exp(-6 / 2).
  CHECK(friedman({{1, 2, 3}, {1, 2, 3}, {1, 2, 3}}).p == Approx(std::exp(-3.0)));
  CHECK(friedman({{1, 1}, {2, 2}}).p == 1);
  CHECK_THROWS_AS(friedman({}), InputError);
  CHECK_THROWS_AS(friedman({{1}}), InputError);
  CHECK_THROWS_AS(friedman({{1, 2}, {1, 2, 3}}), InputError);
  CHECK_THROWS_AS(friedman({{1, std::nan("")}}), InputError);
}

TEST_CASE("Vargha and Delaney's A counts the pairs that the first wins, ties half") {
  CHECK(vargha_delaney({1, 2, 3}, {2, 3, 4}) == Approx((1 + 2 * 0.5) / 9));
  CHECK(vargha_delaney({5, 6}, {1, 2, 3}) == 1);
  CHECK(vargha_delaney({1, 2, 3}, {5, 6}) == 0);
  CHECK(vargha_delaney({1, 4, 4, 9}, {1, 4, 4, 9}) == 0.5);
  CHECK_THROWS_AS(vargha_delaney({}, {1}), InputError);
  CHECK_THROWS_AS(vargha_delaney({1}, {std::nan("")}), InputError);
}
