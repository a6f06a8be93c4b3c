#include "models/architectures/sam.h"

#include <algorithm>

#include "models/architectures/config_limits.h"
#include "models/architectures/layer_list.h"
#include "models/architectures/sam_decoder.h"
#include "models/architectures/sam_encoder.h"
#include "models/batch.h"
#include "models/pass.h"
#include "strata/core/error.h"

namespace strata::models {
namespace {

using torch::Tensor;

constexpr const char* kOfEncoder = "rows";  // as the decoder takes them
constexpr std::int64_t kMostSteps = 8, kMostMasks = 256, kDeepest = 64;

/// How often a patch's side can be halved: so many steps bring masks to the image's own size.
std::int64_t halvings(std::int64_t patch) {
  std::int64_t steps = 0;
  for (; patch % 2 == 0; patch /= 2) ++steps;
  return steps;
}

class Sam : public Architecture {
 public:
  explicit Sam(SamConfig config)
      : config_(std::move(config)),
        encoder_(config_.encoder),
        decoder_(config_.decoder, config_.encoder.grid(), config_.encoder.image_size,
                 config_.encoder.num_pos_feats) {
    labels_ = config_.classes;
    encoder_.declare(list_);
    decoder_.declare(list_);
  }

  const std::string& type() const override {
    static const std::string name = kSamType;
    return name;
  }
  State run(std::int64_t stage, const Batch& batch, const State& input, Pass& pass) const override {
    if (stage >= encoder_.stages())
      return decoder_.run(stage - encoder_.stages(), batch, input, pass);
    const Tensor below = stage == 0 ? Tensor() : input.values.at(kOfEncoder);
    return {{{kOfEncoder, encoder_.run(stage, batch.pixels, below, pass)}}, {}};
  }
  Batch example(std::int64_t) const override {
    const std::int64_t side = config_.encoder.image_size;
    return {Tensor(), Tensor(), torch::zeros({1, 3, side, side}), torch::zeros({1}, torch::kInt64)};
  }
  Json config() const override;
  ImageModel image_model() const override {
    return {ImageSizes::kOne, static_cast<int>(config_.encoder.image_size),
            static_cast<int>(config_.encoder.patch_size), "Sam"};
  }
  std::shared_ptr<const Architecture> with(std::vector<std::string> labels,
                                           std::int64_t) const override {
    SamConfig changed = config_;
    if (!labels.empty()) {
      changed.decoder.num_multimask_outputs = static_cast<std::int64_t>(labels.size());
      if (config_.classes.empty())
        changed.decoder.upscaling_steps =
            std::max(halvings(config_.encoder.patch_size), config_.decoder.upscaling_steps);
    }
    changed.classes = std::move(labels);
    return make_sam(std::move(changed));
  }
  bool segments() const override { return true; }
  std::shared_ptr<const Architecture> with_image_size(std::int64_t side) const override {
    const std::int64_t patch = config_.encoder.patch_size;
    if (side < patch || side % patch != 0 || side > kLargestImage) {
      throw InputError("images of " + std::to_string(side) +
                       " pixels are no whole number of SAM's patches of " + std::to_string(patch) +
                       ", up to " + std::to_string(kLargestImage));
    }
    SamConfig changed = config_;
    changed.encoder.image_size = side;
    return make_sam(std::move(changed));
  }

