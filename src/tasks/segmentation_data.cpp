#include "tasks/segmentation_data.h"

#include <algorithm>

#include "core/parallel.h"
#include "core/text.h"
#include "data/spline_resize.h"
#include "data/volume_cases.h"
#include "data/volume_stacks.h"
#include "models/architectures/sam_checkpoint.h"
#include "strata/core/error.h"
#include "strata/core/random.h"

namespace strata::tasks {
namespace {

using torch::Tensor;

void check_classes(const Source& source) {
  const std::vector<std::string>& labels = source.blueprint.architecture().labels();
  if (!source.blueprint.architecture().segments()) {
    throw InputError("task: segmentation is for models that make masks (sam); one of the type \"" +
                     source.blueprint.architecture().type() + "\" does not");
  }
  if (labels.empty()) {
    throw InputError("task: segmentation is for models with classes, and this one of the type \"" +
                     source.blueprint.architecture().type() +
                     "\" has none; model.answers: data gives it the data's");
  }
  const std::vector<std::string>& classes = source.manifest.classes;
  if (labels == classes) return;
  if (models::are_unnamed(labels)) {
    if (labels.size() == classes.size()) return;
    throw InputError(source.manifest.folder.string() + ": its classes are " + quoted_list(classes) +
                     ", but the model has " + std::to_string(labels.size()) +
                     " without names; model.answers: data gives it the data's");
  }
  throw InputError(source.manifest.folder.string() + ": its classes are " + quoted_list(classes) +
                   ", but the model's are " + quoted_list(labels) +
                   "; model.answers: data gives it the data's");
}

HeldVolume held(const data::Manifest& manifest, const data::Example& example, std::int64_t side) {
  const data::VolumeCase read = data::read_case(manifest, example);
  const int axis = manifest.volumes->slice_axis;
  const data::ImagePlanes slices = data::slices_of(read.image, axis);
  HeldVolume volume{.example = example, .height = slices.height, .width = slices.width};
  for (std::int64_t slice = 0; slice < slices.count; ++slice) {
    const auto [least, largest] =
        std::minmax_element(slices.plane(slice), slices.plane(slice) + slices.area());
    volume.least.push_back(*least);
    volume.largest.push_back(*largest);
  }
  volume.slices = data::resize_cubic(slices, side, side);
  volume.labels = data::resize_nearest(data::slices_of(read.mask, axis), side, side);
  return volume;
}

void mirror(data::StackPair& stack, int flips) {
  const auto turn = [&](auto& planes) {
    for (std::int64_t plane = 0; plane < planes.count; ++plane) {
      auto* values = planes.plane(plane);
      if (flips & 1)
        for (std::int64_t row = 0; row < planes.height; ++row)
          std::reverse(values + row * planes.width, values + (row + 1) * planes.width);
      if (flips & 2)
        for (std::int64_t row = 0; row < planes.height / 2; ++row)
          std::swap_ranges(values + row * planes.width, values + (row + 1) * planes.width,
                           values + (planes.height - 1 - row) * planes.width);
    }
  };
  turn(stack.image);
  turn(stack.mask);
}

}  // namespace

SegmentationData::SegmentationData(std::shared_ptr<const Task> task, const Source& source,
                                   const std::vector<int>& indices)
    : Dataset(std::move(task), source),
      folder_(source.manifest.folder),
      reading_(source.manifest.volumes.value()),
      classes_(source.manifest.classes),
      processor_(source.blueprint.image_processor()),
      side_(source.blueprint.architecture().image_model().image_size) {
  check_classes(source);
  processor_.rescale = false;  // stacks are 0 to 1 already
  volumes_.resize(indices.size());
  parallel_for(static_cast<int>(indices.size()), 0, [&](int i) {
    const auto at = static_cast<std::size_t>(i);
    volumes_[at] = held(source.manifest,
                        source.manifest.examples.at(static_cast<std::size_t>(indices[at])), side_);
  });
  for (HeldVolume& volume : volumes_) {
    volume.first_row = size();
    for (std::int64_t slice = 0; slice < volume.count(); ++slice) add_row(volume.example);
  }
  asked_ = size();
}

data::Mask SegmentationData::truth(const HeldVolume& volume) const {
  return data::read_nifti_mask(folder_ / volume.example.mask,
                               {static_cast<int>(classes_.size()), reading_.higher_is_last});
}

const HeldVolume& SegmentationData::volume_of(std::int64_t row) const {
  const auto after = std::upper_bound(
      volumes_.begin(), volumes_.end(), row,
      [](std::int64_t at, const HeldVolume& volume) { return at < volume.first_row; });
  return *std::prev(after);
}

data::StackPair SegmentationData::stack(std::int64_t row) const {
  const HeldVolume& volume = volume_of(row);
  const std::int64_t slice = row - volume.first_row;
  float least = volume.least[static_cast<std::size_t>(slice)];
  float largest = volume.largest[static_cast<std::size_t>(slice)];
  for (int place = 0; place < data::kStackSlices; ++place) {
    const auto other = static_cast<std::size_t>(data::slice_in_stack(volume.count(), slice, place));
    least = std::min(least, volume.least[other]);
    largest = std::max(largest, volume.largest[other]);
  }
  return {data::scaled_stack(data::stack_around(volume.slices, slice), least, largest),
          data::stack_around(volume.labels, slice)};
}

models::Batch SegmentationData::batch(const std::vector<std::int64_t>& rows, torch::Device device,
                                      const std::vector<Variation>& variations) const {
  const auto n = static_cast<std::int64_t>(rows.size());
  Tensor images = torch::empty({n, data::kStackSlices, 1, side_, side_});
  Tensor labels = torch::empty({n, data::kStackSlices, side_, side_}, torch::kByte);
  for (std::int64_t i = 0; i < n; ++i) {
    data::StackPair pair = stack(rows[static_cast<std::size_t>(i)]);
    if (!variations.empty()) {
      const Variation& variation = variations[static_cast<std::size_t>(i)];
      mirror(pair, variation.flips);
      if (variation.seed) {
        Random random(*variation.seed);
        data::augment(pair, random);
      }
    }
    std::copy(pair.image.values.begin(), pair.image.values.end(), images[i].data_ptr<float>());
    std::copy(pair.mask.values.begin(), pair.mask.values.end(), labels[i].data_ptr<std::uint8_t>());
  }
  models::Batch batch;
  images = images.to(device).expand({n, data::kStackSlices, 3, side_, side_}).contiguous();
  batch.pixels = normalised(images, processor_);
  batch.labels = labels.to(device).to(torch::kLong);
  return batch;
}

}  // namespace strata::tasks
