#pragma once
/// \file
/// How well a volume is segmented: the list of metrics, which data/mask_scores.h computes. A
/// further one is a line.

#include <string>
#include <vector>

#include "data/mask_scores.h"

namespace strata::tasks {

/// Within which surfaces count as the same.
inline constexpr double kSurfaceTolerance = 2;  // mm

struct VolumeMetric {
  std::string name;  ///< its column in metrics.csv
  std::string help;  ///< Markdown, a sentence without a full stop
  double (*of)(const data::MaskScore& score);
};

/// Dice first.
const std::vector<VolumeMetric>& volume_metrics();

}  // namespace strata::tasks
