#pragma once
/// \file
/// NumPy's arrays and the library's matrices. Arrays that come in are contiguous and of the type
/// that stands here: strata_fl sees to that.

#include <nanobind/ndarray.h>

#include <vector>

#include "strata/core/assignment_list.h"
#include "strata/core/planning_problem.h"

namespace strata::python {

namespace nb = nanobind;

using Matrix = nb::ndarray<const double, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Assignments = nb::ndarray<const std::uint8_t, nb::ndim<3>, nb::c_contig, nb::device::cpu>;
template <typename Value>
using NumPy = nb::ndarray<nb::numpy, Value>;

/// A new array of this shape with these values.
template <typename Value>
NumPy<Value> to_numpy(std::vector<Value> values, std::vector<std::size_t> shape) {
  auto* kept = new std::vector<Value>(std::move(values));
  const nb::capsule owner(kept,
                          [](void* p) noexcept { delete static_cast<std::vector<Value>*>(p); });
  return NumPy<Value>(kept->data(), shape.size(), shape.data(), owner);
}

Eigen::MatrixXd to_matrix(const Matrix& array);
NumPy<double> to_numpy(const Eigen::MatrixXd& matrix);
/// Points × the problem's first `columns` objectives, to 15 digits, as plan.json has them.
NumPy<double> to_numpy(const std::vector<Objectives>& points,
                       const std::vector<std::string>& names);
/// Points × (importance, usage variance). @throws InputError for another shape.
std::vector<Objectives> to_objectives(const Matrix& array);
/// Points × clients × units.
NumPy<std::uint8_t> to_numpy(const AssignmentList& list, std::size_t clients, std::size_t units);
/// @throws InputError where the shape is not that of the problem.
std::vector<Assignment> to_assignments(const Assignments& array, const PlanningProblem& problem);

}  // namespace strata::python
