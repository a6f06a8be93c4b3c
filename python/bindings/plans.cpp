// Plans, and the file plan.json.

#include "strata/core/plan.h"

#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/variant.h>
#include <nanobind/stl/vector.h>

#include "bindings/arrays.h"
#include "bindings/topics.h"
#include "strata/core/plan_archive.h"

namespace strata::python {
namespace {

using namespace nb::literals;

/// Those that any of the plan's points has beyond the two.
std::vector<std::string> objectives_of_plan(const Plan& plan) {
  std::vector<std::string> names = {"importance", "usage_variance"};
  const auto any = [&](double Objectives::*value) {
    for (const Objectives& point : plan.front)
      if (point.*value > 0) return true;
    return plan.objectives.*value > 0;
  };
  if (any(&Objectives::uplink_bytes)) names.emplace_back("uplink_bytes");
  if (any(&Objectives::slowest_seconds)) names.emplace_back("slowest_client");
  return names;
}

NumPy<std::uint8_t> assignment_of(const Plan& plan) {
  std::vector<std::uint8_t> values(plan.assignment.data(),
                                   plan.assignment.data() + plan.assignment.size());
  return to_numpy(std::move(values), {plan.clients.size(), plan.units.size()});
}

}  // namespace

void bind_plans(nb::module_& module) {
  nb::class_<Gap>(module, "Gap", "How far a plan is from what no assignment exceeds.")
      .def_ro("known", &Gap::known)
      .def_ro("importance", &Gap::importance)
      .def_ro("relative", &Gap::relative)
      .def_ro("hypervolume_ratio", &Gap::hypervolume_ratio)
      .def_prop_ro("certificate", [](const Gap& gap) { return certificate_name(gap.certificate); });
  nb::class_<Plan>(module, "Plan", "Who trains what.")
      .def_ro("algorithm", &Plan::algorithm)
      .def_prop_ro("kind", [](const Plan& plan) { return kind_name(plan.kind); })
      .def_ro("choose", &Plan::choose)
      .def_ro("seed", &Plan::seed)
      .def_ro("evaluations", &Plan::evaluations)
      .def_ro("clients", &Plan::clients)
      .def_ro("units", &Plan::units)
      .def_ro("always", &Plan::always)
      .def_ro("ranks", &Plan::ranks)
      .def_ro("counted", &Plan::counted)
      .def_ro("used", &Plan::used)
      .def_ro("budgets", &Plan::budgets)
      .def_ro("row", &Plan::row)
      .def_ro("gap", &Plan::gap)
      .def_ro("scores_digest", &Plan::scores_digest)
      .def_ro("provenance", &Plan::provenance)
      .def_prop_ro("assignment", assignment_of, nb::rv_policy::reference)
      .def_prop_ro("objectives", objectives_of_plan)
      .def_prop_ro(
          "point",
          [](const Plan& plan) {
            return to_numpy(std::vector<Objectives>{plan.objectives}, objectives_of_plan(plan));
          },
          nb::rv_policy::reference)
      .def_prop_ro(
          "front", [](const Plan& plan) { return to_numpy(plan.front, objectives_of_plan(plan)); },
          nb::rv_policy::reference)
      .def("json", &plan_json)
      .def("write", &write_plan, "path"_a)
      .def(
          "write_archive",
          [](const Plan& plan, const std::filesystem::path& path) {
            write_archive(archive_of(plan), path);
          },
          "path"_a);
  module.def("read_plan", &read_plan, "path"_a);
}

}  // namespace strata::python
