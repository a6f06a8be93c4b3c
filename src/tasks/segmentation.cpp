#include "tasks/segmentation.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/interrupt.h"
#include "data/spline_resize.h"
#include "data/volume_stacks.h"
#include "models/cost.h"
#include "models/model.h"
#include "strata/core/error.h"
#include "strata/core/random.h"
#include "tasks/loss_shape.h"
#include "tasks/metrics/volume_metrics.h"
#include "tasks/segmentation_data.h"

namespace strata::tasks {
namespace {

using torch::Tensor;

constexpr double kShareOfDice = 0.8, kSmooth = 1e-5;
constexpr double kVolumeBatchBytes = 256.0 * 1024 * 1024;

const SegmentationData& volumes_of(const Dataset& data) {
  return dynamic_cast<const SegmentationData&>(data);
}

/// Logits (n, slices, classes, h, w), and the labels (n, slices, h, w) of their places.
struct Places {
  Tensor logits, labels;
};

/// What a short type has as float32.
Tensor in_full(const Tensor& logits) {
  return logits.scalar_type() == torch::kDouble ? logits : logits.to(torch::kFloat);
}

Places places_of(const models::State& output, const models::Batch& batch) {
  const Tensor& masks = output.values.at(models::kMaskLogits);
  const std::int64_t n = batch.labels.size(0), height = masks.size(2), width = masks.size(3);
  Tensor labels = batch.labels;
  if (labels.size(2) != height || labels.size(3) != width) {
    // Classes are few: floats hold them.
    labels = torch::upsample_nearest2d(labels.to(torch::kFloat), {height, width}).to(torch::kLong);
  }
  return {masks.reshape({n, -1, masks.size(1), height, width}), labels};
}

/// 1 - Dice of every class, over all dimensions of (…, slices, classes, h, w) that are named.
Tensor dice_loss(const Places& places, const std::vector<std::int64_t>& over) {
  const std::int64_t classes = places.logits.size(2);
  const Tensor p = torch::softmax(in_full(places.logits), 2);
  const Tensor t = torch::one_hot(places.labels, classes).permute({0, 1, 4, 2, 3}).to(p.dtype());
  const Tensor both = (p * t).sum(over), all = (p * p).sum(over) + t.sum(over);  // t² is t
  return (1 - (2 * both + kSmooth) / (all + kSmooth)).mean(-1);
}

/// Of every place, (n, slices, h, w).
Tensor cross_entropies(const Places& places) {
  const Tensor logits = in_full(places.logits.flatten(0, 1));
  return torch::cross_entropy_loss(logits, places.labels.flatten(0, 1), {}, at::Reduction::None)
      .view(places.labels.sizes());
}

/// What the stacks say of the slices of a volume.
class SliceProbabilities {
 public:
  SliceProbabilities(std::int64_t slices, const Tensor& like)
      : sums_(torch::zeros({slices, like.size(1), like.size(2), like.size(3)})),
        counts_(static_cast<std::size_t>(slices)) {}

  /// Of the stack around a slice, (5, classes, h, w). A slice that stands in for one beyond the
  /// volume's end is not counted twice.
  void add(std::int64_t slice, const Tensor& stack) {
    const std::int64_t before = data::kStackSlices / 2;
    for (int place = 0; place < data::kStackSlices; ++place) {
      const std::int64_t at = slice + place - before;
      if (at < 0 || at >= sums_.size(0)) continue;
      sums_[at] += stack[place];
      ++counts_[static_cast<std::size_t>(at)];
    }
  }

  /// The likeliest class of every place of the slices at their own size.
  data::LabelPlanes likeliest(std::int64_t height, std::int64_t width) const {
    const std::int64_t slices = sums_.size(0);
    data::LabelPlanes labels(slices, height, width);
    for (std::int64_t slice = 0; slice < slices; ++slice) {
      const Tensor mean = sums_[slice] / counts_[static_cast<std::size_t>(slice)];
      const Tensor chosen = at_size(mean, height, width).argmax(0).to(torch::kByte).contiguous();
      std::copy_n(chosen.data_ptr<std::uint8_t>(), labels.area(), labels.plane(slice));
    }
    return labels;
  }

