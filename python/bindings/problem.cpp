// A planning problem: scores, budgets and rules.

#include "bindings/problem.h"

#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <filesystem>

#include "bindings/errors.h"
#include "bindings/topics.h"
#include "strata/core/error.h"
#include "strata/core/plan_archive.h"
#include "strata/optimizers/baselines.h"
#include "strata/optimizers/feasible.h"

namespace strata::python {
namespace {

using namespace nb::literals;

NumPy<double> evaluate_all(const Problem& self, const Assignments& assignments) {
  const PlanningProblem& problem = self.loaded.problem;
  std::vector<Objectives> points;
  for (const Assignment& assignment : to_assignments(assignments, problem)) {
    if (assignment.size() > 0 && assignment.maxCoeff() > problem.ranks)
      throw InputError("assignments: found an entry of " +
                       std::to_string(static_cast<int>(assignment.maxCoeff())) +
                       ", allowed is 0 to " + std::to_string(problem.ranks));
    points.push_back(evaluate(self.planned, self.whole(assignment)));
  }
  return to_numpy(points, objective_names(problem));
}

/// As pagmo's algorithms see the problem in `strata compare` (optimizers/unit_problem.h).
NumPy<std::uint8_t> repair_all(const Problem& self, const Assignments& assignments) {
  const PlanningProblem& problem = self.loaded.problem;
  if (problem.has_ranks()) throw InputError("repair is for plans of units, not of ranks");
  const Assignment fallback = optimizers::feasible_assignment(problem);
  AssignmentList repaired;
  for (Assignment assignment : to_assignments(assignments, problem)) {
    assignment = (assignment.array() > 0).cast<std::uint8_t>().eval();
    optimizers::repair(problem, fallback, assignment);
    repaired.push_back(assignment);
  }
  return to_numpy(repaired, problem.clients.size(), problem.units.size());
}

NumPy<std::uint8_t> are_feasible(const Problem& self, const Assignments& assignments) {
  const PlanningProblem& problem = self.loaded.problem;
  std::vector<std::uint8_t> found;
  for (const Assignment& assignment : to_assignments(assignments, problem))
    found.push_back(is_feasible(problem, assignment));
  const std::size_t size = found.size();
  return to_numpy(std::move(found), {size});
}

/// An earlier plan's or front's assignments, brought to this problem's clients and units.
NumPy<std::uint8_t> read_assignments(const Problem& self, const std::filesystem::path& path) {
  const PlanningProblem& problem = self.loaded.problem;
  const MatchedArchive matched = match_archive(read_archive(path), problem, path.string());
  return to_numpy(matched.assignments, problem.clients.size(), problem.units.size());
}

NumPy<std::int64_t> budgets_of(const Problem& self) {
  const PlanningProblem& problem = self.loaded.problem;
  std::vector<std::int64_t> budgets(problem.budgets.begin(), problem.budgets.end());
  if (!problem.counts_units()) budgets = problem.capacities;
  return to_numpy(budgets, {budgets.size()});
}

}  // namespace

void bind_problem(nb::module_& module) {
  nb::class_<Problem>(module, "Problem", "Scores, budgets and rules.")
      .def(
          "__init__",
          [](Problem* place, const ScoreTable& scores, const std::string& json,
             const std::string& source) {
            Problem problem{load_problem(scores, json, source)};
            problem.planned = problem.loaded.problem;
            if (problem.has_target())
              problem.planned =
                  with_target_usage(std::move(problem.planned), problem.loaded.target_usage);
            new (place) Problem(std::move(problem));
          },
          "scores"_a, "options"_a, "source"_a = "problem")
      .def_prop_ro("clients", [](const Problem& self) { return self.loaded.problem.clients; })
      .def_prop_ro("units", [](const Problem& self) { return self.loaded.problem.units; })
      .def_prop_ro("always", [](const Problem& self) { return self.loaded.always; })
      .def_prop_ro("warnings", [](const Problem& self) { return self.loaded.warnings; })
      .def_prop_ro("normalised", [](const Problem& self) { return self.loaded.normalised; })
      .def_prop_ro(
          "importance",
          [](const Problem& self) { return to_numpy(self.loaded.problem.importance); },
          nb::rv_policy::reference)
      .def_prop_ro("ranks", [](const Problem& self) { return self.loaded.problem.ranks; })
      .def_prop_ro("resource", [](const Problem& self) { return self.loaded.problem.resource; })
      .def_prop_ro("budgets", budgets_of, nb::rv_policy::reference)
      .def_prop_ro("objectives",
                   [](const Problem& self) { return objective_names(self.loaded.problem); })
      .def("evaluate", evaluate_all, "assignments"_a)
      .def("repair", repair_all, "assignments"_a)
      .def("is_feasible", are_feasible, "assignments"_a)
      .def("read_assignments", read_assignments, "path"_a);
}

}  // namespace strata::python
