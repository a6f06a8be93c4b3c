#pragma once
/// \file
/// Accuracy and loss of a model on encoded examples.

#include <cstdint>
#include <vector>

#include "models/model.h"
#include "models/vqa_tensors.h"

namespace strata::fedrunner {

/// Counts rather than ratios, so that clients' results can be added.
struct Evaluation {
  std::int64_t samples = 0, correct = 0;  ///< correct: the likeliest label is an accepted answer
  std::int64_t open = 0, open_correct = 0;
  std::int64_t closed = 0, closed_correct = 0;
  double loss_sum = 0;       ///< cross-entropy, in nats, summed over the samples that have a target
  std::int64_t targets = 0;  ///< samples with an answer among the labels; the others are wrong

  // Ratios; NaN where there is nothing to divide by.
  double accuracy() const;
  double open_accuracy() const;
  double closed_accuracy() const;
  double loss() const;

  Evaluation& operator+=(const Evaluation& other);
};

/// One forward pass over `data` without gradients; the device is read once, at the end. `right`,
/// when given, gets whether each row was answered correctly.
Evaluation evaluate(const models::Model& model, const models::VqaTensors& data,
                    std::vector<bool>* right = nullptr);

/// The most frequent target of `train` (of equally frequent ones the smallest label), and for every
/// row of `test` whether it accepts that answer. O(rows).
std::vector<bool> majority_right(const models::VqaTensors& train, const models::VqaTensors& test);

}  // namespace strata::fedrunner
