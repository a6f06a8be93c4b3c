#pragma once
/// \file
/// The problem that Python holds.

#include "bindings/arrays.h"
#include "strata/core/problem_file.h"

namespace strata::python {

struct Problem {
  LoadedProblem loaded;
  /// What is planned: `loaded.problem`, or that with a target usage, whose added clients Python
  /// does not see.
  PlanningProblem planned;
  std::string target = {};  ///< as plan.json's provenance says it

  int clients() const { return loaded.problem.client_count(); }
  bool has_target() const { return !target.empty(); }
  /// With the rows of the added clients.
  Assignment whole(const Assignment& assignment) const;
};

}  // namespace strata::python
