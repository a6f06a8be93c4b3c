#pragma once
/// \file
/// Segmentation of volumes, stack by stack, as "A Federated Learning-Friendly Approach for PEFT of
/// SAM in 3D Segmentation" trains and tests it (FLAP-SAM, 2407.21739).

#include <cstdint>

#include "tasks/task.h"

namespace strata::tasks {

/// The data are volumes with masks (Reading::kMasks); a sample is a stack of five slices
/// (data/volume_stacks.h), and a model's labels are the classes, beside the background.
///
/// - loss: 0.2 · cross-entropy + 0.8 · Dice over all places of the batch, where Dice is the mean
///   over background and classes of 1 - (2 Σ p t + 10⁻⁵) / (Σ p² + Σ t² + 10⁻⁵), p being softmax
///   and the sums over the whole batch. A sample's own loss, which scores are made of, has its own
///   sums. Of masks that a model makes at another size than the image's, labels are the nearest.
/// - outputs: the mean logit of background and of each class over the places where it is the
///   largest; over all places, where it is so at none.
/// - evaluation: of every slice the mean softmax over the stacks that hold it, at the slice's own
///   size (cubic), the likeliest class of each place; then the metrics of the table
///   (metrics/volume_metrics.h) for each class and volume. A metric is the mean over classes of the
///   means over volumes. `right` stays empty: there is no right and wrong.
TaskPtr segmentation();

/// The same but for its outputs: `count` ≥ 1 sums of all logits of a stack, background, classes,
/// slices and places, each with a random sign, over √count. The signs are drawn from `seed` and the
/// same for all stacks, so that their kernel is what `count` random directions see of that of all
/// logits; its trace is the same on average.
TaskPtr segmentation_in_random_directions(std::int64_t count, std::uint64_t seed);

}  // namespace strata::tasks
