#pragma once
// Examples and what a model made of them, for metrics.

#include <algorithm>
#include <cstdint>
#include <vector>

#include "tasks/metrics/metric.h"

namespace strata::test {

struct Judged {
  std::vector<std::int64_t> truth;
  std::vector<float> logits;
  bool closed = false;
};

/// The tally of one metric over examples, of which each has several labels or one.
inline tasks::Tally tally_of(const tasks::Metric& metric, const std::vector<Judged>& examples,
                             bool several = false) {
  tasks::Tally tally;
  for (const Judged& example : examples) {
    std::vector<std::int64_t> chosen;
    if (several) {
      for (std::size_t label = 0; label < example.logits.size(); ++label)
        if (example.logits[label] > 0) chosen.push_back(static_cast<std::int64_t>(label));
    } else {
      chosen = {std::max_element(example.logits.begin(), example.logits.end()) -
                example.logits.begin()};
    }
    const bool right =
        several ? chosen == example.truth
                : std::count(example.truth.begin(), example.truth.end(), chosen.front()) > 0;
    metric.add({example.truth, chosen, example.logits, several, right, example.closed}, tally);
  }
  return tally;
}

inline double value_of(const tasks::Metric& metric, const std::vector<Judged>& examples,
                       bool several = false) {
  return metric.value(tally_of(metric, examples, several));
}

/// Six examples of three classes: four are right.
inline std::vector<Judged> three_classes() {
  return {{{0}, {2.0f, 0.5f, -1.0f}}, {{0}, {0.1f, 0.3f, 0.2f}},  {{1}, {-1.0f, 0.8f, 0.0f}},
          {{1}, {0.0f, 1.5f, 1.0f}},  {{2}, {0.4f, -0.2f, 0.9f}}, {{2}, {1.2f, 0.1f, 0.3f}}};
}

/// Four examples of three labels: one has none of them.
inline std::vector<Judged> several_labels() {
  return {{{0, 2}, {1.0f, -0.5f, 0.7f}},
          {{}, {-1.0f, 0.2f, -0.3f}},
          {{1}, {0.4f, 0.9f, -2.0f}},
          {{0, 1}, {0.6f, -0.1f, -0.2f}}};
}

}  // namespace strata::test
