#pragma once
/// \file
/// How often the model is right.

#include "tasks/metrics/metric.h"

namespace strata::tasks {

Metric accuracy();

}  // namespace strata::tasks
