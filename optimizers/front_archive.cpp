#include "optimizers/front_archive.h"

#include <algorithm>
#include <numeric>

#include "optimizers/crowding.h"
#include "strata/optimizers/hypervolume.h"

namespace strata::optimizers {
namespace {

constexpr std::size_t kCapacity = 1000;

}  // namespace

bool FrontArchive::accepts(const Value& value, const LayerModel& model) const {
  if (model.two_objectives()) {
    return importance_within(value.spread) < value.importance;
  }
  return std::none_of(list_.begin(), list_.end(), [&](const Entry& entry) {
    const Value& e = entry.value;
    return e.importance >= value.importance && e.spread <= value.spread && e.bytes <= value.bytes &&
           e.seconds <= value.seconds;
  });
}

std::int64_t FrontArchive::importance_within(std::int64_t spread) const {
  // The last entry of at most this spread has the greatest importance of all those.
  const auto above = by_spread_.upper_bound(spread);
  return above == by_spread_.begin() ? -1 : std::prev(above)->second.value.importance;
}

bool FrontArchive::insert(const UnitState& state) {
  return insert(state.value(), state.bits(), state.model());
}

bool FrontArchive::insert(const Value& value, const std::vector<std::uint64_t>& bits,
                          const LayerModel& model) {
  if (!accepts(value, model)) return false;
  if (model.two_objectives()) {
    auto next = by_spread_.lower_bound(value.spread);
    while (next != by_spread_.end() && next->second.value.importance <= value.importance)
      next = by_spread_.erase(next);
    by_spread_.emplace_hint(next, value.spread, Entry{value, bits});
    return true;
  }
  list_.erase(std::remove_if(list_.begin(), list_.end(),
                             [&](const Entry& entry) { return dominates(value, entry.value); }),
              list_.end());
  list_.push_back({value, bits});
  // Pruning is quadratic, so it waits for a tenth more than there is room for.
  if (list_.size() > kCapacity + kCapacity / 10) prune();
  return true;
}

void FrontArchive::merge(const FrontArchive& other, const LayerModel& model) {
  for (const Entry* entry : other.entries()) insert(entry->value, entry->bits, model);
}

const FrontArchive::Entry& FrontArchive::sample(Random& random) const {
  if (!list_.empty()) return list_[random.below(list_.size())];
  // Uniform in the range of spreads rather than among entries, which costs O(log n) and favours
  // thinly covered parts of the front.
  const std::int64_t least = by_spread_.begin()->first, greatest = by_spread_.rbegin()->first;
  return std::prev(by_spread_.upper_bound(random.between(least, greatest)))->second;
}

double FrontArchive::slope(std::int64_t spread, const LayerModel& model) const {
  if (by_spread_.size() < 2) return 0;
  constexpr int kReach = 2;  // entries to either side: nearer ones may be unsupported
  auto low = by_spread_.lower_bound(spread), high = low;
  for (int i = 0; i < kReach && low != by_spread_.begin(); ++i) --low;
  for (int i = 0; i < kReach && high != by_spread_.end(); ++i) ++high;
  if (high == by_spread_.end()) --high;
  if (low == high) --low;
  const auto rise = high->second.value.importance - low->second.value.importance;
  const auto run = static_cast<double>(high->first - low->first) / model.units();
  return static_cast<double>(rise) / run;
}

const FrontArchive::Entry& FrontArchive::best(const Prices& prices, const LayerModel& model) const {
  const Entry* best = nullptr;
  double greatest = 0;
  for (const Entry* entry : entries()) {
    const double weighted = model.weighted(entry->value, prices);
    if (best && weighted <= greatest) continue;
    best = entry;
    greatest = weighted;
  }
  return *best;
}

std::vector<const FrontArchive::Entry*> FrontArchive::entries() const {
  std::vector<const Entry*> entries;
  for (const auto& [spread, entry] : by_spread_) entries.push_back(&entry);
  for (const Entry& entry : list_) entries.push_back(&entry);
  return entries;
}

double FrontArchive::hypervolume(const LayerModel& model, const Objectives& reference) const {
  std::vector<Objectives> points;
  for (const Entry* entry : entries()) points.push_back(model.objectives(entry->value));
  return strata::optimizers::hypervolume(points, reference);
}

std::vector<FrontPoint> FrontArchive::front(const LayerModel& model) const {
  std::vector<FrontPoint> points;
  for (const Entry* entry : entries()) {
    const Assignment assignment = to_assignment(model, entry->bits);
    points.push_back({assignment, evaluate(model.problem(), assignment)});
  }
  std::stable_sort(points.begin(), points.end(), [](const FrontPoint& a, const FrontPoint& b) {
    if (a.objectives.usage_variance != b.objectives.usage_variance)
      return a.objectives.usage_variance < b.objectives.usage_variance;
    return a.objectives.importance > b.objectives.importance;
  });
  // Importances that differ as whole numbers may agree as doubles.
  std::vector<FrontPoint> front;
  for (const FrontPoint& point : points) {
    const bool dominated = std::any_of(points.begin(), points.end(), [&](const FrontPoint& other) {
      return dominates(other.objectives, point.objectives);
    });
    if (!dominated) front.push_back(point);
  }
  return front;
}

void FrontArchive::prune() {
  std::vector<std::vector<double>> values;
  for (const Entry& entry : list_) {
    const Value& v = entry.value;
    values.push_back({-static_cast<double>(v.importance), static_cast<double>(v.spread),
                      static_cast<double>(v.bytes), v.seconds});
  }
  const auto distances = crowding_distances(values);
  std::vector<std::size_t> order(list_.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return distances[a] > distances[b]; });
  order.resize(kCapacity);
  std::sort(order.begin(), order.end());
  std::vector<Entry> kept;
  for (const std::size_t i : order) kept.push_back(std::move(list_[i]));
  list_ = std::move(kept);
}

}  // namespace strata::optimizers
