#include "tasks/metrics/micro_f1.h"

namespace strata::tasks {
namespace {

/// 2 TP, out of as many as are right and as are chosen. Of one label an example, any accepted one
/// is right.
void add(const Outcome& outcome, Tally& tally) {
  double hits = 0;
  for (const std::int64_t label : outcome.chosen) hits += has_label(outcome.truth, label);
  const std::size_t right = outcome.several ? outcome.truth.size() : 1;
  tally["micro_f1"].add(2 * hits, static_cast<double>(right + outcome.chosen.size()));
}

}  // namespace

Metric micro_f1() {
  return {"micro_f1", "harmonic mean of precision and recall of all classes together", add,
          [](const Tally& tally) { return tally.of("micro_f1").mean(); }};
}

}  // namespace strata::tasks
