#pragma once
/// \file
/// The F1 score of all classes together.

#include "tasks/metrics/metric.h"

namespace strata::tasks {

/// 2 TP / (2 TP + FP + FN), each counted over all examples and classes, as
/// sklearn.metrics.f1_score(average="micro"): frequent classes weigh more than in macro F1. With
/// one label an example it is the accuracy.
Metric micro_f1();

}  // namespace strata::tasks
