#pragma once
/// \file
/// The external archive of the metaheuristics: every nondominated assignment met. Internal.

#include <cstdint>
#include <map>
#include <vector>

#include "optimizers/unit_state.h"
#include "strata/core/random.h"
#include "strata/optimizers/exact_front.h"

namespace strata::optimizers {

/// With two objectives unbounded and sorted by spread, O(log n) an insertion (plus what it
/// removes). With more, a list of at most 1,000: what is most crowded (crowding.h)
/// goes first, O(n) an insertion.
class FrontArchive {
 public:
  struct Entry {
    Value value;
    std::vector<std::uint64_t> bits;
  };

  /// Whether nothing in the archive is as good in all objectives.
  bool accepts(const Value& value, const LayerModel& model) const;
  /// Inserts if it accepts; says whether it did.
  bool insert(const UnitState& state);
  void merge(const FrontArchive& other, const LayerModel& model);

  std::size_t size() const { return by_spread_.size() + list_.size(); }
  /// A uniformly random entry. The archive must not be empty.
  const Entry& sample(Random& random) const;
  /// How much importance the front gains around this spread per Σ (n − n̄)²: the price on usage
  /// under which assignments there are best. 0 where the archive has no two entries, or more
  /// objectives.
  double slope(std::int64_t spread, const LayerModel& model) const;
  /// The greatest importance of the entries of at most this spread, −1 without any; two objectives
  /// only. O(log n).
  std::int64_t importance_within(std::int64_t spread) const;
  /// The entry of greatest weighted(). The archive must not be empty.
  const Entry& best(const Prices& prices, const LayerModel& model) const;
  /// All entries by ascending spread (two objectives), or in order of insertion.
  std::vector<const Entry*> entries() const;
  /// hypervolume() of importance and usage variance, against `reference`. O(n).
  double hypervolume(const LayerModel& model, const Objectives& reference) const;
  /// Objectives evaluated anew; order as SearchResult::front says.
  std::vector<FrontPoint> front(const LayerModel& model) const;

 private:
  bool insert(const Value& value, const std::vector<std::uint64_t>& bits, const LayerModel& model);
  void prune();
  std::map<std::int64_t, Entry> by_spread_;  // importance strictly ascending
  std::vector<Entry> list_;
};

}  // namespace strata::optimizers
