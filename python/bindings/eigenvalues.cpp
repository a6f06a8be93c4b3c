// The largest eigenvalue of a kernel that strata_fl.scoring made, by the scorer's own solver.

#include "ntk/eigenvalues.h"

#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>

#include <cstdint>
#include <string>
#include <tuple>

#include "bindings/arrays.h"
#include "bindings/topics.h"
#include "strata/core/error.h"

namespace strata::python {
namespace {

using namespace nb::literals;

std::tuple<double, double, double> principal_eigenvalue(const Matrix& kernel, std::uint64_t seed,
                                                        const std::string& what) {
  const auto rows = static_cast<Eigen::Index>(kernel.shape(0));
  if (rows == 0 || kernel.shape(0) != kernel.shape(1)) {
    throw InputError("kernel: a square matrix was expected, found " +
                     std::to_string(kernel.shape(0)) + " x " + std::to_string(kernel.shape(1)));
  }
  // Symmetric, so that the order of rows and columns does not matter.
  const Eigen::Map<const Eigen::MatrixXd> matrix(kernel.data(), rows, rows);
  if (!matrix.allFinite()) throw InputError("the kernel of " + what + " is not finite");
  const nb::gil_scoped_release release;
  const ntk::Spectrum spectrum = ntk::dense_spectrum(matrix, 1, seed, what);
  return {spectrum.values.front(), spectrum.residual, spectrum.second_start};
}

}  // namespace

void bind_eigenvalues(nb::module_& module) {
  module.def("principal_eigenvalue", principal_eigenvalue, "kernel"_a, "seed"_a, "what"_a,
             "The largest eigenvalue of a symmetric positive semidefinite matrix, its relative "
             "residual, and the relative difference to that of a second random start.");
}

}  // namespace strata::python
