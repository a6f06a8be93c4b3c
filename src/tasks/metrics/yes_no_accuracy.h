#pragma once
/// \file
/// Whether a model that speaks prefers the right one of yes and no.

#include "tasks/metrics/metric.h"

namespace strata::tasks {

/// Closed accuracy by log-likelihood: of questions that are answered yes or no, how often the right
/// one of these two is the likelier, whatever the model would say.
Metric yes_no_accuracy();

}  // namespace strata::tasks
