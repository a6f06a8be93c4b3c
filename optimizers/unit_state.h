#pragma once
/// \file
/// Assignments as bit rows whose objectives follow every move in O(1). What the metaheuristics
/// work on; internal.

#include <bit>
#include <cstdint>
#include <vector>

#include "strata/core/planning_problem.h"

namespace strata::optimizers {

/// Objectives in whole numbers, so that following moves never rounds. All but importance are
/// minimised.
struct Value {
  std::int64_t importance = 0;  ///< of quantise_scores
  std::int64_t spread = 0;      ///< L Σ n² − (Σ n)² = L² · usage variance
  std::int64_t bytes = 0;
  double seconds = 0;  ///< of the slowest client
};
bool dominates(const Value& a, const Value& b);

/// Client `client` gives up the unit `drop` and takes `add`; −1 for none, which budgets of units
/// do not allow.
struct Move {
  int client = -1;
  int drop = -1;
  int add = -1;
  Move reversed() const { return {client, add, drop}; }
};

/// What objectives are worth against importance (quantised): per Σ (n − n̄)², byte and second.
struct Prices {
  double usage = 0;
  double byte = 0;
  double second = 0;
};

/// A problem prepared for search. It must be valid and outlive its model.
class LayerModel {
 public:
  explicit LayerModel(const PlanningProblem& problem);

  const PlanningProblem& problem() const { return *problem_; }
  int clients() const { return clients_; }
  int units() const { return units_; }
  int words() const { return words_; }  ///< 64-bit words a client's row takes
  bool two_objectives() const { return two_objectives_; }
  /// Clients that have a choice at all.
  const std::vector<int>& movable() const { return movable_; }
  std::int64_t score(int client, int unit) const {
    return scores_[static_cast<std::size_t>(client) * units_ + unit];
  }
  std::int64_t greatest_score() const { return greatest_score_; }
  /// The units that are neither pinned nor forbidden.
  const std::uint64_t* free_units(int client) const {
    return &free_[static_cast<std::size_t>(client) * words_];
  }
  /// importance − prices · the other objectives, in quantised importance.
  double weighted(const Value& value, const Prices& prices) const {
    return static_cast<double>(value.importance) -
           prices.usage * (static_cast<double>(value.spread) / units_) -
           prices.byte * static_cast<double>(value.bytes) - prices.second * value.seconds;
  }
  Objectives objectives(const Value& value) const;

 private:
  const PlanningProblem* problem_;
  int clients_, units_, words_, shift_;
  bool two_objectives_;
  std::int64_t greatest_score_ = 0;
  std::vector<int> movable_;
  std::vector<std::int64_t> scores_;
  std::vector<std::uint64_t> free_;
};

/// A feasible assignment that moves keep feasible.
class UnitState {
 public:
  /// The assignment must be feasible; the model must outlive the state.
  UnitState(const LayerModel& model, const Assignment& assignment);
  UnitState(const LayerModel& model, std::vector<std::uint64_t> bits);

  const LayerModel& model() const { return *model_; }
  const Value& value() const { return value_; }
  int usage(int unit) const { return usage_[unit]; }
  double mean_usage() const { return static_cast<double>(sum_) / model_->units(); }
  bool has(int client, int unit) const { return row(client)[unit / 64] >> (unit % 64) & 1; }
  const std::uint64_t* row(int client) const {
    return &bits_[static_cast<std::size_t>(client) * model_->words()];
  }
  const std::vector<std::uint64_t>& bits() const { return bits_; }
  Assignment assignment() const;

  /// Whether the move keeps rules, budget and coverage.
  bool allowed(const Move& move) const;
  /// The value after an allowed move. O(1); with a time objective O(units + clients).
  Value value_after(const Move& move) const;
  void apply(const Move& move);

 private:
  const LayerModel* model_;
  std::vector<std::uint64_t> bits_;
  std::vector<int> usage_;
  std::vector<std::int64_t> loads_;  // per client, where budgets are of a resource
  std::vector<double> seconds_;      // per client, where there is a time objective
  std::int64_t sum_ = 0, squares_ = 0;
  Value value_;

  double seconds_after(const Move& move) const;
};

std::vector<std::uint64_t> to_bits(const LayerModel& model, const Assignment& assignment);
Assignment to_assignment(const LayerModel& model, const std::vector<std::uint64_t>& bits);

/// Calls `visit(unit)` for every set bit of the row, ascending.
template <typename Visit>
void for_each_bit(const std::uint64_t* row, int words, Visit visit) {
  for (int w = 0; w < words; ++w) {
    for (std::uint64_t bits = row[w]; bits != 0; bits &= bits - 1)
      visit(w * 64 + std::countr_zero(bits));
  }
}

}  // namespace strata::optimizers
