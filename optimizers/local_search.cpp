#include "optimizers/local_search.h"

#include <algorithm>
#include <bit>
#include <set>
#include <utility>
#include <vector>

#include "core/interrupt.h"

namespace strata::optimizers {
namespace {

class LocalSearch {
 public:
  LocalSearch(const LayerModel& model, FrontArchive& archive, double reach, std::int64_t moves,
              std::size_t most)
      : model_(model), archive_(archive), reach_(reach), moves_(moves), most_(most) {}

  void run() {
    for (;;) {
      const auto entries = archive_.entries();
      // Every k-th first, then those between them: where the moves end, all of the front had some.
      std::vector<std::vector<std::uint64_t>> next;
      for (const std::size_t i : spread_order(entries.size())) {
        const auto key = std::pair(entries[i]->value.spread, entries[i]->value.importance);
        if (seen_.insert(key).second) next.push_back(entries[i]->bits);
      }
      if (next.empty()) return;
      for (const auto& bits : next) {
        UnitState state(model_, bits);
        if (!still_there(state)) continue;
        explore(state);
        if (spent()) return;
      }
    }
  }

 private:
  static std::vector<std::size_t> spread_order(std::size_t size) {
    std::vector<std::size_t> order;
    std::vector<bool> taken(size, false);
    std::size_t step = 1;
    while (step < size) step *= 2;
    for (; step > 0; step /= 2) {
      for (std::size_t i = 0; i < size; i += step) {
        if (!taken[i]) order.push_back(i);
        taken[i] = true;
      }
    }
    return order;
  }

  bool still_there(const UnitState& state) const {
    Value better = state.value();
    ++better.importance;
    // If even one more would not be accepted it has been dominated since.
    return archive_.accepts(better, model_);
  }

  void explore(UnitState& state) {
    slope_ = archive_.slope(state.value().spread, model_);
    const double before = model_.weighted(state.value(), {slope_, 0, 0});
    const double least = before - reach_;
    for (const int client : model_.movable()) {
      stop_if_interrupted();
      for_each_move(state, client, [&](const Move& move) {
        if (!offer(state, move)) return;
        const Value value = state.value_after(move);
        if (model_.weighted(value, {slope_, 0, 0}) < least) return;
        state.apply(move);
        follow(state, move);
        state.apply(move.reversed());
      });
      if (spent()) return;
    }
  }

  bool spent() const { return moves_ < 0 || archive_.size() >= most_; }

  /// What another client can do with the unit that `first` freed, or for the one that it took.
  void follow(UnitState& state, const Move& first) {
    for (const int client : model_.movable()) {
      if (client == first.client) continue;
      if (first.drop >= 0) {
        if (!state.has(client, first.drop)) {
          offer(state, {client, -1, first.drop});
          for_each_taken(state, client, [&](int unit) {
            offer(state, {client, unit, first.drop});
          });
        }
      }
      if (first.add >= 0 && state.has(client, first.add)) {
        offer(state, {client, first.add, -1});
        for_each_left(state, client, [&](int unit) { offer(state, {client, first.add, unit}); });
      }
    }
  }

  /// Whether the move is allowed; keeps where it leads to if nothing dominates that.
  bool offer(UnitState& state, const Move& move) {
    --moves_;
    if (!state.allowed(move)) return false;
    if (!archive_.accepts(state.value_after(move), model_)) return true;
    state.apply(move);
    archive_.insert(state);
    state.apply(move.reversed());
    return true;
  }

  template <typename Visit>
  void for_each_move(const UnitState& state, int client, Visit visit) {
    std::vector<int> taken{-1}, left{-1};
    for_each_taken(state, client, [&](int unit) { taken.push_back(unit); });
    for_each_left(state, client, [&](int unit) { left.push_back(unit); });
    for (const int drop : taken) {
      for (const int add : left) {
        if (drop >= 0 || add >= 0) visit(Move{client, drop, add});
      }
    }
  }

  template <typename Visit>
  void for_each_taken(const UnitState& state, int client, Visit visit) const {
    const std::uint64_t* free = model_.free_units(client);
    const std::uint64_t* row = state.row(client);
    for (int w = 0; w < model_.words(); ++w) {
      for (std::uint64_t bits = free[w] & row[w]; bits != 0; bits &= bits - 1) {
        visit(w * 64 + std::countr_zero(bits));
      }
    }
  }