 private:
  static Tensor at_size(const Tensor& maps, std::int64_t height, std::int64_t width) {
    data::ImagePlanes planes(maps.size(0), maps.size(1), maps.size(2));
    std::copy_n(maps.contiguous().data_ptr<float>(), planes.values.size(), planes.values.begin());
    planes = data::resize_cubic(planes, height, width);
    return torch::from_blob(planes.values.data(), {planes.count, height, width}).clone();
  }

  Tensor sums_;
  std::vector<int> counts_;
};

class Segmentation : public Task {
 public:
  const std::string& name() const override {
    static const std::string name = "segmentation";
    return name;
  }
  std::vector<std::string> labels(const std::vector<Split>& training) const override {
    return training.empty() ? std::vector<std::string>() : training.front().manifest.classes;
  }
  std::unique_ptr<Dataset> encode(const std::vector<int>& indices,
                                  const Source& source) const override {
    return std::make_unique<SegmentationData>(shared_from_this(), source, indices);
  }

  Tensor losses(const models::State& output, const models::Batch& batch) const override {
    const Places places = places_of(output, batch);
    return (1 - kShareOfDice) * cross_entropies(places).mean({1, 2, 3}) +
           kShareOfDice * dice_loss(places, {1, 3, 4});
  }
  Tensor loss(const models::State& output, const models::Batch& batch,
              const LossShape& shape) const override;
  Tensor mean_loss(const models::State& output, const models::Batch& batch) const override {
    return losses(output, batch).mean();
  }
  Tensor calibration(const Dataset&) const override { refuse("calibrate_labels"); }
  Tensor class_weights(const Dataset&) const override { refuse("class_weights"); }
  Tensor outputs(const models::State& output, const models::Batch& batch) const override;

  std::vector<std::string> metrics() const override {
    std::vector<std::string> names;
    for (const VolumeMetric& metric : volume_metrics()) names.push_back(metric.name);
    return names;
  }
  double value(const std::string& metric, const Tally& tally) const override;
  Tally evaluate(const models::Model& model, const Dataset& data, std::vector<bool>* right,
                 std::vector<Prediction>* predictions) const override;
  std::vector<bool> majority_right(const Dataset&, const Dataset&) const override { return {}; }

