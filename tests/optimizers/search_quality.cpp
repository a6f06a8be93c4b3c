#include <algorithm>
#include <map>

#include "catch.h"
#include "strata/optimizers/exact_front.h"
#include "strata/optimizers/hypervolume.h"
#include "strata/optimizers/instances.h"
#include "strata/optimizers/search.h"

using namespace strata;
using namespace strata::optimizers;

namespace {

/// A metaheuristic on instance 1 of a family, and what it reached when this was recorded.
struct Recorded {
  std::string algorithm;
  std::string family;
  std::string start;
  int population = 0;
  double median = 0;     ///< hypervolume ratio against the exact front after 5,000 evaluations
  double deviation = 0;  ///< standard, of one run
};

constexpr int kSeeds = 15;

/// Of the seeds 1 to 15. Above 1 where points under the hull add to its vertices.
double median_ratio(const Recorded& recorded) {
  const PlanningProblem problem = load_instances({recorded.family}, 1, "").at(0).problem;
  const auto exact = exact_front(problem, {.sweep = false}).points.objectives();
  std::vector<double> ratios;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const SearchResult found = search(problem, recorded.algorithm,
                                      {.start = recorded.start,
                                       .evaluations = 5000,
                                       .population = recorded.population,
                                       .seed = seed});
    ratios.push_back(hypervolume_ratio(objectives_of(found.front), exact));
  }
  std::nth_element(ratios.begin(), ratios.begin() + kSeeds / 2, ratios.end());
  return ratios[kSeeds / 2];
}

}  // namespace

// The figures are this program's own, recorded with GCC 12 and Debian 12's libraries when the test
// was written. A seed gives the same run every time, but other compilers' and libraries' last bits
// lead a search elsewhere, as another seed would: the median of 15 runs then has a standard error
// of about 1.25 / sqrt(15) = 0.32 deviations, and one below the bar of 2 is as rare as six of them.
TEST_CASE("each of the five metaheuristics is as good as it was") {
  const std::vector<Recorded> all = {
      {"nsga2", "9x24", "random", 40, 1.00468, 0.00161},
      {"nsga2", "20x48", "greedy", 40, 0.99050, 0.00053},
      {"mopso", "9x24", "random", 40, 1.01180, 0.00142},
      {"mopso", "20x48", "greedy", 40, 0.99456, 0.00042},
      {"aco", "9x24", "random", 40, 1.01251, 0.00151},
      {"aco", "20x48", "greedy", 40, 0.99565, 0.00025},
      {"abc", "9x24", "random", 40, 0.99184, 0.00262},
      {"abc", "20x48", "greedy", 40, 0.98910, 0.00035},
      // Few sources, so that they are tried often enough for scouts to replace them.
      {"abc", "20x48", "random", 8, 0.97503, 0.00552},
      {"annealing", "9x24", "random", 40, 1.00174, 0.00380},
      {"annealing", "20x48", "greedy", 40, 0.99444, 0.00035},
  };
  for (const Recorded& recorded : all) {
    CAPTURE(recorded.algorithm, recorded.family, recorded.start, recorded.population);
    CHECK(median_ratio(recorded) >= recorded.median - 2 * recorded.deviation);
  }
}
