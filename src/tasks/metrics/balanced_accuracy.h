#pragma once
/// \file
/// The mean of the classes' recalls, in which rare classes count as frequent ones do.

#include "tasks/metrics/metric.h"

namespace strata::tasks {

/// As sklearn.metrics.balanced_accuracy_score: over the classes that occur in the truth. Where an
/// image may have several labels, each one's recall and specificity count half, over the labels
/// that have both.
Metric balanced_accuracy();

}  // namespace strata::tasks
