#pragma once
/// \file
/// All of a model but its weights: the architecture, what stands beside it, how images are read.
/// LibTorch's types do not show.

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "data/image_processor.h"
#include "models/architecture.h"
#include "models/attachment.h"
#include "models/layer.h"

namespace strata::models {

class Blueprint {
 public:
  /// With the default processing of images for the architecture where none is given.
  explicit Blueprint(std::shared_ptr<const Architecture> architecture);
  Blueprint(std::shared_ptr<const Architecture> architecture, data::ImageProcessor images);

  const Architecture& architecture() const { return *architecture_; }
  const Attachments& attachments() const { return attachments_; }
  /// In place of those there were; the order is that of their layers and of `after`.
  void set_attachments(Attachments attachments);
  /// The same with other labels (see Architecture::with).
  Blueprint with(std::vector<std::string> labels, std::int64_t vocabulary_size) const;
  Blueprint with(std::vector<std::string> labels) const;
  /// The same for images of another size (see Architecture::with_image_size), to which they are
  /// then resized. @throws InputError: the architecture reads images of its own size alone
  Blueprint with_image_size(std::int64_t side) const;

  /// What becomes of images before the model sees them.
  data::ImageProcessor image_processor() const;
  void set_images(data::ImageProcessor images) { images_ = images; }

  /// The architecture's, then each attachment's.
  const std::vector<Layer>& layers() const { return layers_; }
  /// O(1). @throws std::out_of_range
  const Layer& layer(const std::string& name) const { return layers_[layer_.at(name)]; }
  /// The layer that has the parameter or buffer. O(1). @throws InputError with the nearest name
  const Layer& layer_of(const std::string& parameter) const;
  bool has(const std::string& parameter) const { return owner_.count(parameter) > 0; }
  const Parameter& parameter(const std::string& name) const;  ///< or buffer
  /// In the order of the layers: the base's, then those beside it.
  std::vector<Parameter> parameters() const;
  std::vector<Parameter> base_parameters() const;
  std::vector<Parameter> buffers() const;
  std::int64_t parameter_count() const;  ///< without buffers
  std::int64_t prefix_tokens() const;
  /// Architecture::example, with the images that the processing makes where any size is read.
  Batch example(std::int64_t text_tokens) const;

 private:
  void index();

  std::shared_ptr<const Architecture> architecture_;
  data::ImageProcessor images_;
  Attachments attachments_;
  std::vector<Layer> layers_;
  std::unordered_map<std::string, std::size_t> layer_, owner_;
};

/// The base of a model folder: config.json and the image processor (preprocessor_config.h).
/// @throws InputError as read_architecture and read_image_processor do
Blueprint read_base_blueprint(const std::filesystem::path& folder);

}  // namespace strata::models
