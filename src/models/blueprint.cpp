#include "models/blueprint.h"

#include <algorithm>
#include <optional>

#include "models/architectures/architectures.h"
#include "models/architectures/published_checkpoints.h"
#include "models/batch.h"
#include "models/checkpoint.h"
#include "strata/core/error.h"

namespace strata::models {

Blueprint::Blueprint(std::shared_ptr<const Architecture> architecture)
    : Blueprint(architecture, default_image_processor(architecture->image_model())) {}

Blueprint::Blueprint(std::shared_ptr<const Architecture> architecture, data::ImageProcessor images)
    : architecture_(std::move(architecture)), images_(images) {
  index();
}

void Blueprint::set_attachments(Attachments attachments) {
  attachments_ = std::move(attachments);
  index();
}

Blueprint Blueprint::with(std::vector<std::string> labels, std::int64_t vocabulary_size) const {
  Blueprint changed(architecture_->with(std::move(labels), vocabulary_size), images_);
  changed.set_attachments(attachments_);
  return changed;
}

Blueprint Blueprint::with(std::vector<std::string> labels) const {
  return with(std::move(labels), architecture_->vocabulary_size());
}

Blueprint Blueprint::with_image_size(std::int64_t side) const {
  auto resized = architecture_->with_image_size(side);
  if (!resized)
    throw InputError("a model of the type \"" + architecture_->type() +
                     "\" reads images of its own size alone, not of " + std::to_string(side) +
                     " pixels");
  data::ImageProcessor images = images_;
  images.size = {static_cast<int>(side), static_cast<int>(side)};
  Blueprint changed(std::move(resized), images);
  changed.set_attachments(attachments_);
  return changed;
}

data::ImageProcessor Blueprint::image_processor() const {
  data::ImageProcessor processor = images_;
  processor.most_patches = architecture_->most_patches();
  return processor;
}

void Blueprint::index() {
  layers_ = architecture_->layers();
  for (const auto& attachment : attachments_) {
    for (Layer& layer : attachment->shared_layers(architecture_->layers())) {
      layer.method = attachment->name();
      layers_.push_back(std::move(layer));
    }
    for (const Layer& at : architecture_->layers()) {
      for (Layer& layer : attachment->layers(at)) {
        layer.method = attachment->name();
        layers_.push_back(std::move(layer));
      }
    }
  }
  layer_.clear();
  owner_.clear();
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    layer_.emplace(layers_[i].name, i);
    for (const auto* own : {&layers_[i].parameters, &layers_[i].buffers})
      for (const Parameter& parameter : *own) owner_.emplace(parameter.name, i);
  }
}

const Layer& Blueprint::layer_of(const std::string& parameter) const {
  const auto found = owner_.find(parameter);
  if (found != owner_.end()) return layers_[found->second];
  std::vector<std::string> names;
  for (const Parameter& known : parameters()) names.push_back(known.name);
  throw InputError("unknown weight \"" + parameter + "\"" + did_you_mean(parameter, names));
}

const Parameter& Blueprint::parameter(const std::string& name) const {
  const Layer& layer = layer_of(name);
  const auto named = [&](const Parameter& parameter) { return parameter.name == name; };
  const auto& own = layer.parameters;
  const auto found = std::find_if(own.begin(), own.end(), named);
  return found != own.end() ? *found
                            : *std::find_if(layer.buffers.begin(), layer.buffers.end(), named);
}

std::vector<Parameter> Blueprint::parameters() const {
  std::vector<Parameter> all;
  for (const Layer& layer : layers_)
    all.insert(all.end(), layer.parameters.begin(), layer.parameters.end());
  return all;
}

std::vector<Parameter> Blueprint::base_parameters() const {
  std::vector<Parameter> all;
  for (const Layer& layer : architecture_->layers())
    all.insert(all.end(), layer.parameters.begin(), layer.parameters.end());
  return all;
}

std::vector<Parameter> Blueprint::buffers() const {
  std::vector<Parameter> all;
  for (const Layer& layer : layers_)
    all.insert(all.end(), layer.buffers.begin(), layer.buffers.end());
  return all;
}

std::int64_t Blueprint::parameter_count() const {
  std::int64_t count = 0;
  for (const Parameter& parameter : parameters()) count += parameter.numel();
  return count;
}

std::int64_t Blueprint::prefix_tokens() const {
  std::int64_t tokens = 0;
  for (const auto& attachment : attachments_) tokens += attachment->prefix_tokens();
  return tokens;
}

Batch Blueprint::example(std::int64_t text_tokens) const {
  Batch sample = architecture_->example(text_tokens);
  const auto size = images_.constant_size();
  if (architecture_->image_model().any_size() && size)
    sample.pixels = torch::zeros({1, sample.pixels.size(1), size->height, size->width});
  return sample;
}

Blueprint read_base_blueprint(const std::filesystem::path& folder) {
  const auto config = folder / "config.json";
  auto architecture = std::filesystem::exists(config) ? nullptr : published_architecture(folder);
  if (!architecture) architecture = read_architecture(config);
  std::optional<Checkpoint> checkpoint;
  const auto has = [&](const std::string& name) {
    if (!checkpoint) checkpoint = Checkpoint::of_folder(folder);
    return static_cast<bool>(checkpoint->find(name));
  };
  const bool weights = std::filesystem::exists(folder / kWeightsFile) ||
                       std::filesystem::exists(folder / kIndexFile);
  if (auto stored = weights ? architecture->as_stored(has) : nullptr)
    architecture = std::move(stored);
  data::ImageProcessor images = read_image_processor(folder, architecture->image_model());
  return {std::move(architecture), images};
}

}  // namespace strata::models
