// What this module was built from, and the lists of names.

#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "bindings/topics.h"
#include "core/build_info.h"
#include "strata/optimizers/algorithms.h"

namespace strata::python {

void bind_facts(nanobind::module_& module) {
  module.def("version", [] { return std::string(build_version()); });
  module.def("commit", [] { return std::string(build_commit()); });
  module.def("algorithms", [] { return optimizers::algorithm_names(); });
}

}  // namespace strata::python
