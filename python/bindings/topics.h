#pragma once
/// \file
/// The topics of the module strata_fl._core: each a file that binds one of the library's.

#include <nanobind/nanobind.h>

namespace strata::python {

void bind_facts(nanobind::module_& module);
void bind_eigenvalues(nanobind::module_& module);
void bind_score_files(nanobind::module_& module);

}  // namespace strata::python
