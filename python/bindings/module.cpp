#include <nanobind/nanobind.h>

#include "bindings/errors.h"
#include "bindings/topics.h"

NB_MODULE(_core, module) {
  using namespace strata::python;
  module.doc() = "Strata's planner, as the command line has it. What strata_fl is made of.";
  register_errors();
  bind_facts(module);
  bind_scores(module);
  bind_problem(module);
  bind_plans(module);
  bind_fronts(module);
  bind_indicators(module);
  bind_eigenvalues(module);
}
