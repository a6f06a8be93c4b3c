#include "optimizers/neighbourhood.h"

#include <algorithm>
#include <cmath>

namespace strata::optimizers {
namespace {

constexpr double kLeastPrice = 1e-4;
constexpr int kTries = 4;

/// A uniformly random set bit of the row that `word(w)` gives word by word; −1 if there is none.
template <typename Word>
int random_bit(int words, Word word, Random& random) {
  int count = 0;
  for (int w = 0; w < words; ++w) count += std::popcount(word(w));
  if (count == 0) return -1;
  int k = static_cast<int>(random.below(static_cast<std::uint64_t>(count)));
  for (int w = 0;; ++w) {
    std::uint64_t bits = word(w);
    const int here = std::popcount(bits);
    if (k >= here) {
      k -= here;
      continue;
    }
    for (; k > 0; --k) bits &= bits - 1;
    return w * 64 + std::countr_zero(bits);
  }
}

int draw_unit(const UnitState& state, int client, bool taken, const Prices& prices, int candidates,
              Random& random) {
  const std::uint64_t* row = state.row(client);
  const std::uint64_t* free = state.model().free_units(client);
  const auto word = [&](int w) { return free[w] & (taken ? row[w] : ~row[w]); };
  int best = -1;
  double best_score = 0;
  for (int i = 0; i < candidates; ++i) {
    const int unit = random_bit(state.model().words(), word, random);
    if (unit < 0 || candidates == 1) return unit;
    const double score = adjusted_score(state, prices, client, unit, taken);
    if (best < 0 || (taken ? score < best_score : score > best_score)) {
      best = unit;
      best_score = score;
    }
  }
  return best;
}

}  // namespace

Prices random_prices(const LayerModel& model, Random& random) {
  const auto draw = [&] { return std::pow(kLeastPrice, random.uniform()); };
  const auto greatest = static_cast<double>(model.greatest_score());
  Prices prices;
  prices.usage = greatest * draw();
  const PlanningProblem& problem = model.problem();
  const auto further = [&](double range) {
    return range > 0 && random.below(2) == 0 ? greatest / range * draw() : 0.0;
  };
  if (!problem.uplink_bytes.empty()) {
    prices.byte = further(static_cast<double>(
        *std::max_element(problem.uplink_bytes.begin(), problem.uplink_bytes.end())));
  }
  if (problem.seconds.size() > 0) prices.second = further(problem.seconds.maxCoeff());
  return prices;
}

std::vector<Prices> price_ladder(const LayerModel& model, int count) {
  std::vector<Prices> ladder;
  for (int k = 0; k < count; ++k) {
    const double exponent = count > 1 ? static_cast<double>(k) / (count - 1) : 0;
    ladder.push_back(
        {static_cast<double>(model.greatest_score()) * std::pow(kLeastPrice, exponent), 0, 0});
  }
  return ladder;
}

double adjusted_score(const UnitState& state, const Prices& prices, int client, int unit,
                      bool taken) {
  const PlanningProblem& problem = state.model().problem();
  double score = static_cast<double>(state.model().score(client, unit)) -
                 prices.usage * (2 * (state.usage(unit) - state.mean_usage()) + (taken ? -1 : 1));
  if (prices.byte > 0) score -= prices.byte * static_cast<double>(problem.uplink_bytes[unit]);
  if (prices.second > 0) score -= prices.second * problem.seconds(client, unit);
  return score;
}

std::optional<Move> draw_move_of(const UnitState& state, int client, const Prices& prices,
                                 int candidates, Random& random) {
  for (int i = 0; i < kTries; ++i) {
    const std::uint64_t kind = state.model().problem().counts_units() ? 0 : random.below(3);
    Move move{client, -1, -1};
    if (kind != 1) move.drop = draw_unit(state, client, true, prices, candidates, random);
    if (kind != 2) move.add = draw_unit(state, client, false, prices, candidates, random);
    if ((move.drop >= 0 || move.add >= 0) && state.allowed(move)) return move;
  }
  return {};
}

std::optional<Move> draw_move(const UnitState& state, const Prices& prices, int candidates,
                              Random& random) {
  const auto& movable = state.model().movable();
  return draw_move_of(state, movable[random.below(movable.size())], prices, candidates, random);
}

void respond(UnitState& state, int client, const Prices& prices) {
  rearrange(state, client, [&](int unit, bool taken) {
    return adjusted_score(state, prices, client, unit, taken);
  });
}

void settle(UnitState& state, const Prices& prices, int passes) {
  const LayerModel& model = state.model();
  for (bool changed = true; changed && passes > 0; --passes) {
    changed = false;
    for (const int client : model.movable()) {
      const double before = model.weighted(state.value(), prices);
      respond(state, client, prices);
      changed |= model.weighted(state.value(), prices) > before;
    }
  }
}

int power_law(int most, Random& random) {
  const double u = 1 - random.uniform();
  return static_cast<int>(std::min(static_cast<double>(most), 1 / (u * u)));
}

void perturb(UnitState& state, const Prices& prices, Random& random) {
  const auto& movable = state.model().movable();
  for (int left = power_law(static_cast<int>(movable.size()), random); left > 0; --left) {
    const int client = movable[random.below(movable.size())];
    const std::uint64_t kind = random.below(4);
    if (kind >= 2) {
      respond(state, client, prices);
    } else if (const auto move = draw_move_of(state, client, prices, kind == 0 ? 1 : 3, random)) {
      state.apply(*move);
    }
  }
}

std::optional<Move> draw_move_towards(const UnitState& state, const std::uint64_t* target_row,
                                      int client, Random& random) {
  const std::uint64_t* row = state.row(client);
  const int words = state.model().words();
  Move move{client, -1, -1};
  move.add = random_bit(
      words, [&](int w) { return target_row[w] & ~row[w]; }, random);
  move.drop = random_bit(
      words, [&](int w) { return row[w] & ~target_row[w]; }, random);
  if (move.add < 0 && move.drop < 0) return {};
  if (state.allowed(move)) return move;
  return {};
}

}  // namespace strata::optimizers
