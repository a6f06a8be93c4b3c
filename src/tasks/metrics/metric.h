#pragma once
/// \file
/// How well a model does: a number made of a tally. One file a metric; the list of them is
/// metrics.h.

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tasks/tally.h"

namespace strata::tasks {

/// What a model made of one example: which labels it chose, or its words.
struct Outcome {
  const std::vector<std::int64_t>& truth;   ///< accepted labels, or with `several` the right ones
  const std::vector<std::int64_t>& chosen;  ///< the likeliest, or those of probability > 1/2
  std::span<const float> logits;            ///< by label
  bool several = false;                     ///< any number of labels may be right
  bool right = false;
  bool closed = false;  ///< the question is yes/no or a choice
  /// Of a model that answers in words: what it is to say, and what it says.
  const std::vector<std::string>* answers = nullptr;
  std::string text = {};
  /// Of closed questions that are answered yes or no: whether the right one is the likelier.
  std::optional<bool> right_is_likelier = {};
};

struct Metric {
  std::string name;  ///< its column in metrics.csv
  std::string help;  ///< Markdown, a sentence without a full stop
  void (*add)(const Outcome& outcome, Tally& tally);
  double (*value)(const Tally& tally);  ///< NaN where the tally has nothing of it
};

inline bool has_label(const std::vector<std::int64_t>& labels, std::int64_t label) {
  return std::find(labels.begin(), labels.end(), label) != labels.end();
}

/// Calls `visit(rest of the name, sum)` for the sums whose names begin with `prefix`.
template <typename Visit>
void visit_sums(const Tally& tally, const std::string& prefix, const Visit& visit) {
  for (auto at = tally.lower_bound(prefix); at != tally.end() && at->first.starts_with(prefix);
       ++at)
    visit(at->first.substr(prefix.size()), at->second);
}

}  // namespace strata::tasks
