#pragma once
/// \file
/// How well a volume is segmented. One file a metric; this is the list of them.

#include <cstdint>
#include <string>
#include <vector>

#include "data/volume.h"

namespace strata::tasks {

struct VolumeMetric {
  std::string name;  ///< its column in metrics.csv
  std::string help;  ///< Markdown, a sentence without a full stop
  /// Of one class, of two masks on one grid.
  double (*of)(const data::Mask& found, const data::Mask& truth, std::uint8_t label);
};

/// Dice first.
const std::vector<VolumeMetric>& volume_metrics();

}  // namespace strata::tasks
