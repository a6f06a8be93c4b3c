#include "models/architectures/timm_vit.h"

#include <algorithm>

#include "models/architectures/config_limits.h"

namespace strata::models {
namespace {

/// What CLIP's towers have that others lack.
enum class Form : std::uint8_t {
  kPlain,
  kClip,      ///< a norm before the blocks, no bias of the patches' convolution
  kQuickGelu  ///< and CLIP's own activation
};

struct PublishedVit {
  const char* name;
  std::int64_t hidden_size, layers, heads, patch_size, image_size;
  Form form = Form::kPlain;
  double mlp_ratio = 4;
};
constexpr double kGiantRatio = 48.0 / 11, kGiganticRatio = 64.0 / 13;
// timm 1.0.31's VisionTransformers that have no more than a ViT of transformers, or CLIP's norm
// besides.
constexpr PublishedVit kPublishedVits[] = {
    {"vit_tiny_patch16_224", 192, 12, 3, 16, 224},
    {"vit_tiny_patch16_384", 192, 12, 3, 16, 384},
    {"vit_small_patch32_224", 384, 12, 6, 32, 224},
    {"vit_small_patch32_384", 384, 12, 6, 32, 384},
    {"vit_small_patch16_224", 384, 12, 6, 16, 224},
    {"vit_small_patch16_384", 384, 12, 6, 16, 384},
    {"vit_small_patch8_224", 384, 12, 6, 8, 224},
    {"vit_base_patch32_224", 768, 12, 12, 32, 224},
    {"vit_base_patch32_384", 768, 12, 12, 32, 384},
    {"vit_base_patch16_224", 768, 12, 12, 16, 224},
    {"vit_base_patch16_384", 768, 12, 12, 16, 384},
    {"vit_base_patch8_224", 768, 12, 12, 8, 224},
    {"vit_large_patch32_224", 1024, 24, 16, 32, 224},
    {"vit_large_patch32_384", 1024, 24, 16, 32, 384},
    {"vit_large_patch16_224", 1024, 24, 16, 16, 224},
    {"vit_large_patch16_384", 1024, 24, 16, 16, 384},
    {"vit_large_patch14_224", 1024, 24, 16, 14, 224},
    {"vit_huge_patch14_224", 1280, 32, 16, 14, 224},
    {"deit_tiny_patch16_224", 192, 12, 3, 16, 224},
    {"deit_small_patch16_224", 384, 12, 6, 16, 224},
    {"deit_base_patch16_224", 768, 12, 12, 16, 224},
    {"deit_base_patch16_384", 768, 12, 12, 16, 384},
    {"vit_xsmall_patch16_clip_224", 256, 10, 4, 16, 224, Form::kClip},
    {"vit_medium_patch32_clip_224", 512, 12, 8, 32, 224, Form::kClip},
    {"vit_medium_patch16_clip_224", 512, 12, 8, 16, 224, Form::kClip},
    {"vit_betwixt_patch32_clip_224", 640, 12, 10, 32, 224, Form::kClip},
    {"vit_base_patch32_clip_224", 768, 12, 12, 32, 224, Form::kClip},
    {"vit_base_patch32_clip_256", 768, 12, 12, 32, 256, Form::kClip},
    {"vit_base_patch32_clip_384", 768, 12, 12, 32, 384, Form::kClip},
    {"vit_base_patch32_clip_448", 768, 12, 12, 32, 448, Form::kClip},
    {"vit_base_patch16_clip_224", 768, 12, 12, 16, 224, Form::kClip},
    {"vit_base_patch16_clip_384", 768, 12, 12, 16, 384, Form::kClip},
    {"vit_base_patch16_plus_clip_240", 896, 12, 14, 16, 240, Form::kClip},
    {"vit_large_patch14_clip_224", 1024, 24, 16, 14, 224, Form::kClip},
    {"vit_large_patch14_clip_336", 1024, 24, 16, 14, 336, Form::kClip},
    {"vit_huge_patch14_clip_224", 1280, 32, 16, 14, 224, Form::kClip},
    {"vit_huge_patch14_clip_336", 1280, 32, 16, 14, 336, Form::kClip},
    {"vit_huge_patch14_clip_378", 1280, 32, 16, 14, 378, Form::kClip},
    {"vit_giant_patch14_clip_224", 1408, 40, 16, 14, 224, Form::kClip, kGiantRatio},
    {"vit_gigantic_patch14_clip_224", 1664, 48, 16, 14, 224, Form::kClip, kGiganticRatio},
    {"vit_gigantic_patch14_clip_378", 1664, 48, 16, 14, 378, Form::kClip, kGiganticRatio},
    {"vit_base_patch32_clip_quickgelu_224", 768, 12, 12, 32, 224, Form::kQuickGelu},
    {"vit_base_patch16_clip_quickgelu_224", 768, 12, 12, 16, 224, Form::kQuickGelu},
    {"vit_large_patch14_clip_quickgelu_224", 1024, 24, 16, 14, 224, Form::kQuickGelu},
    {"vit_large_patch14_clip_quickgelu_336", 1024, 24, 16, 14, 336, Form::kQuickGelu},
    {"vit_huge_patch14_clip_quickgelu_224", 1280, 32, 16, 14, 224, Form::kQuickGelu},
    {"vit_huge_patch14_clip_quickgelu_378", 1280, 32, 16, 14, 378, Form::kQuickGelu},
    {"vit_gigantic_patch14_clip_quickgelu_224", 1664, 48, 16, 14, 224, Form::kQuickGelu,
     kGiganticRatio},
};

/// `img_size`: a number, or that of the rows and the same of the columns.
std::int64_t read_timm_side(ObjectReader& arguments, std::int64_t fallback) {
  if (!arguments.raw("img_size").is_array())
    return arguments.integer("img_size", 1, kLargestImage, fallback);
  const auto sides = read_sizes(arguments, "img_size", 1, kLargestImage, {});
  if (sides.size() != 2 || sides[0] != sides[1])
    arguments.fail("img_size", "found " + excerpt(arguments.raw("img_size")) +
                                   ", but the size of a square is read: [224, 224]");
  return sides[0];
}

/// What create_model was told besides the network's name; anything else would make another
/// network.
void read_timm_arguments(ObjectReader& reader, VitConfig& config, double& mlp_ratio) {
  if (reader.raw("model_args").is_null()) return;
  ObjectReader arguments = reader.object("model_args");
  const auto integer = [&](const char* key, std::int64_t high, std::int64_t& field) {
    field = arguments.integer(key, 1, high, field);
  };
  const auto labels = static_cast<std::int64_t>(config.labels.size());
  arguments.integer("num_classes", labels, labels, labels);
  arguments.integer("in_chans", 3, 3, 3);
  arguments.choice("global_pool", {"token"}, "token");
  config.image_size = read_timm_side(arguments, config.image_size);
  integer("patch_size", kLargestImage, config.patch_size);
  integer("embed_dim", kLargestWidth, config.hidden_size);
  integer("depth", kMostLayers, config.num_hidden_layers);
  integer("num_heads", kLargestWidth, config.num_attention_heads);
  mlp_ratio = arguments.number("mlp_ratio", 0.01, 100, mlp_ratio);
  config.qkv_bias = arguments.boolean("qkv_bias", config.qkv_bias);
  check_divisible(arguments, "embed_dim", config.hidden_size, "num_heads",
                  config.num_attention_heads);
  check_divisible(arguments, "img_size", config.image_size, "patch_size", config.patch_size);
  arguments.finish();
}

VitConfig config_of(const PublishedVit& network) {
  VitConfig config;
  config.of_timm = true;
  config.hidden_size = network.hidden_size;
  config.num_hidden_layers = network.layers;
  config.num_attention_heads = network.heads;
  config.patch_size = network.patch_size;
  config.image_size = network.image_size;
  config.norm_before = network.form != Form::kPlain;
  config.patch_bias = !config.norm_before;
  config.quick_gelu = network.form == Form::kQuickGelu;
  config.layer_norm_eps = config.norm_before ? 1e-5 : 1e-6;
  return config;
}

}  // namespace

VitConfig read_timm_vit(ObjectReader& reader) {
  const std::string name = reader.choice("architecture", vit_timm_names());
  const PublishedVit& network =
      *std::find_if(std::begin(kPublishedVits), std::end(kPublishedVits),
                    [&](const PublishedVit& one) { return one.name == name; });
  VitConfig config = config_of(network);
  if (!reader.raw("pretrained_cfg").is_null()) {
    ObjectReader published = reader.object("pretrained_cfg");
    if (published.boolean("fixed_input_size", false))
      config.image_size = read_sizes(published, "input_size", 1, kLargestImage, {224}).back();
  }
  reader.choice("global_pool", {"token"}, "token");
  config.labels = read_timm_labels(reader, 0);
  double mlp_ratio = network.mlp_ratio;
  read_timm_arguments(reader, config, mlp_ratio);
  config.intermediate_size =
      static_cast<std::int64_t>(static_cast<double>(config.hidden_size) * mlp_ratio);
  return config;
}

std::vector<std::string> vit_timm_names() {
  std::vector<std::string> names;
  for (const PublishedVit& network : kPublishedVits) names.emplace_back(network.name);
  return names;
}

}  // namespace strata::models
