#pragma once
/// \file
/// ResNet for image classification (He, Zhang, Ren & Sun, CVPR 2016), weight for weight
/// transformers' ResNetForImageClassification, and by their other names timm's and torchvision's: a
/// stem, residual layers of two or three convolutions with BatchNorms, a mean over places, one
/// linear layer. LibTorch's types do not show.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "models/architecture.h"

namespace strata::models {

/// The fields of transformers' ResNetConfig that shape the model, with its defaults: ResNet-50.
struct ResnetConfig {
  std::int64_t embedding_size = 64;
  std::vector<std::int64_t> hidden_sizes = {256, 512, 1024, 2048};
  std::vector<std::int64_t> depths = {3, 4, 6, 3};  ///< residual layers of each size
  bool bottleneck = true;                           ///< layer_type: else basic
  bool downsample_in_first_stage = false;
  bool downsample_in_bottleneck = false;  ///< at its first convolution, not at the second
  /// Of the images that costs are counted for where the image processor does not say; it reads any.
  std::int64_t image_size = 224;
  std::vector<std::string> labels;  ///< id2label in order of id
};

std::shared_ptr<const Architecture> make_resnet(ResnetConfig config);
/// transformers' config.json, or timm's, which names a network: `architecture: resnet50`.
std::shared_ptr<const Architecture> read_resnet(ObjectReader& config);
std::vector<std::string> resnet_timm_names();
std::shared_ptr<const Architecture> resnet_from_yaml(ObjectReader& section);
/// Its keys, for docs/runs.md.
inline constexpr const char* kResnetKeys =
    "`hidden_sizes` and `depths` (lists), `image_size`; optional `embedding_size` (64), "
    "`layer_type` (`bottleneck`, or `basic`), `downsample_in_first_stage`, "
    "`downsample_in_bottleneck` (false)";

}  // namespace strata::models