 private:
  SamConfig config_;
  SamEncoder encoder_;
  SamDecoder decoder_;
  LayerList list_{stages_, layers_};
};

Json Sam::config() const {
  const SamEncoderConfig& encoder = config_.encoder;
  const SamDecoderConfig& decoder = config_.decoder;
  Json json;
  json["architectures"] = {"SamModel"};
  json["mask_decoder_config"] = {{"attention_downsample_rate", decoder.attention_downsample_rate},
                                 {"hidden_act", "relu"},
                                 {"hidden_size", decoder.hidden_size},
                                 {"iou_head_depth", decoder.iou_head_depth},
                                 {"iou_head_hidden_dim", decoder.iou_head_hidden_dim},
                                 {"layer_norm_eps", decoder.layer_norm_eps},
                                 {"mlp_dim", decoder.mlp_dim},
                                 {"num_attention_heads", decoder.num_attention_heads},
                                 {"num_hidden_layers", decoder.num_hidden_layers},
                                 {"num_multimask_outputs", decoder.num_multimask_outputs}};
  json["model_type"] = type();
  json["prompt_encoder_config"] = {
      {"hidden_size", decoder.hidden_size}, {"image_embedding_size", encoder.grid()},
      {"image_size", encoder.image_size},   {"mask_input_channels", decoder.mask_input_channels},
      {"num_point_embeddings", 4},          {"patch_size", encoder.patch_size}};
  if (!config_.classes.empty())
    json["strata"] = {{"classes", config_.classes}, {"upscaling_steps", decoder.upscaling_steps}};
  json["torch_dtype"] = "float32";
  json["vision_config"] = {{"attention_dropout", encoder.attention_dropout},
                           {"global_attn_indexes", encoder.global_attn_indexes},
                           {"hidden_act", "gelu"},
                           {"hidden_size", encoder.hidden_size},
                           {"image_size", encoder.image_size},
                           {"layer_norm_eps", encoder.layer_norm_eps},
                           {"mlp_dim", encoder.mlp_dim},
                           {"num_attention_heads", encoder.num_attention_heads},
                           {"num_channels", 3},
                           {"num_hidden_layers", encoder.num_hidden_layers},
                           {"num_pos_feats", encoder.num_pos_feats},
                           {"output_channels", encoder.output_channels},
                           {"patch_size", encoder.patch_size},
                           {"qkv_bias", encoder.qkv_bias},
                           {"use_abs_pos", encoder.use_abs_pos},
                           {"use_rel_pos", encoder.use_rel_pos},
                           {"window_size", encoder.window_size}};
  return json;
}

/// A whole number between 1 and `most` that may be absent.
void read_count(ObjectReader& reader, const char* key, std::int64_t most, std::int64_t& field) {
  field = reader.integer(key, 1, most, field);
}

/// Of a block that looks at the whole image. transformers' default is SAM ViT-B's; SAM's others say
/// theirs.
void read_global_blocks(ObjectReader& reader, const char* key, SamEncoderConfig& encoder) {
  if (!reader.has(key)) {
    auto& blocks = encoder.global_attn_indexes;
    blocks.erase(std::remove_if(blocks.begin(), blocks.end(),
                                [&](auto block) { return block >= encoder.num_hidden_layers; }),
                 blocks.end());
    return;
  }
  if (reader.raw(key).is_array() && reader.raw(key).empty())
    encoder.global_attn_indexes.clear();
  else
    encoder.global_attn_indexes = read_sizes(reader, key, 0, encoder.num_hidden_layers - 1, {});
}

void check_sam_encoder(const ObjectReader& reader, const SamEncoderConfig& encoder) {
  check_divisible(reader, "hidden_size", encoder.hidden_size, "num_attention_heads",
                  encoder.num_attention_heads);
  check_divisible(reader, "image_size", encoder.image_size, "patch_size", encoder.patch_size);
}

/// Hub files have sub-configurations with keys of other models, which transformers does not read
/// either ("intermediate_size", "projection_dim").
SamEncoderConfig read_sam_encoder(ObjectReader reader) {
  SamEncoderConfig encoder;
  read_count(reader, "hidden_size", kLargestWidth, encoder.hidden_size);
  read_count(reader, "output_channels", kLargestWidth, encoder.output_channels);
  read_count(reader, "num_hidden_layers", kMostLayers, encoder.num_hidden_layers);
  read_count(reader, "num_attention_heads", kLargestWidth, encoder.num_attention_heads);
  read_count(reader, "image_size", kLargestImage, encoder.image_size);
  read_count(reader, "patch_size", kLargestImage, encoder.patch_size);
  read_count(reader, "window_size", kLargestImage, encoder.window_size);
  read_count(reader, "num_pos_feats", kLargestWidth, encoder.num_pos_feats);
  const double ratio = reader.number("mlp_ratio", 0, kLargestWidth, 4);
  encoder.mlp_dim = static_cast<std::int64_t>(static_cast<double>(encoder.hidden_size) * ratio);
  if (reader.has("mlp_dim")) read_count(reader, "mlp_dim", kLargestIntermediate, encoder.mlp_dim);
  reader.integer("num_channels", 3, 3, 3);
  reader.choice("hidden_act", {"gelu"}, "gelu");
  encoder.qkv_bias = reader.boolean("qkv_bias", true);
  encoder.use_abs_pos = reader.boolean("use_abs_pos", true);
  encoder.use_rel_pos = reader.boolean("use_rel_pos", true);
  encoder.layer_norm_eps = reader.number("layer_norm_eps", 0, 1, encoder.layer_norm_eps);
  encoder.attention_dropout = reader.number("attention_dropout", 0, 1, 0);
  read_global_blocks(reader, "global_attn_indexes", encoder);
  check_sam_encoder(reader, encoder);
  return encoder;
}

void read_sam_prompts(ObjectReader reader, const SamEncoderConfig& encoder,
                      SamDecoderConfig& decoder) {
  const auto same = [&](const char* key, std::int64_t value) {
    reader.integer(key, value, value, value);
  };
  same("hidden_size", encoder.output_channels);
  same("image_size", encoder.image_size);
  same("patch_size", encoder.patch_size);
  same("num_point_embeddings", 4);
  read_count(reader, "mask_input_channels", kLargestWidth, decoder.mask_input_channels);
}

void read_sam_decoder(ObjectReader reader, SamDecoderConfig& decoder) {
  reader.integer("hidden_size", decoder.hidden_size, decoder.hidden_size, decoder.hidden_size);
  reader.choice("hidden_act", {"relu"}, "relu");
  read_count(reader, "mlp_dim", kLargestIntermediate, decoder.mlp_dim);
  read_count(reader, "num_hidden_layers", kDeepest, decoder.num_hidden_layers);
  read_count(reader, "num_attention_heads", kLargestWidth, decoder.num_attention_heads);
  read_count(reader, "attention_downsample_rate", kLargestWidth, decoder.attention_downsample_rate);
  read_count(reader, "num_multimask_outputs", kMostMasks, decoder.num_multimask_outputs);
  decoder.iou_head_depth = reader.integer("iou_head_depth", 2, kDeepest, decoder.iou_head_depth);
  read_count(reader, "iou_head_hidden_dim", kLargestWidth, decoder.iou_head_hidden_dim);
  decoder.layer_norm_eps = reader.number("layer_norm_eps", 0, 1, decoder.layer_norm_eps);
  check_divisible(reader, "hidden_size", decoder.hidden_size, "attention_downsample_rate",
                  decoder.attention_downsample_rate);
  check_divisible(reader, "hidden_size / attention_downsample_rate",
                  decoder.hidden_size / decoder.attention_downsample_rate, "num_attention_heads",
                  decoder.num_attention_heads);
}

void read_sam_classes(ObjectReader reader, SamConfig& config) {
  config.classes = reader.filled_texts("classes");
  config.decoder.upscaling_steps =
      reader.integer("upscaling_steps", 1, kMostSteps, config.decoder.upscaling_steps);
  reader.finish();
  const auto count = static_cast<std::int64_t>(config.classes.size());
  if (config.decoder.num_multimask_outputs != count)
    reader.fail("classes", "there are " + std::to_string(count) +
                               ", but mask_decoder_config.num_multimask_outputs is " +
                               std::to_string(config.decoder.num_multimask_outputs));
}

/// What every step halves must come out whole.
void check_steps(const ObjectReader& reader, const SamDecoderConfig& decoder) {
  check_divisible(reader, "the decoder's hidden_size", decoder.hidden_size,
                  "what the enlarging divides it by",
                  std::int64_t{1} << (decoder.upscaling_steps + 1));
}

}  // namespace

bool SamEncoderConfig::is_global(std::int64_t block) const {
  return std::find(global_attn_indexes.begin(), global_attn_indexes.end(), block) !=
         global_attn_indexes.end();
}

std::shared_ptr<const Architecture> make_sam(SamConfig config) {
  return std::make_shared<Sam>(std::move(config));
}

std::shared_ptr<const Architecture> checked_sam(SamConfig config, const std::string& file) {
  const Document document{file, make_sam(std::move(config))->config(), {}, {}};
  ObjectReader reader(document);
  return read_sam(reader);
}

std::shared_ptr<const Architecture> read_sam(ObjectReader& reader) {
  SamConfig config;
  config.encoder = read_sam_encoder(reader.object("vision_config"));
  config.decoder.hidden_size = config.encoder.output_channels;
  read_sam_prompts(reader.object("prompt_encoder_config"), config.encoder, config.decoder);
  read_sam_decoder(reader.object("mask_decoder_config"), config.decoder);
  if (2 * config.encoder.num_pos_feats != config.decoder.hidden_size)
    reader.fail("vision_config.num_pos_feats",
                "found " + std::to_string(config.encoder.num_pos_feats) +
                    ", which is not half of the decoder's hidden_size, " +
                    std::to_string(config.decoder.hidden_size));
  if (reader.has("strata")) read_sam_classes(reader.object("strata"), config);
  check_steps(reader, config.decoder);
  return make_sam(std::move(config));
}

std::shared_ptr<const Architecture> sam_from_yaml(ObjectReader& section) {
  SamConfig config;
  SamEncoderConfig& encoder = config.encoder;
  read_count(section, "image_size", kLargestImage, encoder.image_size);
  read_count(section, "patch_size", kLargestImage, encoder.patch_size);
  read_count(section, "hidden_size", kLargestWidth, encoder.hidden_size);
  read_count(section, "layers", kMostLayers, encoder.num_hidden_layers);
  read_count(section, "heads", kLargestWidth, encoder.num_attention_heads);
  read_count(section, "window_size", kLargestImage, encoder.window_size);
  read_global_blocks(section, "global_blocks", encoder);
  encoder.mlp_dim = 4 * encoder.hidden_size;
  SamDecoderConfig& decoder = config.decoder;
  read_count(section, "decoder_size", kLargestWidth, decoder.hidden_size);
  read_count(section, "decoder_heads", kLargestWidth, decoder.num_attention_heads);
  encoder.output_channels = decoder.iou_head_hidden_dim = decoder.hidden_size;
  encoder.num_pos_feats = decoder.hidden_size / 2;
  decoder.mlp_dim = 8 * decoder.hidden_size;
  check_divisible(section, "hidden_size", encoder.hidden_size, "heads",
                  encoder.num_attention_heads);
  check_divisible(section, "image_size", encoder.image_size, "patch_size", encoder.patch_size);
  check_divisible(section, "decoder_size", decoder.hidden_size, "2 * decoder_heads",
                  2 * decoder.num_attention_heads);
  decoder.upscaling_steps = std::max(halvings(encoder.patch_size), decoder.upscaling_steps);
  check_steps(section, decoder);
  return make_sam(std::move(config));
}

}  // namespace strata::models
