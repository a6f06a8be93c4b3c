#pragma once
/// \file
/// One slice of a client's test volumes for people to look at: the image, what is true, and what a
/// model says. Of a run's last evaluation the report shows one a site.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "data/planes.h"
#include "tasks/task.h"

namespace strata::tasks {

/// Pixels of a shown slice's longer side at most.
inline constexpr std::int64_t kLargestShown = 256;

struct ShownSlice {
  std::string volume = {};  ///< the image's file, as the manifest has it
  std::int64_t slice = 0;   ///< of the volume, from 0
  /// Three, of one size: the image from black (0, its least value) to white (255, its largest);
  /// what is true; what the model says: 0 the background, c the class c, from 1.
  data::LabelPlanes planes = {};
};

/// Whether the task's examples have slices to show.
bool shows_slices(const Task& task);

/// Of the volume with the largest true mask (the first of several) the middle one of the slices
/// that have some of it; where no volume has any, the middle slice of the first. In the
/// proportions of the volume's file, and no larger than kLargestShown. `predictions` are
/// Task::evaluate's of all of `test`. Nothing where the task shows none.
std::optional<ShownSlice> shown_slice(const Dataset& test,
                                      const std::vector<Prediction>& predictions);

}  // namespace strata::tasks
