#include "tasks/metrics/macro_f1.h"

namespace strata::tasks {
namespace {

const std::string kF1 = "f1/";

/// Of each class 2 TP, out of 2 TP + FP + FN.
void add(const Outcome& outcome, Tally& tally) {
  const auto f1 = [&](std::int64_t label) -> Sum& { return tally[kF1 + std::to_string(label)]; };
  if (outcome.several) {
    for (std::size_t label = 0; label < outcome.logits.size(); ++label)
      f1(static_cast<std::int64_t>(label));
  }
  for (const std::int64_t label : outcome.chosen) {
    const bool hit = has_label(outcome.truth, label);
    f1(label).add(hit ? 2 : 0, hit ? 2 : 1);
  }
  for (const std::int64_t label : outcome.truth)
    if (label >= 0 && !has_label(outcome.chosen, label)) f1(label).add(0);
}

double value(const Tally& tally) {
  Sum classes;
  visit_sums(tally, kF1, [&](const std::string&, const Sum& f1) {
    classes.add(f1.weight > 0 ? f1.mean() : 0);
  });
  return classes.mean();
}

}  // namespace

Metric macro_f1() {
  return {"macro_f1", "mean over the classes of the harmonic mean of precision and recall", add,
          value};
}

}  // namespace strata::tasks
