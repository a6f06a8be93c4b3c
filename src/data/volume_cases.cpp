#include "data/volume_cases.h"

#include <algorithm>
#include <cmath>

#include "core/text.h"
#include "strata/core/error.h"

namespace strata::data {
namespace {

constexpr double kCutQuantile = 0.99;

/// As numpy.quantile: linear between the two values around it.
double quantile(std::vector<float> values, double share) {
  const double place = share * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::ptrdiff_t>(place);
  std::nth_element(values.begin(), values.begin() + below, values.end());
  const double low = values[static_cast<std::size_t>(below)];
  const double part = place - static_cast<double>(below);
  if (part == 0) return low;
  const double high = *std::min_element(values.begin() + below + 1, values.end());
  return low + part * (high - low);
}

void cut_at_quantile(Volume& volume) {
  const auto high = static_cast<float>(quantile(volume.values, kCutQuantile));
  const float low = *std::min_element(volume.values.begin(), volume.values.end());
  const float range = high > low ? high - low : 1;
  for (float& value : volume.values) value = (std::min(value, high) - low) / range;
}

std::filesystem::path image_path(const Manifest& manifest, const Example& example) {
  return manifest.folder / example.image;
}

Mask read_mask(const Manifest& manifest, const Example& example, const VolumeGrid& image) {
  const auto path = manifest.folder / example.mask;
  Mask mask = read_nifti_mask(
      path, {static_cast<int>(manifest.classes.size()), manifest.volumes->higher_is_last});
  if (mask.size != image.size)
    throw InputError(path.string() + ": the mask has the shape " +
                     shape_text({mask.size.begin(), mask.size.end()}) + ", its image " +
                     image_path(manifest, example).string() + " has " +
                     shape_text({image.size.begin(), image.size.end()}));
  return mask;
}

}  // namespace

void adjust_intensities(Volume& volume, const VolumeReading& reading, const std::string& client,
                        const std::string& file) {
  if (reading.intensities == Intensities::kBelowQuantile) cut_at_quantile(volume);
  if (reading.intensities != Intensities::kWindow) return;
  const auto window = reading.windows.find(client);
  if (window == reading.windows.end())
    throw InputError(file + ": the client \"" + client + "\" has no window of intensities");
  const auto [low, high] = window->second;
  for (float& value : volume.values) value = std::clamp(value, low, high);
}

VolumeCase read_case(const Manifest& manifest, const Example& example) {
  const auto path = image_path(manifest, example);
  VolumeCase read{read_nifti(path), {}};
  read.mask = read_mask(manifest, example, read.image);
  adjust_intensities(read.image, *manifest.volumes, example.client, path.string());
  return read;
}

void check_case(const Manifest& manifest, const Example& example) {
  read_mask(manifest, example, check_nifti(image_path(manifest, example)));
}

}  // namespace strata::data
