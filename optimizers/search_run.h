#pragma once
/// \file
/// What Strata's metaheuristics share: budget, archive and log. Internal.

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "optimizers/front_archive.h"
#include "optimizers/unit_state.h"
#include "strata/core/random.h"
#include "strata/optimizers/search.h"

namespace strata::optimizers {

/// One run of a metaheuristic: what it may spend and what it found.
class SearchRun {
 public:
  struct Limits {
    std::int64_t evaluations = 0;
    double seconds = 0;  ///< 0: none
  };
  SearchRun(const LayerModel& model, Limits limits, std::uint64_t seed,
            const std::optional<Objectives>& reference);

  const LayerModel& model;
  Random random;
  FrontArchive archive;

  std::int64_t evaluations() const { return evaluations_; }
  std::int64_t limit() const { return limits_.evaluations; }
  /// When the time is up, if there is such a limit.
  std::optional<std::chrono::steady_clock::time_point> deadline() const;
  /// The share of the budget that is spent, in [0, 1].
  double progress() const;
  bool spent() const { return spent_; }
  /// Prices to vary a state of this value with: with probability ½ those under which the archive's
  /// neighbouring assignments are best (the slope of the front there, times e^(0.3 · normal)),
  /// otherwise random_prices.
  Prices prices_near(const Value& value);
  /// Counts one evaluation, of a state that was just built or changed, and offers it to the
  /// archive.
  void record(const UnitState& state);
  /// Counts evaluations that `record` does not see.
  void count(std::int64_t evaluations = 1);
  double seconds() const;
  const std::vector<SearchLogLine>& log() const { return log_; }
  /// The last line of the log.
  void finish();

 private:
  Limits limits_;
  std::optional<Objectives> reference_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::int64_t evaluations_ = 0, next_log_ = 1, next_clock_ = 0;
  bool spent_ = false;
  std::vector<SearchLogLine> log_;
};

/// Each works on a population of feasible states, which are recorded already, until the run is
/// spent, and leaves in it what it would go on with.
using Method = void (*)(SearchRun& run, std::vector<UnitState>& population);

}  // namespace strata::optimizers
