#pragma once
/// \file
/// Random numbers that depend on nothing but their seed: the same on every compiler, standard
/// library and thread count. (std::normal_distribution and std::shuffle differ between standard
/// libraries.)

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <utility>
#include <vector>

namespace strata {

/// A 64-bit seed for a sub-stream: SplitMix64 mixing of `seed` with every key, in order. Streams
/// with different keys are independent for all practical purposes, so work can be handed to
/// threads, clients and rounds without a shared generator: `derive_seed(seed, {round, client})`.
std::uint64_t derive_seed(std::uint64_t seed, std::initializer_list<std::uint64_t> keys);

/// The same with a name as key (FNV-1a), e.g. derive_seed(seed, "partition").
std::uint64_t derive_seed(std::uint64_t seed, std::string_view key);

/// xoshiro256** (Blackman & Vigna 2018), seeded through SplitMix64. Satisfies
/// UniformRandomBitGenerator.
/// \code
/// Random client(derive_seed(7, {1, 2})), again(derive_seed(7, {1, 2}));  // round 1, client 2
/// assert(client() == again());
/// assert(client.sample(10, 3) == again.sample(10, 3));  // 3 of 10, without replacement
/// \endcode
class Random {
 public:
  using result_type = std::uint64_t;
  explicit Random(std::uint64_t seed);

  std::uint64_t operator()();
  static constexpr result_type min() { return 0; }
  static constexpr result_type max() { return ~std::uint64_t{0}; }

  /// Uniform in [0, 1) with 53 random bits.
  double uniform();
  /// Uniform in [low, high).
  double uniform(double low, double high);
  /// Uniform integer in [0, n), without modulo bias (Lemire 2019). n ≥ 1.
  std::uint64_t below(std::uint64_t n);
  /// Uniform integer in [low, high], both included.
  std::int64_t between(std::int64_t low, std::int64_t high);
  /// Normal with mean 0 and standard deviation 1 (polar method; no state is kept between calls).
  double normal();
  /// Gamma with shape a > 0 and scale 1 (Marsaglia & Tsang 2000).
  double gamma(double shape);

  /// Fisher–Yates.
  template <typename T>
  void shuffle(std::vector<T>& values) {
    for (std::size_t i = values.size(); i > 1; --i) std::swap(values[i - 1], values[below(i)]);
  }
  /// k distinct integers out of [0, n), in random order (partial Fisher–Yates, O(n)). k ≤ n.
  std::vector<int> sample(int n, int k);

 private:
  std::uint64_t state_[4];
};

}  // namespace strata
