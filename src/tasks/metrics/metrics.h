#pragma once
/// \file
/// The list of metrics. A further one is a file and a line.

#include <string>
#include <vector>

#include "tasks/metrics/metric.h"

namespace strata::tasks {

/// Those of a task, in the order of their columns.
std::vector<const Metric*> metrics_of(const std::string& task);
std::vector<std::string> metric_names(const std::string& task);
/// @throws std::out_of_range
const Metric& metric_of(const std::string& name);

}  // namespace strata::tasks
