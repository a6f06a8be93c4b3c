#include "models/architectures/sam_checkpoint.h"

#include <algorithm>
#include <cctype>
#include <optional>
#include <set>

#include "core/console.h"
#include "core/text.h"
#include "core/torch_file.h"
#include "models/architectures/config_limits.h"
#include "models/architectures/published_checkpoints.h"
#include "models/architectures/sam.h"
#include "models/pass.h"
#include "models/resized_positions.h"
#include "models/short_weights.h"
#include "models/tensor_bytes.h"
#include "strata/core/error.h"

namespace strata::models {
namespace {

using torch::Tensor;

/// What segment-anything calls what transformers calls otherwise; each of the first finding it in a
/// name that those before have changed.
struct PublishedName {
  const char *own, *theirs;
};
constexpr PublishedName kPublishedNames[] = {
    {"shared_image_embedding.positional_embedding",
     "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"},
    {"vision_encoder.", "image_encoder."},
    {"image_encoder.layers.", "image_encoder.blocks."},
    {".layer_norm1.", ".norm1."},
    {".layer_norm2.", ".norm2."},
    {".layer_norm3.", ".norm3."},
    {".layer_norm4.", ".norm4."},
    {".layer_norm_final_attn.", ".norm_final_attn."},
    {"patch_embed.projection.", "patch_embed.proj."},
    {"neck.conv1.", "neck.0."},
    {"neck.norm1.", "neck.1."},
    {"neck.conv2.", "neck.2."},
    {"neck.norm2.", "neck.3."},
    {"prompt_encoder.point_embed.", "prompt_encoder.point_embeddings."},
    {"mask_embed.conv1.", "mask_downscaling.0."},
    {"mask_embed.norm1.", "mask_downscaling.1."},
    {"mask_embed.conv2.", "mask_downscaling.3."},
    {"mask_embed.norm2.", "mask_downscaling.4."},
    {"mask_embed.conv3.", "mask_downscaling.6."},
    {"upscale_conv1.", "output_upscaling.0."},
    {"upscale_layer_norm.", "output_upscaling.1."},
    {"upscale_conv2.", "output_upscaling.3."},
    {"upscale_layer_norm2.", "output_upscaling.4."},
    {"upscale_conv3.", "output_upscaling.6."},
    {"upscale_layer_norm3.", "output_upscaling.7."},
    {"upscale_conv4.", "output_upscaling.9."},
    {"upscale_layer_norm4.", "output_upscaling.10."},
    {"upscale_conv5.", "output_upscaling.12."},
};
/// What its programs keep beside the weights.
const std::set<std::string> kPassedOver = {"pixel_mean", "pixel_std"};
constexpr const char* kSamedLora = "w_a_000";
constexpr const char* kModule = "module.";
constexpr const char *kFlapA = ".lora_w_a_", *kFlapB = ".lora_w_b_";
const std::string kMed2dAdapter = ".Adapter.";
constexpr std::int64_t kPublishedHeads = 8, kPublishedMasks = 3;

/// The layers of a perceptron are numbered through.
std::string numbered(const std::string& name, const std::set<std::string>& layers) {
  const auto parts = [&](const char* part) -> std::optional<std::pair<std::string, std::string>> {
    const std::size_t at = name.find(part);
    if (at == std::string::npos) return std::nullopt;
    return std::pair(name.substr(0, at), name.substr(at + std::string(part).size()));
  };
  if (const auto first = parts(".proj_in.")) return first->first + ".layers.0." + first->second;
  if (const auto last = parts(".proj_out.")) {
    std::int64_t between = 0;
    while (layers.count(last->first + ".layers." + std::to_string(between))) ++between;
    return last->first + ".layers." + std::to_string(between + 1) + "." + last->second;
  }
  const auto middle = parts(".layers.");
  const std::size_t dot = middle->second.find('.');
  return middle->first + ".layers." +
         std::to_string(std::stoll(middle->second.substr(0, dot)) + 1) + middle->second.substr(dot);
}

std::string published_name(std::string name, const std::set<std::string>& layers) {
  if (name.find("output_hypernetworks_mlps.") != std::string::npos ||
      name.find("iou_prediction_head.") != std::string::npos)
    return numbered(name, layers);
  for (const auto& [own, theirs] : kPublishedNames) {
    const std::size_t at = name.find(own);
    if (at != std::string::npos) name.replace(at, std::string(own).size(), theirs);
  }
  return name;
}

/// The tensors of the folder's checkpoint, or of two, by segment-anything's names.
class SamTensors {
 public:
  explicit SamTensors(const std::filesystem::path& folder) {
    const std::vector<std::filesystem::path> paths = torch_checkpoints_in(folder);
    for (const auto& path : paths) files_.push_back(std::make_unique<TorchFile>(path));
    // The one of LoRA's factors comes over the other.
    std::stable_sort(files_.begin(), files_.end(), [](const auto& a, const auto& b) {
      return !a->find(kSamedLora) && b->find(kSamedLora);
    });
    if (files_.size() > 2 || (files_.size() == 2 && is_samed(*files_[0]) == is_samed(*files_[1])))
      refuse_several(folder, paths);
    for (const auto& file : files_)
      for (auto& [name, tensor] : tensors_of(*file)) add(name, tensor);
  }

