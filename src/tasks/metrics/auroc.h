#pragma once
/// \file
/// The area under the receiver operating characteristic.

#include "tasks/metrics/metric.h"

namespace strata::tasks {

/// How often an example of a class gets a greater score for it than one of the others, equal scores
/// counting half: as sklearn.metrics.roc_auc_score, one class against the rest and averaged over
/// the classes that have examples of both kinds (average="macro", multi_class="ovr"); of two
/// classes either gives the same. Scores are log-odds, so that none is rounded to 1.
///
/// Its sums are the counts of positives and of all at every score and class that occurred: exact,
/// addable over clients, and as many as there are examples and classes. Whoever gets a client's
/// tally therefore learns the scores of its test examples, though not which they are.
Metric auroc();

}  // namespace strata::tasks
