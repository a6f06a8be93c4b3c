// How good fronts are, and which point of one is taken.

#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <cmath>
#include <tuple>

#include "bindings/arrays.h"
#include "bindings/topics.h"
#include "strata/optimizers/choose.h"
#include "strata/optimizers/compare.h"
#include "strata/optimizers/hypervolume.h"
#include "strata/optimizers/statistics.h"

namespace strata::python {
namespace {

using namespace nb::literals;
using namespace strata::optimizers;

/// Algorithm, evaluations, seed, hypervolume ratio, IGD⁺, spread, points, seconds.
using Run = std::tuple<std::string, std::int64_t, std::uint64_t, double, double, double,
                       std::int64_t, double>;
/// Algorithm, runs, median ratio, IGD⁺ and spread, points and seconds, whether it is the best, p.
using Line = std::tuple<std::string, int, double, double, double, double, double, bool, double>;

std::vector<Line> summarise_runs(const std::vector<Run>& runs) {
  std::vector<ComparisonRun> all;
  for (const Run& run : runs) {
    ComparisonRun each;
    std::tie(each.algorithm, each.evaluations, each.seed, each.hypervolume_ratio, each.igd_plus,
             each.spread, each.points, each.seconds) = run;
    each.evaluations = 0;  // rivals are compared whatever each of them spent
    all.push_back(std::move(each));
  }
  std::vector<Line> lines;
  for (const ComparisonSummary& group : summarise(all)) {
    lines.emplace_back(group.group.algorithm, group.runs, group.hypervolume_ratio.median,
                       group.igd_plus.median, group.spread.median, group.points.median,
                       group.seconds.median, group.best, group.p);
  }
  return lines;
}

}  // namespace

void bind_indicators(nb::module_& module) {
  module.def(
      "hypervolume",
      [](const Matrix& front, double importance, double usage_variance) {
        return hypervolume(to_objectives(front),
                           {.importance = importance, .usage_variance = usage_variance});
      },
      "front"_a, "importance"_a, "usage_variance"_a);
  for (const auto& [name, measure] :
       {std::pair{"hypervolume_ratio", &hypervolume_ratio}, std::pair{"igd_plus", &igd_plus},
        std::pair{"spread", &spread}}) {
    module.def(
        name,
        [measure = measure](const Matrix& front, const Matrix& exact) {
          return measure(to_objectives(front), to_objectives(exact));
        },
        "front"_a, "exact"_a);
  }
  module.def("check_choice", &check_choice, "rule"_a);
  module.def(
      "choose",
      [](const Matrix& front, const std::string& rule) {
        return choose(to_objectives(front), rule);
      },
      "front"_a, "rule"_a);
  module.def("summarise", summarise_runs, "runs"_a);
}

}  // namespace strata::python
