#pragma once
/// \file
/// How often the model is right about open questions, and about closed ones.

#include "tasks/metrics/metric.h"

namespace strata::tasks {

/// Of questions that ask for an answer in words.
Metric open_accuracy();
/// Of those to be answered by yes or no, or by one of several choices.
Metric closed_accuracy();

}  // namespace strata::tasks
