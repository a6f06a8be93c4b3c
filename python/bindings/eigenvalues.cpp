// The largest eigenvalue of a kernel that strata_fl.scoring made, by the scorer's own solver.

#include "ntk/eigenvalues.h"

#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>

#include <cstdint>
#include <string>
#include <tuple>

#include "bindings/topics.h"
#include "strata/core/error.h"

namespace strata::python {
namespace {

using Kernel = nanobind::ndarray<const double, nanobind::ndim<2>, nanobind::c_contig,
                                 nanobind::device::cpu>;

nanobind::tuple principal_eigenvalue(const Kernel& kernel, std::uint64_t seed,
                                     const std::string& what) {
  const auto rows = static_cast<Eigen::Index>(kernel.shape(0));
  if (rows == 0 || kernel.shape(0) != kernel.shape(1)) {
    const std::string text = "kernel: a square matrix was expected, found " +
                             std::to_string(kernel.shape(0)) + " x " +
                             std::to_string(kernel.shape(1));
    throw nanobind::value_error(text.c_str());
  }
  // Symmetric, so that the order of rows and columns does not matter.
  const Eigen::Map<const Eigen::MatrixXd> matrix(kernel.data(), rows, rows);
  ntk::Spectrum spectrum;
  try {
    const nanobind::gil_scoped_release release;
    spectrum = ntk::dense_spectrum(matrix, 1, seed, what);
  } catch (const WorkError& error) {
    throw nanobind::value_error(error.what());
  }
  return nanobind::make_tuple(spectrum.values.front(), spectrum.residual, spectrum.second_start);
}

}  // namespace

void bind_eigenvalues(nanobind::module_& module) {
  using namespace nanobind::literals;
  module.def("principal_eigenvalue", principal_eigenvalue, "kernel"_a, "seed"_a, "what"_a,
             nanobind::sig("def principal_eigenvalue(kernel: numpy.typing.NDArray[numpy.float64], "
                           "seed: int, what: str) -> tuple[float, float, float]"),
             "The largest eigenvalue of a symmetric positive semidefinite matrix, its relative "
             "residual, and the relative difference to that of a second random start. ValueError "
             "that names `what`: an entry is not finite.");
}

}  // namespace strata::python
