#include "tasks/metrics/auroc.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <vector>

namespace strata::tasks {
namespace {

const std::string kScores = "auroc/";

/// log(p / (1 - p)) of a label.
double log_odds(const Outcome& outcome, std::size_t label) {
  const double own = outcome.logits[label];
  if (outcome.several) return own;
  double most = -HUGE_VAL, sum = 0;
  for (std::size_t other = 0; other < outcome.logits.size(); ++other)
    if (other != label) most = std::max<double>(most, outcome.logits[other]);
  for (std::size_t other = 0; other < outcome.logits.size(); ++other)
    if (other != label) sum += std::exp(static_cast<double>(outcome.logits[other]) - most);
  return own - most - std::log(sum);
}

void add(const Outcome& outcome, Tally& tally) {
  for (std::size_t label = 0; label < outcome.logits.size(); ++label) {
    char score[40];
    std::snprintf(score, sizeof score, "%zu/%a", label, log_odds(outcome, label));
    tally[kScores + score].add(has_label(outcome.truth, static_cast<std::int64_t>(label)));
  }
}

/// Of positives and all by score.
double area(const std::map<double, Sum>& scores) {
  double below = 0, positives = 0, area = 0;  // `below`: negatives of smaller scores
  for (const auto& [score, at] : scores) {
    const double negatives = at.weight - at.sum;
    area += at.sum * (below + negatives / 2);
    below += negatives;
    positives += at.sum;
  }
  return area / (positives * below);  // NaN where either is 0
}

double value(const Tally& tally) {
  std::map<std::string, std::map<double, Sum>> by_label;
  visit_sums(tally, kScores, [&](const std::string& rest, const Sum& sum) {
    const std::size_t slash = rest.find('/');
    Sum& at = by_label[rest.substr(0, slash)][std::strtod(rest.c_str() + slash + 1, nullptr)];
    at.add(sum.sum, sum.weight);
  });
  Sum labels;
  for (const auto& [label, scores] : by_label)
    if (const double found = area(scores); !std::isnan(found)) labels.add(found);
  return labels.mean();
}

}  // namespace

Metric auroc() {
  return {"auroc", "how often an example of a class gets a greater score for it than another", add,
          value};
}

}  // namespace strata::tasks
