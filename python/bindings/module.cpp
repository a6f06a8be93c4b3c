#include <nanobind/nanobind.h>

#include "bindings/topics.h"

NB_MODULE(_core, module) {
  module.doc() = "Strata's planner, as the command line has it. What strata_fl is made of.";
  strata::python::bind_facts(module);
  strata::python::bind_eigenvalues(module);
  strata::python::bind_score_files(module);
}
