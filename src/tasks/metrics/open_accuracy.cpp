#include "tasks/metrics/open_accuracy.h"

namespace strata::tasks {

Metric open_accuracy() {
  return {"open_accuracy", "accuracy of open questions",
          [](const Outcome& outcome, Tally& tally) {
            if (!outcome.closed) tally["open_accuracy"].add(outcome.right);
          },
          [](const Tally& tally) { return tally.of("open_accuracy").mean(); }};
}

Metric closed_accuracy() {
  return {"closed_accuracy", "accuracy of yes/no questions and choices",
          [](const Outcome& outcome, Tally& tally) {
            if (outcome.closed) tally["closed_accuracy"].add(outcome.right);
          },
          [](const Tally& tally) { return tally.of("closed_accuracy").mean(); }};
}

}  // namespace strata::tasks
