#include "tasks/metrics/volume_metrics.h"

namespace strata::tasks {

const std::vector<VolumeMetric>& volume_metrics() {
  static const std::vector<VolumeMetric> metrics = {
      {"dice", "twice the voxels that both masks have, over those of each; 1 where neither has any",
       [](const data::MaskScore& score) { return score.dice; }},
      {"hd95", "95th percentile of the distances between both surfaces, in mm; 0 is best",
       [](const data::MaskScore& score) { return score.hd95; }},
      {"nsd", "share of both surfaces that lies within 2 mm of the other",
       [](const data::MaskScore& score) { return score.surface_dice; }},
  };
  return metrics;
}

}  // namespace strata::tasks
