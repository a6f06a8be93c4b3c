// Fronts by every algorithm, and the plans that are chosen from them.

#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <cmath>
#include <optional>

#include "bindings/errors.h"
#include "bindings/problem.h"
#include "bindings/topics.h"
#include "strata/core/error.h"
#include "strata/core/front_file.h"
#include "strata/core/plan_options.h"
#include "strata/optimizers/certificate.h"
#include "strata/optimizers/hypervolume.h"
#include "strata/optimizers/make_plan.h"

namespace strata::python {
namespace {

using namespace nb::literals;
using optimizers::Certificate;

/// What is planned of, and the front. Python keeps the problem.
struct Front {
  optimizers::PlannedFront planned;
  PlanningProblem problem;  ///< as Python sees it

  const Plan& plan() const { return planned.plan; }
  const Certificate& certificate() const {
    if (planned.certificate) return *planned.certificate;
    throw InputError("this front was asked for without its gap, so nothing bounds it");
  }
};

Front plan_front(const Problem& self, const PlanOptions& options) {
  const LongCall call;
  const LoadedProblem& loaded = self.loaded;
  Front front{optimizers::plan_front_towards(loaded.problem, loaded.target_usage, options),
              loaded.problem};
  // As `strata plan` says what its plans are of.
  Plan& plan = front.planned.plan;
  plan.scores_digest = digest(loaded.scores);
  plan.provenance.emplace_back("normalise", loaded.normalised);
  plan.always = loaded.always;
  return front;
}

PlanOptions options_of(const Problem& self, const std::string& algorithm, bool gap, bool sweep,
                       double full_front_seconds, const std::string& start,
                       std::int64_t evaluations, double seconds, int population, int islands,
                       std::uint64_t seed, const std::optional<Assignments>& warm_start) {
  PlanOptions options{
      .algorithm = algorithm, .gap = gap, .sweep = sweep, .full_front_seconds = full_front_seconds};
  options.search.start = start;
  options.search.evaluations = evaluations;
  options.search.seconds = seconds;
  options.search.population = population;
  options.search.islands = islands;
  options.search.seed = seed;
  if (warm_start) options.search.warm_start = to_assignments(*warm_start, self.loaded.problem);
  return options;
}

/// The least variance that there is, in 15 digits, may be a little below itself, where no
/// assignment is.
double bound_at(const Certificate& certificate, double usage_variance) {
  const double bound = certificate.importance_bound(usage_variance);
  return std::isfinite(bound) ? bound : certificate.importance_bound(usage_variance * (1 + 1e-14));
}

void bind_certificate(nb::module_& module) {
  nb::class_<Certificate>(module, "Certificate", "What no assignment of a problem exceeds.")
      .def_prop_ro("kind", [](const Certificate& self) { return certificate_name(self.kind); })
      .def_ro("algorithm", &Certificate::algorithm)
      .def_prop_ro(
          "bounds",
          [](const Certificate& self) {
            return to_numpy(self.bounds, {"importance", "usage_variance"});
          },
          nb::rv_policy::reference)
      .def("importance_bound", bound_at, "usage_variance"_a)
      .def(
          "hypervolume_ratio",
          [](const Certificate& self, const Matrix& front) {
            return optimizers::hypervolume_ratio(to_objectives(front), self.bounds);
          },
          "front"_a);
  module.def(
      "certify",
      [](const Problem& self) {
        const LongCall call;
        return optimizers::certify(self.planned);
      },
      "problem"_a);
}

}  // namespace

void bind_fronts(nb::module_& module) {
  bind_certificate(module);
  const SearchOptions search;
  nb::class_<Front>(module, "Front", "Plans that no other one found beats in all objectives.")
      .def_prop_ro("algorithm", [](const Front& self) { return self.plan().algorithm; })
      .def_prop_ro("kind", [](const Front& self) { return kind_name(self.plan().kind); })
      .def_prop_ro("evaluations", [](const Front& self) { return self.plan().evaluations; })
      .def_prop_ro("seed", [](const Front& self) { return self.plan().seed; })
      .def("__len__", [](const Front& self) { return self.plan().front.size(); })
      .def_prop_ro(
          "F",
          [](const Front& self) {
            return to_numpy(self.plan().front, objective_names(self.problem));
          },
          nb::rv_policy::reference)
      .def_prop_ro(
          "X",
          [](const Front& self) {
            return to_numpy(self.plan().archive, self.problem.clients.size(),
                            self.problem.units.size());
          },
          nb::rv_policy::reference)
      .def_prop_ro("certificate", [](const Front& self) { return self.certificate(); })
      .def(
          "choose",
          [](const Front& self, const std::string& rule) {
            return optimizers::choose_plan(self.problem, self.planned, rule);
          },
          "rule"_a)
      .def(
          "text",
          [](const Front& self, const std::string& rule, const std::filesystem::path& file) {
            return front_text(optimizers::choose_plan(self.problem, self.planned, rule), file);
          },
          "rule"_a, "file"_a);
  module.def(
      "plan_front",
      [](const Problem& self, const std::string& algorithm, bool gap, bool sweep,
         double full_front_seconds, const std::string& start, std::int64_t evaluations,
         double seconds, int population, int islands, std::uint64_t seed,
         const std::optional<Assignments>& warm_start) {
        return plan_front(
            self, options_of(self, algorithm, gap, sweep, full_front_seconds, start, evaluations,
                             seconds, population, islands, seed, warm_start));
      },
      "problem"_a, "algorithm"_a = "auto", nb::kw_only(), "gap"_a = true, "sweep"_a = false,
      "full_front_seconds"_a = 0.0, "start"_a = search.start, "evaluations"_a = search.evaluations,
      "seconds"_a = search.seconds, "population"_a = search.population,
      "islands"_a = search.islands, "seed"_a = search.seed, "warm_start"_a = nb::none());
}

}  // namespace strata::python
