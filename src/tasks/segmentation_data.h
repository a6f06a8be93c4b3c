#pragma once
/// \file
/// Volumes as a data set: a row is a stack of five slices. Internal (LibTorch types show).

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "data/nifti.h"
#include "data/planes.h"
#include "data/stack_augmentation.h"
#include "tasks/dataset.h"

namespace strata::tasks {

/// A volume whose slices are a model's input.
struct HeldVolume {
  data::Example example;
  data::ImagePlanes slices = {};  ///< of the model's size, as stored
  data::LabelPlanes labels = {};  ///< likewise, the nearest
  /// The least and the largest value of each slice at its own size, by which stacks are scaled.
  std::vector<float> least = {}, largest = {};
  std::int64_t height = 0, width = 0;  ///< of a slice in its file
  std::int64_t first_row = 0;          ///< of the data set: that of the first slice's stack

  std::int64_t count() const { return slices.count; }
};

/// Memory: 5 bytes a pixel of the model's size and slice. Rows are in the order of the volumes and
/// of their slices.
class SegmentationData : public Dataset {
 public:
  /// Reads the volumes of these examples on all threads. @throws InputError as data::read_case
  /// does; the model has other classes than the data, or another number of classes without names.
  SegmentationData(std::shared_ptr<const Task> task, const Source& source,
                   const std::vector<int>& indices);

  /// pixels (n, 5, 3, side, side) of scaled stacks, each slice in three channels, normalised as the
  /// model's image processor says; labels int64 (n, 5, side, side).
  models::Batch batch(const std::vector<std::int64_t>& rows, torch::Device device,
                      const std::vector<Variation>& variations = {}) const override;
  bool has_target(std::int64_t) const override { return true; }

  const std::vector<HeldVolume>& volumes() const { return volumes_; }
  /// The volume's mask as its file has it. @throws InputError
  data::Mask truth(const HeldVolume& volume) const;
  int slice_axis() const { return reading_.slice_axis; }
  /// The data's names of the classes; the model's own are the same, or it has none.
  const std::vector<std::string>& classes() const { return classes_; }

 protected:
  torch::Tensor targets(const torch::Tensor&) const override { return {}; }

 private:
  data::StackPair stack(std::int64_t row) const;
  const HeldVolume& volume_of(std::int64_t row) const;

  std::filesystem::path folder_;
  data::VolumeReading reading_;
  std::vector<std::string> classes_;
  data::ImageProcessor processor_;
  std::int64_t side_;
  std::vector<HeldVolume> volumes_;
};

}  // namespace strata::tasks
