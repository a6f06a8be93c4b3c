#pragma once
/// \file
/// Models of any shape for tests: the fields of both patch transformers in one struct.

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/document.h"
#include "models/architectures/resnet.h"
#include "models/architectures/vilt.h"
#include "models/architectures/vit.h"
#include "models/blueprint.h"
#include "models/model.h"
#include "peft/adapter.h"
#include "peft/files.h"
#include "peft/lora.h"
#include "peft/prompt.h"
#include "strata/core/random.h"

namespace strata::test {

/// Methods by their numbers; 0 is none.
struct PeftShape {
  std::int64_t adapter_reduction = 0;
  std::int64_t lora_rank = 0;
  double lora_alpha = 8;
  std::vector<std::string> lora_targets = {"query", "value"};
  std::int64_t prompt_length = 0;

  bool any() const { return adapter_reduction > 0 || lora_rank > 0 || prompt_length > 0; }
  peft::Methods methods() const {
    peft::Methods methods;
    if (adapter_reduction > 0) methods.push_back(peft::make_adapters(adapter_reduction));
    if (lora_rank > 0) methods.push_back(peft::make_lora({lora_rank, lora_alpha, lora_targets}));
    if (prompt_length > 0) methods.push_back(peft::make_prompts(prompt_length));
    return methods;
  }
};

/// ViLT-B/32 without labels, unless told otherwise; or, with the type "vit", a ViT of these sizes.
struct ModelShape : models::ViltConfig {
  PeftShape peft;
  std::optional<data::ImageProcessor> images;  ///< the default for its sizes without

  bool has_text() const { return model_type == "vilt"; }
  std::int64_t label_count() const { return static_cast<std::int64_t>(labels.size()); }
  std::string prefix() const { return model_type + "."; }