  const Weights& all() const { return tensors_; }
  std::string file() const { return files_.back()->path().string(); }
  bool has_adapters() const { return adapters_; }
  bool is_samed() const { return is_samed(*files_.back()); }
  const Tensor* find(const std::string& name) const {
    const auto found = tensors_.find(name);
    return found == tensors_.end() ? nullptr : &found->second;
  }
  const Tensor& at(const std::string& name) const {
    const Tensor* found = find(name);
    if (!found) throw InputError(file() + ": the weight \"" + name + "\" is missing");
    return *found;
  }
  /// Of one that must have so many dimensions.
  std::vector<std::int64_t> shape(const std::string& name, std::size_t dimensions) const {
    const auto found = at(name).sizes().vec();
    if (found.size() != dimensions || std::count(found.begin(), found.end(), 0) > 0)
      throw InputError(file() + ": the weight \"" + name + "\" has shape " + shape_text(found) +
                       ", but SAM's has " + std::to_string(dimensions) + " dimensions");
    return found;
  }
  /// How many there are of names that begin so and go on with a number: one more than the largest.
  std::int64_t count(const std::string& start) const {
    std::int64_t most = 0;
    for (const auto& [name, tensor] : tensors_) {
      if (!name.starts_with(start) || name.size() == start.size() ||
          !std::isdigit(static_cast<unsigned char>(name[start.size()])))
        continue;
      const std::int64_t number = std::atoll(name.c_str() + start.size());
      if (number >= kMostLayers)
        throw InputError(file() + ": unknown weight \"" + name + "\": no SAM has as many");
      most = std::max(most, number + 1);
    }
    return most;
  }

 private:
  static bool is_samed(const TorchFile& file) { return file.find(kSamedLora) != nullptr; }
  void add(std::string name, const Tensor& tensor) {
    if (name.starts_with(kModule)) name = name.substr(std::string(kModule).size());
    if (kPassedOver.count(name)) return;
    if (name.find(kMed2dAdapter) != std::string::npos) {
      adapters_ = true;
      return;
    }
    tensors_[name] = tensor;
  }

  std::vector<std::unique_ptr<TorchFile>> files_;
  Weights tensors_;
  bool adapters_ = false;
};

/// What LoRA adds to rows of weights, by the weights' names.
class LoraSums {
 public:
  explicit LoraSums(const SamTensors& tensors) : tensors_(tensors) {
    for (const auto& [name, tensor] : tensors.all()) {
      const std::size_t at = name.find(kFlapA);
      if (at != std::string::npos) add_flap(name, at);
    }
    if (tensors.is_samed()) add_samed();
  }

  /// Of the rows of queries, keys or values (part 0, 1, 2) of a fused weight, or of a whole one.
  Tensor added(const Tensor& weight, const std::string& name, std::int64_t part) const {
    const auto found = sums_.find({name, part});
    if (found == sums_.end()) return weight;
    if (found->second.sizes() != weight.sizes())
      throw InputError(tensors_.file() + ": the LoRA factors beside \"" + name + "\" make " +
                       shape_text(found->second.sizes().vec()) + ", but the weight has " +
                       shape_text(weight.sizes().vec()));
    return weight + found->second;
  }
  const std::set<std::string>& used() const { return used_; }

