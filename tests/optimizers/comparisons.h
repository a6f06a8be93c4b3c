#pragma once
// A small comparison for the tests of comparing and of its files.

#include "catch.h"
#include "strata/optimizers/compare.h"

namespace strata::test {

inline optimizers::Comparison small() {
  using namespace optimizers;
  ComparisonOptions options;
  options.algorithms = {"nsga2", "annealing", "pagmo:nsga2"};
  options.starts = {"random", "exact"};
  options.evaluations = {200, 1000};
  options.seeds = 2;
  options.population = 20;
  return compare(load_instances({"3x8", "4x12"}, 2, ""), options);
}

/// Everything but the seconds.
inline void check_same(const std::vector<optimizers::ComparisonRun>& a,
                       const std::vector<optimizers::ComparisonRun>& b) {
  REQUIRE(a.size() == b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    CHECK(a[i].instance == b[i].instance);
    CHECK(a[i].instance_seed == b[i].instance_seed);
    CHECK(a[i].algorithm == b[i].algorithm);
    CHECK(a[i].start == b[i].start);
    CHECK(a[i].evaluations == b[i].evaluations);
    CHECK(a[i].seed == b[i].seed);
    CHECK(a[i].hypervolume_ratio == b[i].hypervolume_ratio);
    CHECK(a[i].igd_plus == b[i].igd_plus);
    CHECK(a[i].spread == b[i].spread);
    CHECK(a[i].points == b[i].points);
    for (std::size_t t = 0; t < a[i].reached.size(); ++t)
      CHECK(a[i].reached[t].evaluations == b[i].reached[t].evaluations);
  }
}

}  // namespace strata::test
