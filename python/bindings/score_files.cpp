// scores.json and scores.csv as every part of Strata writes and reads them (docs/score_files.md).

#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "bindings/topics.h"
#include "strata/core/error.h"
#include "strata/core/score_table.h"

namespace strata::python {
namespace {

using Texts = std::vector<std::string>;
using Matrix = nanobind::ndarray<const double, nanobind::ndim<2>, nanobind::c_contig,
                                 nanobind::device::cpu>;

Eigen::MatrixXd matrix_of(const Matrix& values) {
  using RowMajor = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  return Eigen::Map<const RowMajor>(values.data(), static_cast<Eigen::Index>(values.shape(0)),
                                    static_cast<Eigen::Index>(values.shape(1)));
}

nanobind::object rows_of(const Eigen::MatrixXd& values) {
  std::vector<std::vector<double>> rows;
  for (Eigen::Index i = 0; i < values.rows(); ++i) {
    const Eigen::VectorXd row = values.row(i);
    rows.emplace_back(row.begin(), row.end());
  }
  nanobind::list list;
  for (const auto& row : rows) {
    nanobind::list numbers;
    for (const double number : row) numbers.append(number);
    list.append(numbers);
  }
  return list;
}

/// `raw` and `roles` may be empty. Written whole or not at all.
void write_score_file(const std::string& path, const std::string& metric,
                      const std::string& fingerprint, std::int64_t samples, const Texts& clients,
                      const Texts& units, const Texts& roles, const Matrix& scores,
                      const Matrix& raw) {
  ScoreTable table;
  table.metric = metric;
  table.model_fingerprint = fingerprint;
  table.samples = samples;
  table.clients = clients;
  table.units = units;
  table.scores = matrix_of(scores);
  if (raw.size() > 0) table.raw = matrix_of(raw);
  try {
    for (const std::string& name : roles) {
      const auto role = parse_role(name);
      if (!role) throw InputError("roles: \"" + name + "\" is not one of " + quoted_list(role_names()));
      table.roles.push_back(*role);
    }
    table.validate(path);
    write_scores(table, path);
  } catch (const InputError& error) {
    throw nanobind::value_error(error.what());
  }
}

nanobind::dict read_score_file(const std::string& path, const std::string& metric) {
  ScoreTable table;
  try {
    table = read_scores(path, metric);
  } catch (const InputError& error) {
    throw nanobind::value_error(error.what());
  }
  Texts roles;
  std::transform(table.roles.begin(), table.roles.end(), std::back_inserter(roles), role_name);
  nanobind::dict found;
  found["metric"] = table.metric;
  found["model_fingerprint"] = table.model_fingerprint;
  found["samples"] = table.samples;
  found["clients"] = table.clients;
  found["units"] = table.units;
  found["roles"] = roles;
  found["scores"] = rows_of(table.scores);
  found["raw"] = rows_of(table.raw);
  return found;
}

}  // namespace

void bind_score_files(nanobind::module_& module) {
  using namespace nanobind::literals;
  module.def("write_score_file", write_score_file, "path"_a, "metric"_a, "model_fingerprint"_a,
             "samples"_a, "clients"_a, "units"_a, "roles"_a, "scores"_a, "raw"_a,
             nanobind::sig(
                 "def write_score_file(path: str, metric: str, model_fingerprint: str, samples: "
                 "int, clients: list[str], units: list[str], roles: list[str], scores: "
                 "numpy.typing.NDArray[numpy.float64], raw: "
                 "numpy.typing.NDArray[numpy.float64]) -> None"),
             "Writes scores.json or, by the extension .csv, scores.csv. ValueError: names that "
             "are empty or stand twice, values that are negative or not finite.");
  module.def("read_score_file", read_score_file, "path"_a, "metric"_a = "",
             "What a file of scores, a table of one, or a folder of them holds, by key. ValueError "
             "with file and line or key.");
}

}  // namespace strata::python
