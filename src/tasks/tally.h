#pragma once
/// \file
/// What an evaluation has summed up, in a form that adds over clients and machines.

#include <map>
#include <string>

namespace strata::tasks {

/// Part of a mean: a sum of values, and of the weights that they have in it.
struct Sum {
  double sum = 0, weight = 0;

  void add(double value, double of = 1) { sum += value, weight += of; }
  double mean() const;  ///< NaN where nothing was added
};

/// The sum of losses in every tally, beside what metrics need.
inline constexpr const char* kLossSum = "loss";

/// Sums by name. Metrics (metrics/metric.h) are made from it, so that a metric over several clients
/// is that of all their examples together, not a mean of means:
/// \code
/// Tally a, b;
/// a["accuracy"].add(1);
/// b["accuracy"].add(0);
/// b["accuracy"].add(0);
/// a += b;
/// assert(a["accuracy"].mean() == 1.0 / 3);
/// \endcode
using Sums = std::map<std::string, Sum>;
class Tally : public Sums {
 public:
  using Sums::Sums;
  Tally& operator+=(const Tally& other);
  /// An empty sum where there is none of the name.
  Sum of(const std::string& name) const;
};

}  // namespace strata::tasks
