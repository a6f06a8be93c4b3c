#pragma once
/// \file
/// The problem that Python holds.

#include "bindings/arrays.h"
#include "strata/core/problem_file.h"

namespace strata::python {

struct Problem {
  LoadedProblem loaded;
};

}  // namespace strata::python
