#pragma once
/// \file
/// The mean of the classes' F1 scores.

#include "tasks/metrics/metric.h"

namespace strata::tasks {

/// F1 = 2 TP / (2 TP + FP + FN), as sklearn.metrics.f1_score(average="macro"): over the classes
/// that occur in the truth or in a prediction; where an image may have several labels over all of
/// them, one that never occurs counting 0.
Metric macro_f1();

}  // namespace strata::tasks
