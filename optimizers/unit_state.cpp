#include "optimizers/unit_state.h"

#include <algorithm>
#include <cmath>

#include "strata/optimizers/exact_front.h"

namespace strata::optimizers {

bool dominates(const Value& a, const Value& b) {
  return a.importance >= b.importance && a.spread <= b.spread && a.bytes <= b.bytes &&
         a.seconds <= b.seconds &&
         (a.importance > b.importance || a.spread < b.spread || a.bytes < b.bytes ||
          a.seconds < b.seconds);
}

LayerModel::LayerModel(const PlanningProblem& problem)
    : problem_(&problem),
      clients_(problem.client_count()),
      units_(problem.unit_count()),
      words_((units_ + 63) / 64),
      two_objectives_(problem.uplink_bytes.empty() && problem.seconds.size() == 0),
      scores_(static_cast<std::size_t>(clients_) * units_),
      free_(static_cast<std::size_t>(clients_) * words_) {
  const QuantisedScores quantised = quantise_scores(problem.importance);
  shift_ = quantised.shift;
  for (int c = 0; c < clients_; ++c) {
    int free = 0, pinned = 0;
    std::int64_t left = problem.counts_units() ? 0 : problem.capacities[c];
    std::int64_t cheapest = left + 1;
    for (int x = 0; x < units_; ++x) {
      const std::int64_t score = quantised.values(c, x);
      scores_[static_cast<std::size_t>(c) * units_ + x] = score;
      greatest_score_ = std::max(greatest_score_, score);
      const Rule rule = problem.rule(c, x);
      if (rule == Rule::kPinned) {
        ++pinned;
        if (!problem.counts_units()) left -= problem.unit_costs[x];
      }
      if (rule != Rule::kFree) continue;
      ++free;
      if (!problem.counts_units()) cheapest = std::min(cheapest, problem.unit_costs[x]);
      free_[static_cast<std::size_t>(c) * words_ + x / 64] |= std::uint64_t{1} << (x % 64);
    }
    const bool choice = problem.counts_units()
                            ? problem.budgets[c] > pinned && problem.budgets[c] < pinned + free
                            : cheapest <= left;
    if (choice) movable_.push_back(c);
  }
}

Objectives LayerModel::objectives(const Value& value) const {
  const double units = units_;
  return {std::ldexp(static_cast<double>(value.importance), -shift_),
          static_cast<double>(value.spread) / (units * units), static_cast<double>(value.bytes),
          value.seconds};
}

UnitState::UnitState(const LayerModel& model, const Assignment& assignment)
    : UnitState(model, to_bits(model, assignment)) {}

UnitState::UnitState(const LayerModel& model, std::vector<std::uint64_t> bits)
    : model_(&model), bits_(std::move(bits)), usage_(model.units()) {
  const PlanningProblem& problem = model.problem();
  if (!problem.counts_units()) loads_.resize(model.clients());
  for (int c = 0; c < model.clients(); ++c) {
    for_each_bit(row(c), model.words(), [&](int x) {
      ++usage_[x];
      value_.importance += model.score(c, x);
      if (!loads_.empty()) loads_[c] += problem.unit_costs[x];
      if (!problem.uplink_bytes.empty()) value_.bytes += problem.uplink_bytes[x];
    });
  }
  for (const int n : usage_) {
    sum_ += n;
    squares_ += std::int64_t{n} * n;
  }
  value_.spread = model.units() * squares_ - sum_ * sum_;
  if (problem.seconds.size() > 0) {
    seconds_.resize(model.clients());
    for (int c = 0; c < model.clients(); ++c) seconds_[c] = seconds_after({c, -1, -1});
    value_.seconds = *std::max_element(seconds_.begin(), seconds_.end());
  }
}

Assignment UnitState::assignment() const {
  return to_assignment(*model_, bits_);
}

bool UnitState::allowed(const Move& move) const {
  const PlanningProblem& problem = model_->problem();
  const std::uint64_t* free = model_->free_units(move.client);
  const auto is_free = [&](int unit) { return free[unit / 64] >> (unit % 64) & 1; };
  if (move.drop >= 0 && (!is_free(move.drop) || !has(move.client, move.drop) ||
                         usage_[move.drop] <= problem.least_usage(move.drop)))
    return false;
  if (move.add >= 0 && (!is_free(move.add) || has(move.client, move.add))) return false;
  if (problem.counts_units()) return move.drop >= 0 && move.add >= 0;
  std::int64_t load = loads_[move.client];
  if (move.drop >= 0) load -= problem.unit_costs[move.drop];
  if (move.add >= 0) load += problem.unit_costs[move.add];
  return load <= problem.capacities[move.client];
}

Value UnitState::value_after(const Move& move) const {
  const PlanningProblem& problem = model_->problem();
  Value value = value_;
  std::int64_t sum = sum_, squares = squares_;
  if (move.drop >= 0) {
    value.importance -= model_->score(move.client, move.drop);
    squares -= 2 * std::int64_t{usage_[move.drop]} - 1;
    --sum;
    if (!problem.uplink_bytes.empty()) value.bytes -= problem.uplink_bytes[move.drop];
  }
  if (move.add >= 0) {
    value.importance += model_->score(move.client, move.add);
    squares += 2 * std::int64_t{usage_[move.add]} + 1;
    ++sum;
    if (!problem.uplink_bytes.empty()) value.bytes += problem.uplink_bytes[move.add];
  }
  value.spread = model_->units() * squares - sum * sum;
  if (!seconds_.empty()) {
    value.seconds = seconds_after(move);
    for (int c = 0; c < model_->clients(); ++c)
      if (c != move.client) value.seconds = std::max(value.seconds, seconds_[c]);
  }
  return value;
}

void UnitState::apply(const Move& move) {
  const PlanningProblem& problem = model_->problem();
  const Value value = value_after(move);
  if (!seconds_.empty()) seconds_[move.client] = seconds_after(move);
  std::uint64_t* row = &bits_[static_cast<std::size_t>(move.client) * model_->words()];
  if (move.drop >= 0) {
    row[move.drop / 64] &= ~(std::uint64_t{1} << (move.drop % 64));
    squares_ -= 2 * std::int64_t{usage_[move.drop]} - 1;
    --usage_[move.drop];
    --sum_;
    if (!loads_.empty()) loads_[move.client] -= problem.unit_costs[move.drop];
  }
  if (move.add >= 0) {
    row[move.add / 64] |= std::uint64_t{1} << (move.add % 64);
    squares_ += 2 * std::int64_t{usage_[move.add]} + 1;
    ++usage_[move.add];
    ++sum_;
    if (!loads_.empty()) loads_[move.client] += problem.unit_costs[move.add];
  }
  value_ = value;
}

// Summed anew in the order of units, as evaluate() does, so that moves leave no rounding behind.
double UnitState::seconds_after(const Move& move) const {
  double seconds = 0;
  for (int x = 0; x < model_->units(); ++x) {
    if (x == move.add || (x != move.drop && has(move.client, x)))
      seconds += model_->problem().seconds(move.client, x);
  }
  return seconds;
}

std::vector<std::uint64_t> to_bits(const LayerModel& model, const Assignment& assignment) {
  std::vector<std::uint64_t> bits(static_cast<std::size_t>(model.clients()) * model.words());
  for (int c = 0; c < model.clients(); ++c) {
    for (int x = 0; x < model.units(); ++x) {
      if (assignment(c, x))
        bits[static_cast<std::size_t>(c) * model.words() + x / 64] |= std::uint64_t{1} << (x % 64);
    }
  }
  return bits;
}

Assignment to_assignment(const LayerModel& model, const std::vector<std::uint64_t>& bits) {
  Assignment assignment = Assignment::Zero(model.clients(), model.units());
  for (int c = 0; c < model.clients(); ++c) {
    for_each_bit(&bits[static_cast<std::size_t>(c) * model.words()], model.words(),
                 [&](int unit) { assignment(c, unit) = 1; });
  }
  return assignment;
}

}  // namespace strata::optimizers
