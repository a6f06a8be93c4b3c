#include "tasks/tally.h"

#include <limits>

namespace strata::tasks {

double Sum::mean() const {
  return weight == 0 ? std::numeric_limits<double>::quiet_NaN() : sum / weight;
}

Tally& Tally::operator+=(const Tally& other) {
  for (const auto& [name, sum] : other) (*this)[name].add(sum.sum, sum.weight);
  return *this;
}

Sum Tally::of(const std::string& name) const {
  const auto found = find(name);
  return found == end() ? Sum() : found->second;
}

}  // namespace strata::tasks
