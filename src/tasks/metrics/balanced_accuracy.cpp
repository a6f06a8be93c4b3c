#include "tasks/metrics/balanced_accuracy.h"

namespace strata::tasks {
namespace {

const std::string kRecall = "recall/", kSpecificity = "specificity/";

void add(const Outcome& outcome, Tally& tally) {
  if (!outcome.several) {
    if (!outcome.truth.empty())
      tally[kRecall + std::to_string(outcome.truth.front())].add(outcome.right);
    return;
  }
  const auto labels = static_cast<std::int64_t>(outcome.logits.size());
  for (std::int64_t label = 0; label < labels; ++label) {
    const bool is = has_label(outcome.truth, label), said = has_label(outcome.chosen, label);
    tally[(is ? kRecall : kSpecificity) + std::to_string(label)].add(is == said);
  }
}

double value(const Tally& tally) {
  const bool several = tally.lower_bound(kSpecificity) != tally.end() &&
                       tally.lower_bound(kSpecificity)->first.starts_with(kSpecificity);
  Sum classes;
  visit_sums(tally, kRecall, [&](const std::string& label, const Sum& recall) {
    if (!several) {
      classes.add(recall.mean());
    } else if (const Sum specificity = tally.of(kSpecificity + label); specificity.weight > 0) {
      classes.add((recall.mean() + specificity.mean()) / 2);
    }
  });
  return classes.mean();
}

}  // namespace

Metric balanced_accuracy() {
  return {"balanced_accuracy", "mean over the classes of the share of theirs that is found", add,
          value};
}

}  // namespace strata::tasks
