#include "optimizers/redistribute.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace strata::optimizers {
namespace {

constexpr std::int64_t kStepsPerItem = 16;

/// The units of some clients, dealt out anew.
class Deal {
 public:
  Deal(UnitState& state, std::int64_t& steps)
      : state_(state), model_(state.model()), problem_(model_.problem()), steps_(steps) {}

  /// Returns whether the clients' importance has become greater.
  bool improve(const std::vector<int>& clients) {
    clients_ = clients;
    gather();
    // To list what can be dealt out takes as long as a few choices.
    steps_ -= kStepsPerItem * static_cast<std::int64_t>(items_.size());
    if (items_.empty()) return false;
    best_.clear();
    choices_.assign(items_.size(), 0);
    branch(0, 0);
    if (best_.empty()) return false;
    apply();
    return true;
  }

 private:
  struct Item {
    int unit = 0;
    std::int64_t cost = 0;
    unsigned holders = 0;                   // bit k: clients_[k] has it
    std::vector<unsigned> options;          // other sets of as many clients, the best first
    std::vector<std::int64_t> importances;  // theirs
  };

  void gather() {
    items_.clear();
    const int count = static_cast<int>(clients_.size());
    std::vector<std::int64_t> load(clients_.size(), 0);
    now_ = 0;
    for (int w = 0; w < model_.words(); ++w) {
      std::uint64_t held = 0;
      for (const int client : clients_) held |= state_.row(client)[w];
      for (; held != 0; held &= held - 1) add(w * 64 + std::countr_zero(held), load);
    }
    slack_.clear();
    for (int k = 0; k < count; ++k)
      slack_.push_back(problem_.capacities[static_cast<std::size_t>(clients_[k])] - load[k]);
    // Large ones first: where they do not fit is seen early.
    std::stable_sort(items_.begin(), items_.end(),
                     [](const Item& a, const Item& b) { return a.cost > b.cost; });
    rest_.assign(items_.size() + 1, 0);
    for (std::size_t i = items_.size(); i-- > 0;)
      rest_[i] = rest_[i + 1] + items_[i].importances.front();
  }

  /// Adds the unit if some other set of clients could have it, else what it takes of their loads.
  void add(int unit, std::vector<std::int64_t>& load) {
    unsigned fixed = 0, open = 0, held = 0;
    for (std::size_t k = 0; k < clients_.size(); ++k) {
      const bool has = state_.has(clients_[k], unit);
      const bool free = model_.free_units(clients_[k])[unit / 64] >> (unit % 64) & 1;
      if (has) held |= 1u << k;
      if (free) open |= 1u << k;
      if (has && !free) fixed |= 1u << k;
    }
    Item item{unit, problem_.unit_costs[static_cast<std::size_t>(unit)], held, {}, {}};
    std::vector<std::pair<std::int64_t, unsigned>> options;
    for (unsigned set = 0; set < 1u << clients_.size(); ++set) {
      if (std::popcount(set) != std::popcount(held) || (set & ~open) != fixed) continue;
      options.emplace_back(-importance_of(set, unit), set);
    }
    if (options.size() < 2) {
      for (std::size_t k = 0; k < clients_.size(); ++k) load[k] += held >> k & 1 ? item.cost : 0;
      return;
    }
    std::sort(options.begin(), options.end());
    for (const auto& [importance, set] : options) {
      item.options.push_back(set);
      item.importances.push_back(-importance);
    }
    now_ += importance_of(held, unit);
    items_.push_back(std::move(item));
  }

  std::int64_t importance_of(unsigned set, int unit) const {
    std::int64_t sum = 0;
    for (std::size_t k = 0; k < clients_.size(); ++k)
      if (set >> k & 1) sum += model_.score(clients_[k], unit);
    return sum;
  }

  void branch(std::size_t i, std::int64_t importance) {
    if (importance + rest_[i] <= now_ || --steps_ < 0) return;
    if (i == items_.size()) {
      now_ = importance;
      best_ = choices_;
      return;
    }
    const Item& item = items_[i];
    for (std::size_t o = 0; o < item.options.size(); ++o) {
      if (!take(item, item.options[o])) continue;
      choices_[i] = item.options[o];
      branch(i + 1, importance + item.importances[o]);
      give_back(item, item.options[o]);
    }
  }

  bool take(const Item& item, unsigned set) {
    for (std::size_t k = 0; k < clients_.size(); ++k)
      if ((set >> k & 1) && slack_[k] < item.cost) return false;
    for (std::size_t k = 0; k < clients_.size(); ++k)
      if (set >> k & 1) slack_[k] -= item.cost;
    return true;
  }
  void give_back(const Item& item, unsigned set) {
    for (std::size_t k = 0; k < clients_.size(); ++k)
      if (set >> k & 1) slack_[k] += item.cost;
  }

  void apply() {
    for (const bool add : {false, true}) {
      for (std::size_t i = 0; i < items_.size(); ++i) {
        const unsigned changed =
            add ? best_[i] & ~items_[i].holders : items_[i].holders & ~best_[i];
        for (std::size_t k = 0; k < clients_.size(); ++k) {
          if (!(changed >> k & 1)) continue;
          state_.apply(add ? Move{clients_[k], -1, items_[i].unit}
                           : Move{clients_[k], items_[i].unit, -1});
        }
      }
    }
  }

  UnitState& state_;
  const LayerModel& model_;
  const PlanningProblem& problem_;
  std::int64_t& steps_;
  std::vector<int> clients_;
  std::vector<Item> items_;
  std::vector<std::int64_t> slack_, rest_;
  std::int64_t now_ = 0;
  std::vector<unsigned> choices_, best_;
};

}  // namespace

bool redistribute(UnitState& state, int clients, std::int64_t& steps) {
  Deal deal(state, steps);
  const std::vector<int>& movable = state.model().movable();
  const std::size_t count = movable.size();
  bool better = false;
  for (bool again = true; again && steps >= 0;) {
    again = false;
    const std::size_t together = std::min<std::size_t>(clients, count);
    std::vector<char> taken(count, 0);
    std::fill_n(taken.begin(), together, 1);
    do {
      std::vector<int> group;
      for (std::size_t k = 0; k < count; ++k)
        if (taken[k]) group.push_back(movable[k]);
      again |= deal.improve(group);
    } while (steps >= 0 && std::prev_permutation(taken.begin(), taken.end()));
    better |= again;
  }
  return better;
}

}  // namespace strata::optimizers
