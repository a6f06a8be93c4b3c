#pragma once
/// \file
/// Which updates the server does not take.

#include <string>
#include <vector>

#include "fedrunner/aggregation.h"

namespace strata::fedrunner {

struct Refusal {
  std::string client, reason;
};

/// Removes from `updates` those that would spoil the global model, keeping the order of the others:
/// - of a client that says it has none (ClientUpdate::failure);
/// - with a number that is not finite, which the reason names by its weight;
/// - with an outlying norm: the client's change a local step, ‖w − w_global‖ / (√n · steps) over
///   its n weights, is more than `outlier_ratio` times the median of all finite updates. Changes
///   are compared per weight and step as clients train different units for different times. 0: not
///   checked; nor is it with fewer than three finite updates, or a median of 0.
///
/// Returns the refusals in the order of `updates`. O(uploaded weights).
std::vector<Refusal> refuse_updates(const ModelState& global, std::vector<ClientUpdate>& updates,
                                    double outlier_ratio);

}  // namespace strata::fedrunner
