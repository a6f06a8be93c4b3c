#pragma once
/// \file
/// What a model is for: what its examples are, how its outputs are judged, and how well it does.
/// One file a task; the list of them is tasks.h. LibTorch's types are only named here.

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "data/manifest.h"
#include "data/volume.h"
#include "tasks/tally.h"

namespace at {
class Tensor;
}

namespace strata::models {
struct Batch;
struct State;
class Model;
}  // namespace strata::models

namespace strata::tasks {

class Dataset;
struct Source;

/// Some of a data set's examples.
struct Split {
  const data::Manifest& manifest;
  std::vector<int> examples;
};
/// Those of "train" or of "test".
Split split_of(const data::Manifest& manifest, const std::string& split);

/// What a model makes of one example.
struct Prediction {
  std::vector<std::string> truth;       ///< accepted answers, or the image's labels
  std::vector<std::string> prediction;  ///< one answer or label, or the labels of several
  double log_probability = 0;           ///< the model's, of the prediction; in nats, ≤ 0
  std::vector<double> logits;           ///< in the order of the model's labels
  /// Of a volume: its mask, the example that it is of, and its metrics by "metric/class".
  std::shared_ptr<const data::Mask> mask = nullptr;
  const data::Example* example = nullptr;
  std::vector<std::pair<std::string, double>> values = {};
};

struct LossShape;  // tasks/loss_shape.h

/// Immutable; shared by its data sets.
class Task : public std::enable_shared_from_this<Task> {
 public:
  virtual ~Task() = default;

  /// As `task` in an experiment file names it.
  virtual const std::string& name() const = 0;
  /// What a fresh output layer stands for that is to learn from these examples.
  virtual std::vector<std::string> labels(const std::vector<Split>& training) const = 0;
  /// The examples `indices` of the source's manifest as a data set. @throws InputError naming the
  /// example: its truth is none of the model's labels (see Source::drop_unseen); none is left.
  virtual std::unique_ptr<Dataset> encode(const std::vector<int>& indices,
                                          const Source& source) const = 0;

  /// Each sample's loss, in nats: (n). `output` is what the model's last stage left.
  virtual at::Tensor losses(const models::State& output, const models::Batch& batch) const = 0;
  /// The mean loss over the samples that have a target: a scalar.
  virtual at::Tensor loss(const models::State& output, const models::Batch& batch,
                          const LossShape& shape) const = 0;
  at::Tensor loss(const models::State& output, const models::Batch& batch) const;
  /// The mean of losses(), which parts of a batch add up to: loss() where that is the same.
  virtual at::Tensor mean_loss(const models::State& output, const models::Batch& batch) const;
  /// What a loss that is calibrated for the client's own label counts needs (see
  /// `run.local.calibrate_labels`), in float32 on the CPU.
  virtual at::Tensor calibration(const Dataset& data) const = 0;
  /// What labels' losses count, so that every label that occurs counts the same (see
  /// `run.local.class_weights`), in float32 on the CPU. @throws InputError: there are no labels, or
  /// several an example
  virtual at::Tensor class_weights(const Dataset& data) const = 0;
  /// The outputs whose gradients the layerwise NTK is made of: (n, K).
  virtual at::Tensor outputs(const models::State& output, const models::Batch& batch) const = 0;

  /// The names of what `value` gives of a tally, the main one first: columns of metrics.csv.
  virtual std::vector<std::string> metrics() const = 0;
  /// NaN where the tally has nothing of it. @throws std::out_of_range for another name
  virtual double value(const std::string& metric, const Tally& tally) const = 0;
  /// "loss", then every metric, with its value.
  std::vector<std::pair<std::string, double>> values(const Tally& tally) const;
  /// The model's tally over all of `data`, with the sum "loss"; without gradients and in batches,
  /// of which it depends on nothing but the rounding. `right`, where given, gets whether each row
  /// is right, and `predictions` what was made of it; of a task without right and wrong nothing,
  /// and a prediction a volume.
  virtual Tally evaluate(const models::Model& model, const Dataset& data,
                         std::vector<bool>* right = nullptr,
                         std::vector<Prediction>* predictions = nullptr) const = 0;
  /// For every row of `test` whether it is right to always give what is most frequent in `train`.
  /// O(rows).
  virtual std::vector<bool> majority_right(const Dataset& train, const Dataset& test) const = 0;
};

using TaskPtr = std::shared_ptr<const Task>;

}  // namespace strata::tasks