 private:
  void add(const std::string& weight, std::int64_t part, const std::string& a,
           const std::string& b) {
    const Tensor first = tensors_.at(a).to(torch::kFloat),
                 second = tensors_.at(b).to(torch::kFloat);
    if (first.dim() != 2 || second.dim() != 2 || second.size(1) != first.size(0))
      throw InputError(tensors_.file() + ": \"" + b + "\" and \"" + a +
                       "\" are not two factors of a matrix");
    sums_[{weight, part}] = second.mm(first);
    used_.insert({a, b});
  }
  /// `….attn.lora_w_a_q.0.weight`, beside a fused weight, or `….self_attn.lora_w_a_q.0.weight`.
  void add_flap(const std::string& name, std::size_t at) {
    const std::string place = name.substr(0, at),
                      tail = name.substr(at + std::string(kFlapA).size());
    if (tail != "q.0.weight" && tail != "v.0.weight")
      throw InputError(tensors_.file() + ": \"" + name +
                       "\" is one of several LoRA sets, which are not read; q.0 and v.0 are");
    const bool fused = tensors_.find(place + ".qkv.weight") != nullptr;
    const std::int64_t part = tail[0] == 'q' ? 0 : 2;
    add(place + (fused ? ".qkv.weight" : std::string(".") + tail[0] + "_proj.weight"),
        fused ? part : 0, name, place + kFlapB + tail);
  }
  /// w_a_000 is of block 0's queries, w_a_001 of its values, and so on.
  void add_samed() {
    for (std::int64_t i = 0;; ++i) {
      std::string number = std::to_string(i);
      number.insert(0, 3 - std::min<std::size_t>(number.size(), 3), '0');
      if (!tensors_.find("w_a_" + number)) return;
      add("image_encoder.blocks." + std::to_string(i / 2) + ".attn.qkv.weight", i % 2 == 0 ? 0 : 2,
          "w_a_" + number, "w_b_" + number);
    }
  }

