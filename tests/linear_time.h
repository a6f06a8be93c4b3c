#pragma once
// Whether work takes time in proportion to its size. Measured in CPU time of this thread, so that
// other programs count little, and as a ratio, so that the machine does.
#include <time.h>

#include <algorithm>
#include <limits>

namespace strata::test {

template <typename Work>
double cpu_seconds(const Work& work) {
  const auto now = [] {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
  };
  const double start = now();
  work();
  return now() - start;
}

/// How many times longer work(16 n) takes than work(n): about 16 when it is linear, 256 when it is
/// quadratic. The least of a few runs each.
template <typename Work>
double growth(int n, const Work& work) {
  double small = std::numeric_limits<double>::infinity(), large = small;
  for (int repetition = 0; repetition < 5; ++repetition)
    small = std::min(small, cpu_seconds([&] { work(n); }));
  for (int repetition = 0; repetition < 2; ++repetition)
    large = std::min(large, cpu_seconds([&] { work(16 * n); }));
  return large / small;
}

/// Between the two: memory caches cost a linear work at most a factor of three.
constexpr double kLinear = 64;

}  // namespace strata::test
