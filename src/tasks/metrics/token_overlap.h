#pragma once
/// \file
/// How many of an answer's words are said.

#include "tasks/metrics/metric.h"

namespace strata::tasks {

/// Of open questions, by words as answer_words.h has them, for the accepted answer that is best.
Metric token_recall();
/// Likewise, with the words that are said too many.
Metric token_f1();

}  // namespace strata::tasks
