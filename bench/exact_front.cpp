// CPU time of the exact front and its sweep, and of the same points by min-cost flow (LEMON's
// network simplex in a dichotomic search over weights), in one run on the tests' layered instances.
// Times are the least of several runs. `exact_front --large` adds 1000 × 100, without LEMON.

#include "strata/optimizers/exact_front.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <limits>

#include "optimizers/flow_oracle.h"
#include "optimizers/instances.h"
#include "strata/optimizers/full_front.h"
#include "strata/optimizers/hypervolume.h"

using namespace strata;
using namespace strata::optimizers;
using namespace strata::test;

namespace {

/// The least CPU milliseconds of some runs, which take about half a second together.
template <typename Work>
double milliseconds(Work work) {
  double least = std::numeric_limits<double>::infinity();
  const std::clock_t begin = std::clock();
  do {
    const std::clock_t start = std::clock();
    work();
    least = std::min(least, 1000.0 * static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC);
  } while (std::clock() - begin < CLOCKS_PER_SEC / 2);
  return least;
}

/// @returns false if the two ways find different points.
bool measure(int clients, int units, int budget, bool with_flow, double full_seconds) {
  const PlanningProblem problem = layered_instance(clients, units, budget, 1);
  ExactFront front;
  const double points = milliseconds([&] { exact_front(problem, {.sweep = false}); });
  const double sweep = milliseconds([&] { front = exact_front(problem); });
  std::printf("%4d x %-4d %6d %8zu %9.2f %8zu %9.2f", clients, units, budget, front.points.size(),
              points, front.sweep.size(), sweep);
  bool equal = true;
  if (with_flow) {
    std::vector<Point> hull;
    const double flow = milliseconds([&] {
      FlowOracle oracle(problem);
      hull = hull_by_dichotomy(problem, oracle);
    });
    equal = hull.size() == front.points.size();
    std::size_t i = 0;
    for (const Assignment& assignment : front.points.assignments()) {
      equal = equal && hull[i++].first == sum_of_squares(assignment);
    }
    std::printf(" %10.1f %8.0f", flow, flow / points);
  } else {
    std::printf(" %10s %8s", "-", "-");
  }
  if (full_seconds > 0) {
    FullFront full;
    const double time = milliseconds([&] { full = full_front(problem, full_seconds); });
    const auto exact = front.points.objectives();
    const double whole = hypervolume_ratio(objectives_of(full.points), exact);
    std::printf(" %9.1f %5s %9.5f %9.5f", time, full.complete ? "yes" : "no", 1 / whole,
                hypervolume_ratio(front.sweep.objectives(), exact) / whole);
  }
  std::printf("%s\n", equal ? "" : "  LEMON finds other points");
  std::fflush(stdout);
  return equal;
}

}  // namespace

int main(int argc, char** argv) {
  std::printf("%11s %6s %8s %9s %8s %9s %10s %8s %9s %5s %9s %9s\n", "instance", "budget", "points",
              "ms", "sweep", "ms", "LEMON ms", "ratio", "full ms", "all", "hv points", "hv sweep");
  bool equal = measure(9, 24, 4, true, 20);
  equal &= measure(9, 24, 6, true, 20);
  equal &= measure(20, 48, 4, true, 20);
  equal &= measure(20, 48, 12, true, 20);
  equal &= measure(100, 48, 4, true, 0);
  equal &= measure(100, 48, 12, true, 0);
  if (argc > 1 && std::strcmp(argv[1], "--large") == 0) equal &= measure(1000, 100, 25, false, 0);
  return equal ? 0 : 1;
}