  std::shared_ptr<const models::Architecture> architecture() const {
    if (has_text()) return models::make_vilt(*this);
    models::VitConfig vit;
    static_cast<models::PatchTransformerConfig&>(vit) = *this;
    return models::make_vit(vit);
  }
  models::Blueprint blueprint() const {
    models::Blueprint base(architecture());
    if (images) base.set_images(*images);
    return peft::with_methods(base, peft.methods(), "model");
  }
  data::ImageProcessor image_processor() const { return blueprint().image_processor(); }
  /// As config.json.
  std::string config_json() const { return architecture()->config().dump(2) + "\n"; }
  operator models::Blueprint() const { return blueprint(); }
};

/// Twelve narrow blocks.
inline ModelShape narrow_shape(const std::string& type = "vilt") {
  ModelShape shape;
  shape.model_type = type;
  shape.hidden_size = 8;
  shape.num_attention_heads = 2;
  shape.intermediate_size = 16;
  shape.image_size = 8;
  shape.patch_size = 4;
  shape.vocab_size = 10;
  shape.labels = {"yes", "no"};
  return shape;
}

/// Three blocks for images of two by two patches.
inline ModelShape small_shape() {
  ModelShape shape;
  shape.hidden_size = 16;
  shape.num_hidden_layers = 3;
  shape.num_attention_heads = 2;
  shape.intermediate_size = 64;
  shape.image_size = 16;
  shape.patch_size = 8;
  shape.vocab_size = 12;
  shape.max_position_embeddings = 10;
  shape.labels = {"blue", "green", "no", "red", "yes"};
  return shape;
}

/// Of a model from wherever.
inline ModelShape shape_of(const models::Model& model) {
  ModelShape shape;
  const Json config = model.architecture().config();
  shape.model_type = config.at("model_type");
  shape.hidden_size = config.at("hidden_size");
  shape.num_hidden_layers = config.at("num_hidden_layers");
  shape.num_attention_heads = config.at("num_attention_heads");
  shape.intermediate_size = config.at("intermediate_size");
  shape.hidden_dropout_prob = config.at("hidden_dropout_prob");
  shape.attention_probs_dropout_prob = config.at("attention_probs_dropout_prob");
  shape.layer_norm_eps = config.at("layer_norm_eps");
  shape.image_size = config.at("image_size");
  shape.patch_size = config.at("patch_size");
  shape.qkv_bias = config.at("qkv_bias");
  shape.labels = model.architecture().labels();
  if (shape.has_text()) {
    shape.vocab_size = config.at("vocab_size");
    shape.max_position_embeddings = config.at("max_position_embeddings");
    shape.type_vocab_size = config.at("type_vocab_size");
    shape.modality_type_vocab_size = config.at("modality_type_vocab_size");
    shape.max_image_length = config.at("max_image_length");
  }
  const Json methods = peft::methods_json(peft::methods_of(model.blueprint()));
  if (methods.contains("adapters"))
    shape.peft.adapter_reduction = methods.at("adapters").at("reduction");
  if (methods.contains("prompts")) shape.peft.prompt_length = methods.at("prompts").at("length");
  if (methods.contains("lora")) {
    shape.peft.lora_rank = methods.at("lora").at("rank");
    shape.peft.lora_alpha = methods.at("lora").at("alpha");
    shape.peft.lora_targets = methods.at("lora").at("targets").get<std::vector<std::string>>();
  }
  return shape;
}

/// A ResNet of a few channels, its norms' γ, β and statistics moved away from 1 and 0, which would
/// hide a good deal.
inline models::Model tiny_resnet(bool bottleneck, std::uint64_t seed,
                                 std::vector<std::string> labels = {"a", "b", "c"}) {
  models::ResnetConfig config;
  config.bottleneck = bottleneck;
  config.embedding_size = 4;
  config.hidden_sizes = {8, 12};
  config.depths = {1, 2};
  config.image_size = 16;
  config.labels = std::move(labels);
  models::Model model(models::Blueprint(models::make_resnet(config)), seed);
  const torch::NoGradGuard no_grad;
  Random random(derive_seed(seed, "norms"));
  for (const models::Layer& layer : model.blueprint().layers()) {
    if (layer.kind != models::LayerKind::kBatchNorm) continue;
    for (const auto* own : {&layer.parameters, &layer.buffers}) {
      for (const models::Parameter& parameter : *own) {
        torch::Tensor& tensor = model.weight(parameter.name);
        for (std::int64_t i = 0; !parameter.counter && i < tensor.numel(); ++i)
          tensor.data_ptr<float>()[i] += static_cast<float>(random.uniform(-0.4, 0.4));
      }
    }
  }
  return model;
}

/// Of images for it.
inline models::Batch resnet_batch(std::int64_t n, std::uint64_t seed, std::int64_t labels = 3) {
  Random random(seed);
  models::Batch batch;
  batch.pixels = torch::empty({n, 3, 16, 16});
  for (std::int64_t i = 0; i < batch.pixels.numel(); ++i)
    batch.pixels.data_ptr<float>()[i] = static_cast<float>(random.normal());
  batch.labels = torch::arange(n) % labels;
  return batch;
}

inline models::Model make_model(const ModelShape& shape, std::uint64_t seed) {
  return models::Model(shape.blueprint(), seed);
}

inline void add_peft(models::Model& model, const PeftShape& peft, std::uint64_t seed) {
  peft::add_methods(model, peft.methods(), seed);
}

/// Those that methods have put beside the base's.
inline std::vector<models::Parameter> added_parameters(const models::Model& model) {
  std::vector<models::Parameter> added;
  for (const models::Layer& layer : model.blueprint().layers()) {
    if (!layer.method.empty())
      added.insert(added.end(), layer.parameters.begin(), layer.parameters.end());
  }
  return added;
}

/// The one value of a stage of these models, and the state with another in its place.
inline torch::Tensor only(const models::State& state) {
  return state.values.empty() ? torch::Tensor() : state.values.begin()->second;
}
inline models::State with_value(models::State state, const torch::Tensor& value) {
  if (!state.values.empty()) state.values.begin()->second = value;
  return state;
}

/// Blocks of a patch transformer.
inline std::int64_t block_count(const models::Model& model) {
  return model.stage_count() - 2;
}

}  // namespace strata::test
