#pragma once
/// \file
/// The moves of the metaheuristics. Internal.

#include <algorithm>
#include <limits>
#include <optional>
#include <vector>

#include "optimizers/unit_state.h"
#include "strata/core/random.h"

namespace strata::optimizers {

/// Random prices, so that weighted sums with them reach all of the front: usage's price is
/// log-uniform over [10⁻⁴, 1] of the greatest score. With further objectives theirs are, each with
/// probability ½, 0 or likewise log-uniform relative to their own range.
Prices random_prices(const LayerModel& model, Random& random);

/// `count` prices on usage in geometric progression over the same range, descending.
std::vector<Prices> price_ladder(const LayerModel& model, int count);

/// What weighted() gains by client taking `unit`, as far as it depends on the unit alone (and loses
/// by giving it up, with `taken`).
double adjusted_score(const UnitState& state, const Prices& prices, int client, int unit,
                      bool taken);

/// An allowed move of `client`, or of a random client that has a choice: each of the two units is
/// the best by adjusted score of `candidates` drawn uniformly; one candidate means a uniformly
/// random swap. With budgets of a resource, a swap, an addition or a removal.
/// Nothing when the draws hit no allowed move, which coverage and capacities can cause.
std::optional<Move> draw_move(const UnitState& state, const Prices& prices, int candidates,
                              Random& random);
std::optional<Move> draw_move_of(const UnitState& state, int client, const Prices& prices,
                                 int candidates, Random& random);

/// Exchanges the worst units of `client` by `key(unit, taken)` for its best ones while that raises
/// the sum of keys and is allowed; with budgets of a resource, first adds what fits and has a key
/// above 0. With budgets of units, without coverage and with adjusted_score as key, this is the
/// client's best response to the others. O(units log units).
template <typename Key>
void rearrange(UnitState& state, int client, Key key);
/// `rearrange` by adjusted_score.
void respond(UnitState& state, int client, const Prices& prices);
/// All clients respond in turn until none changes anything, at most `passes` times: weighted()
/// rises with every change.
void settle(UnitState& state, const Prices& prices, int passes);

/// m ≥ 1 with P(m) ∝ m^(−3/2), at most `most`: usually one, sometimes many (Doerr, Le, Makhmara,
/// Nguyen: Fast genetic algorithms, GECCO 2017).
int power_law(int most, Random& random);

/// The mutation that NSGA-II, MOPSO and the bees share. m times, m from a power law: with
/// probability ¼ a random swap, ¼ a guided swap (draw_move), ½ the best response of a random
/// client, all under the same prices.
void perturb(UnitState& state, const Prices& prices, Random& random);

/// Moves the row of `client` towards `target` (bit rows of the same shape): one unit that only
/// `target` has is taken for one that only the state has, where that is allowed.
std::optional<Move> draw_move_towards(const UnitState& state, const std::uint64_t* target_row,
                                      int client, Random& random);

template <typename Key>
void rearrange(UnitState& state, int client, Key key) {
  const LayerModel& model = state.model();
  struct Choice {
    double key;
    int unit;
  };
  thread_local std::vector<Choice> order;
  order.clear();
  double least_taken = std::numeric_limits<double>::infinity(), greatest_left = -least_taken;
  for_each_bit(model.free_units(client), model.words(), [&](int unit) {
    const bool taken = state.has(client, unit);
    order.push_back({key(unit, taken), unit});
    if (taken) {
      least_taken = std::min(least_taken, order.back().key);
    } else {
      greatest_left = std::max(greatest_left, order.back().key);
    }
  });
  // Mostly there is nothing to do, and finding that out should not cost a sort.
  if (greatest_left <= least_taken && (model.problem().counts_units() || greatest_left <= 0))
    return;
  std::sort(order.begin(), order.end(), [](const Choice& a, const Choice& b) {
    return a.key != b.key ? a.key > b.key : a.unit < b.unit;
  });
  const bool counts_units = model.problem().counts_units();
  auto worst = order.rbegin();
  for (auto best = order.begin(); best != order.end(); ++best) {
    if (state.has(client, best->unit)) continue;
    if (!counts_units && best->key > 0 && state.allowed({client, -1, best->unit})) {
      state.apply({client, -1, best->unit});
      continue;
    }
    while (worst != order.rend() && !state.has(client, worst->unit)) ++worst;
    if (worst == order.rend() || worst->key >= best->key) break;
    const Move move{client, worst->unit, best->unit};
    if (state.allowed(move)) state.apply(move);
    ++worst;
  }
}

}  // namespace strata::optimizers
