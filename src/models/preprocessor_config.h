#pragma once
/// \file
/// preprocessor_config.json: how a model's images become its pixels. No LibTorch here.

#include <filesystem>
#include <string>

#include "core/document.h"
#include "data/image_processor.h"

namespace strata::models {

/// Which sizes of images a model reads.
enum class ImageSizes {
  kOne,        ///< image_size squared (ViT)
  kAny,        ///< any, as long as all of a batch have the same (ResNet)
  kMultiples,  ///< multiples of patch_size, padded to those of a batch (ViLT)
};

/// What of a model the processing must fit.
struct ImageModel {
  ImageSizes sizes;
  int image_size, patch_size;
  /// What the name of its usual processor begins with: "CLIP", "Siglip", "Blip", "Idefics3",
  /// "SmolVLM", "Sam"; empty: by `sizes`.
  std::string processor = {};
  bool pads = false;  ///< images to squares, where no file says otherwise

  bool any_size() const { return sizes == ImageSizes::kAny; }
  bool multiples() const { return sizes == ImageSizes::kMultiples; }
};

/// The processing of a model that comes without a file. ViLT: bilinear to a shortest edge of
/// image_size, with size_divisor the patch size; CLIP: bicubic to a shortest edge of image_size,
/// the middle cut out, by CLIP's mean and deviation; BLIP: by these to a square as a whole; SigLIP:
/// bicubic to a square of image_size; Idefics 3 and SmolVLM: by Lanczos's filter to a longer edge
/// of four times image_size, then to a square of it; others: bilinear. CLIP's and BLIP's mean and
/// deviation are their own, SAM's slices stay in [0, 1], others scale to [-1, 1].
data::ImageProcessor default_image_processor(const ImageModel& model);

/// The `image_processor` of a model folder: preprocessor_config.json or, where there is none, what
/// processor_config.json (of transformers 5) has under "image_processor"; where it has nothing
/// either, what `pretrained_cfg` of timm's config.json says, and else the default. Read as
/// ViltImageProcessor, ViTImageProcessor, DeiTImageProcessor, CLIPImageProcessor (of LLaVA, too),
/// SiglipImageProcessor, BlipImageProcessor, for the models of these Idefics3ImageProcessor and
/// SmolVLMImageProcessor, of SamImageProcessor mean and deviation and, for models that read any
/// size, ConvNextImageProcessor read it, with their defaults for absent keys, and the names they
/// had before transformers 4.27.
/// @throws InputError naming file and key: another processor, a form of `size` or a resampling that
/// is not computed, a processing that does not fit
/// the model (a ViT reads images of its image_size only; ViLT's size_divisor must be a multiple of
/// its patch size; a model that reads any size needs one that is the same for all images).
data::ImageProcessor read_image_processor(const std::filesystem::path& folder,
                                          const ImageModel& model);

/// Writes preprocessor_config.json, which read_image_processor and transformers read back the same.
void write_image_processor(const data::ImageProcessor& processor, const ImageModel& model,
                           const std::filesystem::path& folder);

}  // namespace strata::models
