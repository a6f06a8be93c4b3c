#include "tasks/metrics/yes_no_accuracy.h"

namespace strata::tasks {

Metric yes_no_accuracy() {
  return {"yes_no_accuracy",
          "of closed questions answered yes or no, how often the right one is the likelier",
          [](const Outcome& outcome, Tally& tally) {
            if (outcome.right_is_likelier) tally["yes_no_accuracy"].add(*outcome.right_is_likelier);
          },
          [](const Tally& tally) { return tally.of("yes_no_accuracy").mean(); }};
}

}  // namespace strata::tasks
