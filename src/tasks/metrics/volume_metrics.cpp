#include "tasks/metrics/volume_metrics.h"

namespace strata::tasks {
namespace {

double dice_of(const data::Mask& found, const data::Mask& truth, std::uint8_t label) {
  double both = 0, all = 0;
  for (std::size_t i = 0; i < truth.labels.size(); ++i) {
    const bool a = found.labels[i] == label, b = truth.labels[i] == label;
    both += a && b;
    all += (a ? 1 : 0) + (b ? 1 : 0);
  }
  return all == 0 ? 1 : 2 * both / all;
}

}  // namespace

const std::vector<VolumeMetric>& volume_metrics() {
  static const std::vector<VolumeMetric> metrics = {{"dice", "overlap", dice_of}};
  return metrics;
}

}  // namespace strata::tasks
