#include "fedrunner/failures.h"

#include "strata/core/random.h"

namespace strata::fedrunner {

Failure draw_failure(const FailureOptions& options, std::uint64_t seed) {
  Random random(seed);
  // Every number is drawn whatever the others say, so that one probability does not move another's
  // failures.
  const double dropout = random.uniform(0, 1), late = random.uniform(0, 1);
  const double corruption = random.uniform(0, 1), kind = random.uniform(0, 1);
  Failure failure;
  failure.dropped = dropout < options.dropout;
  failure.late = !failure.dropped && late < options.stragglers;
  if (!failure.dropped && corruption < options.corruption)
    failure.corruption = kind < 0.5 ? Failure::Corruption::nan : Failure::Corruption::scaled;
  return failure;
}

}  // namespace strata::fedrunner
