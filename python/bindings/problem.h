#pragma once
/// \file
/// The problem that Python holds.

#include "bindings/arrays.h"
#include "strata/core/problem_file.h"
#include "strata/core/target_usage.h"

namespace strata::python {

struct Problem {
  LoadedProblem loaded;
  /// What is planned: `loaded.problem`, or that with a target usage, whose added clients Python
  /// does not see.
  PlanningProblem planned;

  int clients() const { return loaded.problem.client_count(); }
  bool has_target() const { return !loaded.target_usage.empty(); }
  /// With the rows of the added clients.
  Assignment whole(const Assignment& assignment) const {
    return with_added_clients(planned, assignment);
  }
};

}  // namespace strata::python
