// CPU time of the front by prices and the gaps it certifies, on generated instances with budgets of
// units and of bytes; where the exact front exists and is quick, its time and how far the bound
// lies above it. `price_front --large` adds 1000 × 100 and, with budgets of units, 10000 × 200.

#include "strata/optimizers/price_front.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <ctime>

#include "strata/core/random.h"
#include "strata/optimizers/instances.h"

using namespace strata;
using namespace strata::optimizers;

namespace {

double cpu_seconds() {
  return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
}

/// Unit costs of 1,000 to 9,000 bytes, and as many times 5,000 bytes as the budget has units.
PlanningProblem with_bytes(PlanningProblem problem) {
  Random random(1);
  problem.resource = "bytes";
  for (int unit = 0; unit < problem.unit_count(); ++unit) {
    problem.unit_costs.push_back(random.between(1000, 9000));
  }
  for (const int budget : problem.budgets) problem.capacities.push_back(budget * 5000);
  problem.budgets.clear();
  return problem;
}

void measure(const PlanningProblem& problem, bool with_exact) {
  double start = cpu_seconds();
  const PriceFront front = price_front(problem);
  const double seconds = cpu_seconds() - start;
  std::vector<double> gaps;
  for (const FrontPoint& point : front.points) {
    const Objectives& objectives = point.objectives;
    gaps.push_back(1 - objectives.importance / front.importance_bound(objectives.usage_variance));
  }
  std::sort(gaps.begin(), gaps.end());
  std::printf("%6d x %-4d %-6s %9.3f %7zu %10.1e %10.1e", problem.client_count(),
              problem.unit_count(), problem.counts_units() ? "units" : problem.resource.c_str(),
              seconds, gaps.size(), gaps[gaps.size() / 2], gaps.back());
  if (with_exact) {
    start = cpu_seconds();
    const ExactFront exact = exact_front(problem, {.sweep = false});
    const double exact_seconds = cpu_seconds() - start;
    double above = 0;
    for (const FrontPoint& point : exact.points) {
      const Objectives& objectives = point.objectives;
      above = std::max(
          above, front.importance_bound(objectives.usage_variance) / objectives.importance - 1);
    }
    std::printf(" %9.3f %10.1e", exact_seconds, above);
  }
  std::printf("\n");
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  const bool large = argc > 1 && std::strcmp(argv[1], "--large") == 0;
  std::printf("%13s %-6s %9s %7s %10s %10s %9s %10s\n", "instance", "budget", "CPU s", "points",
              "median gap", "worst gap", "exact s", "above it");
  for (const auto& [clients, units] : {std::pair{9, 24}, {20, 48}, {100, 48}, {1000, 100}}) {
    if (clients == 1000 && !large) continue;
    const PlanningProblem problem = generate_instance(clients, units, 1);
    measure(problem, true);
    measure(with_bytes(problem), false);
  }
  if (large) measure(generate_instance(10000, 200, 1), false);
}
