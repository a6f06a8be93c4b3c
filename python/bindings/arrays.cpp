#include "bindings/arrays.h"

#include <algorithm>
#include <iterator>
#include <stdexcept>
#include <string>

#include "core/plan.h"
#include "strata/core/error.h"

namespace strata::python {
namespace {

struct ObjectiveRow {
  const char* name;  ///< as objective_names has it
  double Objectives::*value;
  bool whole;  ///< and so exact
};

constexpr ObjectiveRow kObjectives[] = {
    {"importance", &Objectives::importance, false},
    {"usage_variance", &Objectives::usage_variance, false},
    {"uplink_bytes", &Objectives::uplink_bytes, true},
    {"slowest_client", &Objectives::slowest_seconds, false},
};

double value_of(const Objectives& point, const std::string& name) {
  const auto row = std::find_if(std::begin(kObjectives), std::end(kObjectives),
                                [&](const ObjectiveRow& at) { return at.name == name; });
  if (row == std::end(kObjectives)) throw std::out_of_range(name);
  return row->whole ? point.*row->value : to_fifteen_digits(point.*row->value);
}

}  // namespace

Eigen::MatrixXd to_matrix(const Matrix& array) {
  using RowMajor = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  return Eigen::Map<const RowMajor>(array.data(), static_cast<Eigen::Index>(array.shape(0)),
                                    static_cast<Eigen::Index>(array.shape(1)));
}

NumPy<double> to_numpy(const Eigen::MatrixXd& matrix) {
  std::vector<double> values;
  for (Eigen::Index i = 0; i < matrix.rows(); ++i)
    for (Eigen::Index j = 0; j < matrix.cols(); ++j) values.push_back(matrix(i, j));
  return to_numpy(std::move(values), {static_cast<std::size_t>(matrix.rows()),
                                      static_cast<std::size_t>(matrix.cols())});
}

NumPy<double> to_numpy(const std::vector<Objectives>& points,
                       const std::vector<std::string>& names) {
  std::vector<double> values;
  for (const Objectives& point : points)
    for (const std::string& name : names) values.push_back(value_of(point, name));
  return to_numpy(std::move(values), {points.size(), names.size()});
}

std::vector<Objectives> to_objectives(const Matrix& array) {
  if (array.shape(1) != 2)
    throw InputError(
        "points: an array of points × 2 (importance, usage variance) was expected, "
        "found " +
        std::to_string(array.shape(0)) + " × " + std::to_string(array.shape(1)));
  std::vector<Objectives> points(array.shape(0));
  for (std::size_t i = 0; i < points.size(); ++i)
    points[i] = {.importance = array(i, 0), .usage_variance = array(i, 1)};
  return points;
}

NumPy<std::uint8_t> to_numpy(const AssignmentList& list, std::size_t clients, std::size_t units) {
  std::vector<std::uint8_t> values;
  values.reserve(list.size() * clients * units);
  for (const Assignment& assignment : list)
    values.insert(values.end(), assignment.data(), assignment.data() + assignment.size());
  return to_numpy(std::move(values), {list.size(), clients, units});
}

std::vector<Assignment> to_assignments(const Assignments& array, const PlanningProblem& problem) {
  const std::size_t clients = problem.clients.size(), units = problem.units.size();
  if (array.shape(1) != clients || array.shape(2) != units)
    throw InputError("assignments: found " + std::to_string(array.shape(1)) + " clients and " +
                     std::to_string(array.shape(2)) + " units, the problem has " +
                     std::to_string(clients) + " and " + std::to_string(units));
  std::vector<Assignment> assignments;
  for (std::size_t k = 0; k < array.shape(0); ++k)
    assignments.push_back(Eigen::Map<const Assignment>(array.data() + k * clients * units,
                                                       static_cast<Eigen::Index>(clients),
                                                       static_cast<Eigen::Index>(units)));
  return assignments;
}

}  // namespace strata::python