  template <typename Visit>
  void for_each_left(const UnitState& state, int client, Visit visit) const {
    const std::uint64_t* free = model_.free_units(client);
    const std::uint64_t* row = state.row(client);
    for (int w = 0; w < model_.words(); ++w) {
      for (std::uint64_t bits = free[w] & ~row[w]; bits != 0; bits &= bits - 1) {
        visit(w * 64 + std::countr_zero(bits));
      }
    }
  }

  const LayerModel& model_;
  FrontArchive& archive_;
  const double reach_;
  std::int64_t moves_;
  const std::size_t most_;
  double slope_ = 0;
  std::set<std::pair<std::int64_t, std::int64_t>> seen_;
};

/// A state whose rows are exchanged as a whole.
class RowExchange {
 public:
  RowExchange(const LayerModel& model, const Assignment& from, const Assignment& to)
      : model_(model), to_(to_bits(model, to)), state_(model, from) {
    for (int client = 0; client < model.clients(); ++client) {
      if (!std::equal(row(client), row(client) + model.words(), state_.row(client)))
        left_.push_back(client);
    }
  }

  const UnitState& state() const { return state_; }
  bool done() const { return left_.empty(); }

  /// Exchanges the best of the next rows; false if coverage forbids all of them.
  bool step(const Prices& prices) {
    constexpr std::size_t kNext = 16;
    double best = 0;
    std::size_t chosen = left_.size();
    for (std::size_t i = 0, seen = 0; i < left_.size() && seen < kNext; ++i) {
      const std::vector<Move> done = exchange(left_[i]);
      if (keeps_coverage(done)) {
        ++seen;
        const double weighted = model_.weighted(state_.value(), prices);
        if (chosen == left_.size() || weighted > best) {
          best = weighted;
          chosen = i;
        }
      }
      for (auto move = done.rbegin(); move != done.rend(); ++move) state_.apply(move->reversed());
    }
    if (chosen == left_.size()) return false;
    exchange(left_[chosen]);
    left_.erase(left_.begin() + static_cast<std::ptrdiff_t>(chosen));
    return true;
  }

 private:
  const std::uint64_t* row(int client) const {
    return &to_[static_cast<std::size_t>(client) * model_.words()];
  }

  std::vector<Move> exchange(int client) {
    std::vector<Move> moves;
    std::vector<std::uint64_t> now(state_.row(client), state_.row(client) + model_.words());
    for (int w = 0; w < model_.words(); ++w) {
      const std::uint64_t wanted = row(client)[w];
      for (std::uint64_t bits = now[w] & ~wanted; bits != 0; bits &= bits - 1)
        moves.push_back({client, w * 64 + std::countr_zero(bits), -1});
      for (std::uint64_t bits = wanted & ~now[w]; bits != 0; bits &= bits - 1)
        moves.push_back({client, -1, w * 64 + std::countr_zero(bits)});
    }
    for (const Move& move : moves) state_.apply(move);
    return moves;
  }

  bool keeps_coverage(const std::vector<Move>& moves) const {
    return std::all_of(moves.begin(), moves.end(), [&](const Move& move) {
      return move.drop < 0 || state_.usage(move.drop) >= model_.problem().least_usage(move.drop);
    });
  }

  const LayerModel& model_;
  const std::vector<std::uint64_t> to_;
  UnitState state_;
  std::vector<int> left_;
};

}  // namespace

void local_search(const LayerModel& model, FrontArchive& archive, double reach, std::int64_t moves,
                  std::size_t most) {
  LocalSearch(model, archive, reach, moves, most).run();
}

void link(const LayerModel& model, FrontArchive& archive, const Assignment& from,
          const Assignment& to, int points) {
  RowExchange exchange(model, from, to);
  const Value first = exchange.state().value(), last = UnitState(model, to).value();
  const auto width = static_cast<double>(last.spread - first.spread);
  if (width == 0) return;
  const Prices prices{
      static_cast<double>(last.importance - first.importance) / width * model.units(), 0, 0};
  int next = 1;
  while (!exchange.done() && exchange.step(prices)) {
    const double share =
        static_cast<double>(exchange.state().value().spread - first.spread) / width;
    if (share * points < next) continue;
    archive.insert(exchange.state());
    next = static_cast<int>(share * points) + 1;
  }
}

}  // namespace strata::optimizers
