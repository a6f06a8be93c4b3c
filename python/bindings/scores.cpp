// Score tables: clients × units, and the files that hold them.

#include "strata/core/score_table.h"

#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <optional>

#include "bindings/arrays.h"
#include "bindings/topics.h"
#include "strata/core/error.h"

namespace strata::python {
namespace {

using namespace nb::literals;

std::vector<std::string> roles_of(const ScoreTable& table) {
  std::vector<std::string> names;
  for (const Role role : table.roles) names.push_back(role_name(role));
  return names;
}

void make_table(ScoreTable* place, std::vector<std::string> clients, std::vector<std::string> units,
                const Matrix& scores, const std::string& metric,
                const std::string& model_fingerprint, std::int64_t samples,
                const std::vector<std::string>& roles, const std::optional<Matrix>& raw,
                const std::string& source) {
  ScoreTable table{metric, model_fingerprint, samples, std::move(clients), std::move(units)};
  for (const std::string& name : roles) {
    require_name(source + ": roles", name, role_names());
    table.roles.push_back(*parse_role(name));
  }
  table.scores = to_matrix(scores);
  if (raw) table.raw = to_matrix(*raw);
  table.validate(source);
  new (place) ScoreTable(std::move(table));
}

}  // namespace

void bind_scores(nb::module_& module) {
  nb::class_<ScoreTable>(module, "ScoreTable", "Importance of every unit for every client.")
      .def("__init__", make_table, "clients"_a, "units"_a, "scores"_a, nb::kw_only(),
           "metric"_a = "", "model_fingerprint"_a = "", "samples"_a = 0,
           "roles"_a = std::vector<std::string>(), "raw"_a = nb::none(), "source"_a = "scores")
      .def_ro("clients", &ScoreTable::clients)
      .def_ro("units", &ScoreTable::units)
      .def_ro("metric", &ScoreTable::metric)
      .def_ro("model_fingerprint", &ScoreTable::model_fingerprint)
      .def_ro("samples", &ScoreTable::samples)
      .def_prop_ro("roles", roles_of)
      .def_prop_ro(
          "scores", [](const ScoreTable& table) { return to_numpy(table.scores); },
          nb::rv_policy::reference)
      .def_prop_ro(
          "raw", [](const ScoreTable& table) { return to_numpy(table.raw); },
          nb::rv_policy::reference);
  module.def("read_scores", &read_scores, "path"_a, "metric"_a = "");
  module.def("write_scores", &write_scores, "table"_a, "path"_a);
  module.def(
      "digest", [](const ScoreTable& table) { return digest(table); }, "table"_a);
}

}  // namespace strata::python
