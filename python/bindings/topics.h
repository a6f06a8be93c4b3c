#pragma once
/// \file
/// The topics of the module strata_fl._core: each a file that binds one of the library's.

#include <nanobind/nanobind.h>

namespace strata::python {

/// In this order, as signatures name the types of topics before.
void bind_facts(nanobind::module_& module);
void bind_scores(nanobind::module_& module);
void bind_problem(nanobind::module_& module);
void bind_plans(nanobind::module_& module);
void bind_fronts(nanobind::module_& module);
void bind_indicators(nanobind::module_& module);
void bind_eigenvalues(nanobind::module_& module);

}  // namespace strata::python