 private:
  [[noreturn]] static void refuse(const std::string& key) {
    throw InputError("run.local." + key + ": is for labels of whole examples, not of segmentation");
  }
  void evaluate_volume(const models::Model& model, const SegmentationData& data,
                       const HeldVolume& volume, Tally& tally,
                       std::vector<Prediction>* predictions) const;
};

Tensor Segmentation::loss(const models::State& output, const models::Batch& batch,
                          const LossShape& shape) const {
  const Places places = places_of(output, batch);
  Tensor each = cross_entropies(places);
  if (shape.focal_gamma > 0) each = (1 - (-each).exp()).pow(shape.focal_gamma) * each;
  return (1 - kShareOfDice) * each.mean() + kShareOfDice * dice_loss(places, {0, 1, 3, 4});
}

Tensor Segmentation::outputs(const models::State& output, const models::Batch& batch) const {
  const Tensor& masks = output.values.at(models::kMaskLogits);
  const std::int64_t n = batch.size(), classes = masks.size(1);
  const Tensor logits = masks.view({n, -1, classes, masks.size(2) * masks.size(3)})
                            .transpose(1, 2)
                            .flatten(2);  // (n, classes, places)
  const Tensor largest = torch::one_hot(logits.argmax(1), classes).transpose(1, 2);
  const Tensor region =
      torch::where(largest.sum(2, /*keepdim=*/true) > 0, largest, 1).to(logits.dtype());
  return (logits * region).sum(2) / region.sum(2);
}

double Segmentation::value(const std::string& metric, const Tally& tally) const {
  const auto names = metrics();
  if (std::find(names.begin(), names.end(), metric) == names.end()) throw std::out_of_range(metric);
  Sum classes;
  const std::string prefix = metric + "/";
  for (auto at = tally.lower_bound(prefix); at != tally.end() && at->first.starts_with(prefix);
       ++at)
    classes.add(at->second.mean());
  return classes.mean();
}

Tally Segmentation::evaluate(const models::Model& model, const Dataset& data, std::vector<bool>*,
                             std::vector<Prediction>* predictions) const {
  const torch::NoGradGuard no_grad;
  Tally tally;
  for (const HeldVolume& volume : volumes_of(data).volumes())
    evaluate_volume(model, volumes_of(data), volume, tally, predictions);
  return tally;
}

void Segmentation::evaluate_volume(const models::Model& model, const SegmentationData& data,
                                   const HeldVolume& volume, Tally& tally,
                                   std::vector<Prediction>* predictions) const {
  const std::int64_t stacks = std::max<std::int64_t>(
      1, models::forward_rows(model.blueprint(), 0, kVolumeBatchBytes) / data::kStackSlices);
  std::optional<SliceProbabilities> found;
  Sum& loss = tally[kLossSum];
  for (std::int64_t begin = 0; begin < volume.count(); begin += stacks) {
    stop_if_interrupted();
    std::vector<std::int64_t> rows(
        static_cast<std::size_t>(std::min(stacks, volume.count() - begin)));
    std::iota(rows.begin(), rows.end(), volume.first_row + begin);
    const models::Batch batch = data.batch(rows, model.device());
    const models::State output = model.run(batch);
    const Tensor each = losses(output, batch).to(torch::kCPU, torch::kFloat64);
    loss.add(each.sum().item<double>(), static_cast<double>(rows.size()));
    const Tensor probabilities =
        torch::softmax(output.values.at(models::kMaskLogits), 1, torch::kFloat).to(torch::kCPU);
    if (!found) found.emplace(volume.count(), probabilities);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const std::int64_t first = static_cast<std::int64_t>(i) * data::kStackSlices;
      found->add(rows[i] - volume.first_row, probabilities.narrow(0, first, data::kStackSlices));
    }
  }
  const data::Mask truth = data.truth(volume);
  auto mask = std::make_shared<data::Mask>(
      data::mask_of(found->likeliest(volume.height, volume.width), truth, data.slice_axis()));
  Prediction prediction;
  const auto& classes = model.architecture().labels();
  const auto scores =
      data::score_masks(*mask, truth, static_cast<int>(classes.size()), kSurfaceTolerance);
  for (const VolumeMetric& metric : volume_metrics()) {
    for (std::size_t c = 0; c < classes.size(); ++c) {
      const double value = metric.of(scores[c]);
      tally[metric.name + "/" + classes[c]].add(value);
      prediction.values.emplace_back(metric.name + "/" + data.classes()[c], value);
    }
  }
  if (!predictions) return;
  prediction.mask = std::move(mask);
  prediction.example = &volume.example;
  predictions->push_back(std::move(prediction));
}

class RandomDirections : public Segmentation {
 public:
  RandomDirections(std::int64_t count, std::uint64_t seed) : count_(count), seed_(seed) {}

  Tensor outputs(const models::State& output, const models::Batch& batch) const override {
    const Tensor& masks = output.values.at(models::kMaskLogits);
    const Tensor logits = masks.reshape({batch.size(), -1});
    return logits.mm(directions(logits.size(1)).to(logits.device(), logits.scalar_type()).t());
  }

 private:
  /// (count, logits)
  Tensor directions(std::int64_t logits) const {
    Tensor signs = torch::empty({count_, logits});
    Random random(seed_);
    const auto size = static_cast<float>(1 / std::sqrt(static_cast<double>(count_)));
    auto* sign = signs.data_ptr<float>();
    std::uint64_t bits = 0;
    for (std::int64_t i = 0; i < signs.numel(); ++i, bits >>= 1) {
      if (i % 64 == 0) bits = random();
      sign[i] = bits & 1 ? size : -size;
    }
    return signs;
  }

  std::int64_t count_;
  std::uint64_t seed_;
};

}  // namespace

TaskPtr segmentation_in_random_directions(std::int64_t count, std::uint64_t seed) {
  return std::make_shared<const RandomDirections>(count, seed);
}

TaskPtr segmentation() {
  static const TaskPtr task = std::make_shared<const Segmentation>();
  return task;
}

}  // namespace strata::tasks
