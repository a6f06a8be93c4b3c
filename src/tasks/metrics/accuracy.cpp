#include "tasks/metrics/accuracy.h"

namespace strata::tasks {

Metric accuracy() {
  return {"accuracy", "share of examples about which the model is right",
          [](const Outcome& outcome, Tally& tally) { tally["accuracy"].add(outcome.right); },
          [](const Tally& tally) { return tally.of("accuracy").mean(); }};
}

}  // namespace strata::tasks
