#include "tasks/shown_slice.h"

#include <algorithm>
#include <cmath>

#include "data/spline_resize.h"
#include "data/volume_stacks.h"
#include "tasks/segmentation.h"
#include "tasks/segmentation_data.h"

namespace strata::tasks {
namespace {

std::int64_t labelled(const data::LabelPlanes& labels, std::int64_t slice) {
  const std::uint8_t* plane = labels.plane(slice);
  return static_cast<std::int64_t>(labels.area()) -
         std::count(plane, plane + labels.area(), std::uint8_t{0});
}

/// In pixels of the model's size.
std::int64_t true_size(const HeldVolume& volume) {
  std::int64_t size = 0;
  for (std::int64_t slice = 0; slice < volume.count(); ++slice)
    size += labelled(volume.labels, slice);
  return size;
}

std::int64_t middle_slice(const HeldVolume& volume) {
  std::vector<std::int64_t> slices;
  for (std::int64_t slice = 0; slice < volume.count(); ++slice)
    if (labelled(volume.labels, slice) > 0) slices.push_back(slice);
  return slices.empty() ? volume.count() / 2 : slices[slices.size() / 2];
}

template <typename Value>
data::Planes<Value> one_plane(const data::Planes<Value>& planes, std::int64_t index) {
  data::Planes<Value> one(1, planes.height, planes.width);
  std::copy_n(planes.plane(index), planes.area(), one.plane(0));
  return one;
}

void put_image(const data::ImagePlanes& image, std::uint8_t* to) {
  const auto [least, largest] = std::minmax_element(image.values.begin(), image.values.end());
  const float range = *largest > *least ? *largest - *least : 1;
  std::transform(image.values.begin(), image.values.end(), to, [&](float value) {
    return static_cast<std::uint8_t>(std::lround(255 * (value - *least) / range));
  });
}

}  // namespace

bool shows_slices(const Task& task) {
  return &task == segmentation().get();
}

std::optional<ShownSlice> shown_slice(const Dataset& test,
                                      const std::vector<Prediction>& predictions) {
  const auto* data = dynamic_cast<const SegmentationData*>(&test);
  if (!data || data->volumes().empty()) return std::nullopt;
  const auto& volumes = data->volumes();
  const auto volume = std::max_element(
      volumes.begin(), volumes.end(),
      [](const HeldVolume& a, const HeldVolume& b) { return true_size(a) < true_size(b); });
  const auto found =
      std::find_if(predictions.begin(), predictions.end(),
                   [&](const Prediction& one) { return one.example == &volume->example; });
  if (found == predictions.end()) return std::nullopt;

  const double scale =
      std::min(1.0, static_cast<double>(kLargestShown) /
                        static_cast<double>(std::max(volume->height, volume->width)));
  const auto shown_side = [&](std::int64_t side) {
    return std::max<std::int64_t>(1, std::lround(scale * static_cast<double>(side)));
  };
  ShownSlice shown{volume->example.image, middle_slice(*volume)};
  shown.planes = data::LabelPlanes(3, shown_side(volume->height), shown_side(volume->width));
  auto& planes = shown.planes;
  put_image(data::resize_cubic(one_plane(volume->slices, shown.slice), planes.height, planes.width),
            planes.plane(0));
  const data::Mask truth = data->truth(*volume);
  std::int64_t place = 0;
  for (const data::Mask* mask : {&truth, found->mask.get()}) {
    const data::LabelPlanes labels =
        data::resize_nearest(one_plane(data::slices_of(*mask, data->slice_axis()), shown.slice),
                             planes.height, planes.width);
    std::copy_n(labels.plane(0), labels.area(), planes.plane(++place));
  }
  return shown;
}

}  // namespace strata::tasks
