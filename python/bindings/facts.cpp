// What this module was built from, and the lists of names.

#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "bindings/topics.h"
#include "core/build_info.h"
#include "strata/optimizers/algorithms.h"
#include "strata/optimizers/choose.h"
#include "strata/optimizers/search.h"

namespace strata::python {

void bind_facts(nanobind::module_& module) {
  module.def("version", [] { return std::string(build_version()); });
  module.def("commit", [] { return std::string(build_commit()); });
  module.def("algorithms", [] { return optimizers::algorithm_names(); });
  module.def("search_algorithms", [] { return optimizers::search_algorithms(); });
  module.def("starts", [] { return optimizers::search_starts(); });
  module.def("choice_rules", [] { return optimizers::choice_rules(); });
}

}  // namespace strata::python
