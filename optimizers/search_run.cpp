#include "optimizers/search_run.h"

#include <algorithm>
#include <cmath>

#include "core/interrupt.h"
#include "optimizers/neighbourhood.h"

namespace strata::optimizers {

SearchRun::SearchRun(const LayerModel& layers, Limits limits, std::uint64_t seed,
                     const std::optional<Objectives>& reference)
    : model(layers), random(seed), limits_(limits), reference_(reference) {
  spent_ = limits.evaluations <= 0;
}

double SearchRun::progress() const {
  double progress = static_cast<double>(evaluations_) / static_cast<double>(limits_.evaluations);
  if (limits_.seconds > 0) progress = std::max(progress, seconds() / limits_.seconds);
  return std::min(1.0, progress);
}

std::optional<std::chrono::steady_clock::time_point> SearchRun::deadline() const {
  if (limits_.seconds <= 0) return std::nullopt;
  using Clock = std::chrono::steady_clock;
  const std::chrono::duration<double> most = Clock::time_point::max() - start_;
  if (limits_.seconds >= most.count()) return std::nullopt;
  return start_ + std::chrono::duration_cast<Clock::duration>(
                      std::chrono::duration<double>(limits_.seconds));
}

double SearchRun::seconds() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
}

Prices SearchRun::prices_near(const Value& value) {
  if (model.two_objectives() && random.below(2) == 0) {
    const double slope = archive.slope(value.spread, model);
    if (slope > 0) return {slope * std::exp(0.3 * random.normal()), 0, 0};
  }
  return random_prices(model, random);
}

void SearchRun::record(const UnitState& state) {
  archive.insert(state);
  count();
}

void SearchRun::count(std::int64_t evaluations) {
  stop_if_interrupted();
  evaluations_ += evaluations;
  if (evaluations_ >= limits_.evaluations) spent_ = true;
  // The clock is read seldom, as it costs more than an evaluation by deltas.
  if (limits_.seconds > 0 && evaluations_ >= next_clock_) {
    next_clock_ = evaluations_ + 64;
    if (seconds() >= limits_.seconds) spent_ = true;
  }
  if (reference_ && evaluations_ >= next_log_) {
    log_.push_back({evaluations_, seconds(), archive.hypervolume(model, *reference_)});
    next_log_ = evaluations_ + std::max<std::int64_t>(1, evaluations_ / 100);
  }
}

void SearchRun::finish() {
  if (reference_ && (log_.empty() || log_.back().evaluations != evaluations_))
    log_.push_back({evaluations_, seconds(), archive.hypervolume(model, *reference_)});
}

}  // namespace strata::optimizers
