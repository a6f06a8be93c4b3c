#include "strata/core/random.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "catch.h"

using namespace strata;

TEST_CASE("xoshiro256** seeded by SplitMix64 gives the published stream") {
  // SplitMix64 from seed 0 begins e220a8397b1dcdaf, 6e789e6aa1b965f4, 06c45d188009454f,
  // f88bb8a8724c81ec; xoshiro256** on that state: rotl(s1 * 5, 7) * 9 for the first output.
  const std::uint64_t s1 = 0x6e789e6aa1b965f4ull;
  const std::uint64_t x = s1 * 5;
  Random random(0);
  CHECK(random() == ((x << 7) | (x >> 57)) * 9);
}

TEST_CASE("a seed fixes the stream, and keys separate streams") {
  Random a(7), b(7), c(8);
  for (int i = 0; i < 100; ++i) REQUIRE(a() == b());
  CHECK(a() != c());
  std::set<std::uint64_t> seeds;
  for (std::uint64_t round = 0; round < 50; ++round)
    for (std::uint64_t client = 0; client < 50; ++client)
      seeds.insert(derive_seed(1, {round, client}));
  CHECK(seeds.size() == 2500);
  CHECK(derive_seed(1, {2, 3}) != derive_seed(1, {3, 2}));
  CHECK(derive_seed(1, "partition") != derive_seed(1, "samples"));
}

TEST_CASE("moments and ranges of the distributions") {
  Random random(3);
  const int n = 200000;
  double sum = 0, squares = 0, gamma_sum = 0, small_gamma = 0;
  std::vector<int> counts(7, 0);
  for (int i = 0; i < n; ++i) {
    const double u = random.uniform();
    REQUIRE((u >= 0 && u < 1));
    const double z = random.normal();
    sum += z;
    squares += z * z;
    gamma_sum += random.gamma(2.5);
    small_gamma += random.gamma(0.3);
    ++counts[random.below(7)];
    const auto between = random.between(-3, 4);
    REQUIRE((between >= -3 && between <= 4));
  }
  // Five standard errors of each estimate.
  CHECK(std::abs(sum / n) < 5 / std::sqrt(n));
  CHECK(std::abs(squares / n - 1) < 5 * std::sqrt(2.0 / n));
  CHECK(std::abs(gamma_sum / n - 2.5) < 5 * std::sqrt(2.5 / n));
  CHECK(std::abs(small_gamma / n - 0.3) < 5 * std::sqrt(0.3 / n));
  for (const int count : counts) CHECK(std::abs(count - n / 7.0) < 5 * std::sqrt(n / 7.0));
}

TEST_CASE("below is uniform also where the number is close to all that there are") {
  // Of 3 · 2^62 numbers, 2^64 draws without rejection would reach those divisible by 3 twice as
  // often as each other residue.
  Random random(5);
  const int n = 20000;
  int divisible = 0;
  for (int i = 0; i < n; ++i) divisible += random.below(std::uint64_t{3} << 62) % 3 == 0;
  CHECK(std::abs(divisible - n / 3.0) < 5 * std::sqrt(n * 2.0 / 9));
}

TEST_CASE("every ordered sample and every permutation is as likely as any other") {
  Random random(13);
  const int n = 40000;
  std::map<std::vector<int>, int> samples, permutations;
  for (int i = 0; i < n; ++i) {
    ++samples[random.sample(5, 2)];
    std::vector<int> values{1, 2, 3, 4};
    random.shuffle(values);
    ++permutations[values];
  }
  const auto check = [&](const std::map<std::vector<int>, int>& counts, double outcomes) {
    CHECK(counts.size() == outcomes);
    for (const auto& [outcome, count] : counts)
      CHECK(std::abs(count - n / outcomes) < 5 * std::sqrt(n / outcomes));
  };
  check(samples, 20);
  check(permutations, 24);
}

TEST_CASE("shuffles are permutations and samples are distinct") {
  Random random(11);
  std::vector<int> values{1, 2, 3, 4, 5, 6, 7, 8};
  auto shuffled = values;
  random.shuffle(shuffled);
  CHECK(std::is_permutation(values.begin(), values.end(), shuffled.begin()));
  for (int k = 0; k <= 9; ++k) {
    const auto sample = random.sample(9, k);
    CHECK(std::set<int>(sample.begin(), sample.end()).size() == static_cast<std::size_t>(k));
    for (const int value : sample) CHECK((value >= 0 && value < 9));
  }
}