  const SamTensors& tensors_;
  std::map<std::pair<std::string, std::int64_t>, Tensor> sums_;
  std::set<std::string> used_;
};

std::set<std::string> layer_names(const Architecture& sam) {
  std::set<std::string> names;
  for (const Layer& layer : sam.layers()) names.insert(layer.name);
  return names;
}

Tensor read_parameter(const Layer& layer, const Parameter& parameter, const std::string& name,
                      const SamTensors& tensors, const LoraSums& lora) {
  Tensor tensor = tensors.at(name);
  if (!tensor.is_floating_point())
    throw InputError(tensors.file() + ": the weight \"" + name + "\" is not of floats");
  tensor = tensor.to(torch::kFloat);
  const bool fused =
      layer.share.only && tensor.dim() > 0 && tensor.size(0) % layer.share.parts == 0;
  if (fused) {
    const std::int64_t rows = tensor.size(0) / layer.share.parts;
    tensor = tensor.narrow(0, layer.share.part * rows, rows);
  }
  tensor = lora.added(tensor, name, layer.share.only ? layer.share.part : 0);
  if (layer.part == Part::kPositions && tensor.numel() > 0)
    tensor = resized_positions(tensor, parameter.shape);
  if (tensor.sizes() == torch::IntArrayRef(parameter.shape)) return tensor;
  throw InputError(tensors.file() + ": the weight \"" + name + "\" has shape " +
                   shape_text(tensors.at(name).sizes().vec()) + ", which makes no " +
                   shape_text(parameter.shape) + " as the configuration asks for");
}

void check_all_used(const SamTensors& tensors, const std::set<std::string>& used) {
  for (const auto& [name, tensor] : tensors.all()) {
    if (used.count(name)) continue;
    throw InputError(tensors.file() + ": unknown weight \"" + name + "\"" +
                     did_you_mean(name, {used.begin(), used.end()}));
  }
}

/// Which blocks look at the whole image: those with longer tables of relative positions; where all
/// are as long, those of a SAM of as many blocks.
std::vector<std::int64_t> global_blocks(const std::vector<std::int64_t>& lengths) {
  const auto [shortest, longest] = std::minmax_element(lengths.begin(), lengths.end());
  std::vector<std::int64_t> blocks;
  const auto count = static_cast<std::int64_t>(lengths.size());
  for (std::int64_t block = 0; block < count; ++block) {
    // SAM's are spread evenly, four of them, the last block among them.
    const bool spread = count % 4 == 0 && (block + 1) % (count / 4) == 0;
    if (*shortest == *longest ? spread : lengths[static_cast<std::size_t>(block)] > *shortest)
      blocks.push_back(block);
  }
  return blocks;
}

SamEncoderConfig infer_encoder(const SamTensors& tensors) {
  SamEncoderConfig encoder;
  const std::string at = "image_encoder.";
  const auto patches = tensors.shape(at + "patch_embed.proj.weight", 4);
  encoder.hidden_size = patches[0], encoder.patch_size = patches[3];
  encoder.image_size = encoder.patch_size * tensors.shape(at + "pos_embed", 4)[1];
  encoder.mlp_dim = tensors.shape(at + "blocks.0.mlp.lin1.weight", 2)[0];
  encoder.num_hidden_layers = tensors.count(at + "blocks.");
  std::vector<std::int64_t> lengths;
  for (std::int64_t block = 0; block < encoder.num_hidden_layers; ++block) {
    const auto table = tensors.shape(at + "blocks." + std::to_string(block) + ".attn.rel_pos_h", 2);
    encoder.num_attention_heads = encoder.hidden_size / std::max<std::int64_t>(table[1], 1);
    lengths.push_back(table[0]);
  }
  encoder.window_size = (*std::min_element(lengths.begin(), lengths.end()) + 1) / 2;
  encoder.global_attn_indexes = global_blocks(lengths);
  encoder.qkv_bias = tensors.find(at + "blocks.0.attn.qkv.bias") != nullptr;
  encoder.output_channels = tensors.shape(at + "neck.0.weight", 4)[0];
  encoder.num_pos_feats =
      tensors.shape("prompt_encoder.pe_layer.positional_encoding_gaussian_matrix", 2)[1];
  return encoder;
}

SamDecoderConfig infer_decoder(const SamTensors& tensors) {
  SamDecoderConfig decoder;
  const std::string at = "mask_decoder.", layers = at + "transformer.layers.";
  decoder.hidden_size = tensors.shape(at + "iou_token.weight", 2)[1];
  decoder.num_hidden_layers = tensors.count(layers);
  decoder.mlp_dim = tensors.shape(layers + "0.mlp.lin1.weight", 2)[0];
  decoder.num_attention_heads = kPublishedHeads;
  decoder.attention_downsample_rate =
      decoder.hidden_size /
      std::max<std::int64_t>(
          tensors.shape(layers + "0.cross_attn_token_to_image.q_proj.weight", 2)[0], 1);
  decoder.num_multimask_outputs = tensors.shape(at + "mask_tokens.weight", 2)[0] - 1;
  decoder.iou_head_depth = tensors.count(at + "iou_prediction_head.layers.");
  decoder.iou_head_hidden_dim = tensors.shape(at + "iou_prediction_head.layers.0.weight", 2)[0];
  decoder.mask_input_channels = tensors.shape("prompt_encoder.mask_downscaling.3.weight", 4)[0];
  decoder.layer_norm_eps = 1e-5;
  constexpr std::int64_t kModulesOfStep = 3;  // convolution, LayerNorm, GELU
  decoder.upscaling_steps =
      (tensors.count(at + "output_upscaling.") + kModulesOfStep - 1) / kModulesOfStep;
  return decoder;
}

/// What segment-anything calls a parameter, or the fused one that it is a part of.
std::string published_parameter(const Layer& layer, const Parameter& parameter,
                                const std::set<std::string>& layers) {
  const std::string tail = parameter.name.substr(layer.name.size());
  return published_name(layer.share.only ? layer.share.name + tail : parameter.name, layers);
}

}  // namespace

std::vector<std::string> unnamed_classes(std::size_t count) {
  std::vector<std::string> names;
  for (std::size_t i = 1; i <= count; ++i) names.push_back("class_" + std::to_string(i));
  return names;
}

bool are_unnamed(const std::vector<std::string>& classes) {
  return !classes.empty() && classes == unnamed_classes(classes.size());
}

std::shared_ptr<const Architecture> infer_sam(const std::filesystem::path& folder) {
  const SamTensors tensors(folder);
  if (!tensors.find("image_encoder.patch_embed.proj.weight")) return nullptr;
  SamConfig config{infer_encoder(tensors), infer_decoder(tensors)};
  const std::int64_t masks = config.decoder.num_multimask_outputs;
  if (masks != kPublishedMasks || tensors.is_samed() ||
      config.decoder.upscaling_steps != SamDecoderConfig().upscaling_steps)
    config.classes = unnamed_classes(static_cast<std::size_t>(masks));
  return checked_sam(std::move(config), tensors.file());
}

Weights read_sam_checkpoint(const Architecture& sam, const std::filesystem::path& folder) {
  const SamTensors tensors(folder);
  const LoraSums lora(tensors);
  const std::set<std::string> layers = layer_names(sam);
  Weights weights;
  std::set<std::string> used = lora.used();
  for (const Layer& layer : sam.layers()) {
    for (const auto* own : {&layer.parameters, &layer.buffers}) {
      for (const Parameter& parameter : *own) {
        const std::string name = published_parameter(layer, parameter, layers);
        used.insert(name);
        weights[parameter.name] = read_parameter(layer, parameter, name, tensors, lora);
      }
    }
  }
  check_all_used(tensors, used);
  for (auto& [name, weight] : weights) weight = weight.clone();  // the file goes
  if (tensors.has_adapters())
    log_warning(tensors.file() + ": the adapters of SAM-Med2D (\"" + kMed2dAdapter +
                "\") are left out");
  if (!lora.used().empty())
    log_info(tensors.file() + ": LoRA factors are added to the weights that they stand beside");
  return weights;
}

Weights published_sam_weights(const Architecture& sam, const Weights& weights) {
  const std::set<std::string> layers = layer_names(sam);
  std::map<std::string, std::vector<Tensor>> parts;
  for (const Layer& layer : sam.layers()) {
    for (const auto* own : {&layer.parameters, &layer.buffers}) {
      for (const Parameter& parameter : *own) {
        auto& all = parts[published_parameter(layer, parameter, layers)];
        all.resize(static_cast<std::size_t>(layer.share.only ? layer.share.parts : 1));
        all[static_cast<std::size_t>(layer.share.only ? layer.share.part : 0)] =
            computable(weights.at(parameter.name)).detach().to(torch::kCPU, torch::kFloat);
      }
    }
  }
  Weights published;
  for (const auto& [name, all] : parts)
    published[name] = (all.size() == 1 ? all.front() : torch::cat(all)).contiguous();
  return published;
}

std::vector<FlapPlace> flap_places(const Architecture& sam) {
  const std::set<std::string> layers = layer_names(sam);
  std::vector<FlapPlace> places;
  const auto add = [&](const Layer& layer, std::string name, const std::string& end, char of) {
    name.resize(name.size() - end.size());
    const std::string tail = std::string(1, of) + ".0.weight";
    places.push_back({&layer, name + kFlapA + tail, name + kFlapB + tail});
  };
  for (const Layer& layer : sam.layers()) {
    if (!layer.weight()) continue;
    const std::string name = published_parameter(layer, *layer.weight(), layers);
    const std::string fused = ".qkv.weight";
    if (layer.share.only && name.ends_with(fused) && layer.share.part != 1)
      add(layer, name, fused, layer.share.part == 0 ? 'q' : 'v');
    for (const char of : {'q', 'v'}) {
      const std::string own = std::string(".") + of + "_proj.weight";
      if (name.ends_with(own)) add(layer, name, own, of);
    }
  }
  return places;
}

}  // namespace strata::models
