#include "models/architectures/albef_checkpoint.h"

#include <cmath>
#include <set>

#include "core/text.h"
#include "core/torch_file.h"
#include "models/architectures/published_checkpoints.h"
#include "models/tensor_bytes.h"
#include "strata/core/error.h"

namespace strata::models {
namespace {

using torch::Tensor;

const std::string kDecoderStart = "text_decoder.", kEncoderStart = "text_encoder.";
const std::string kDecoderBert = "text_decoder.bert.", kEncoderBert = "text_encoder.bert.";
const std::string kLayerStart = "encoder.layer.";
const std::string kImagePositions = "visual_encoder.pos_embed";

bool is_pretrained(const Weights& checkpoint) {
  const auto first = checkpoint.lower_bound(kDecoderStart);
  return first == checkpoint.end() || !first->first.starts_with(kDecoderStart);
}

/// The lowest of the encoder's layers that attend to the image.
std::int64_t fusion_layer(const Architecture& albef) {
  std::set<std::string> names;
  for (const Layer& layer : albef.layers()) names.insert(layer.name);
  std::int64_t layer = 0;
  while (layer < static_cast<std::int64_t>(names.size()) &&
         !names.count(kEncoderStart + kLayerStart + std::to_string(layer) +
                      ".crossattention.self.query"))
    ++layer;
  return layer;
}

/// What a pretrained model calls that with which a parameter starts.
std::string pretrained_name(const std::string& name, std::int64_t fusion) {
  if (name.starts_with(kDecoderBert)) {
    const std::string tail = name.substr(kDecoderBert.size());
    if (!tail.starts_with(kLayerStart)) return kEncoderBert + tail;
    const std::size_t dot = tail.find('.', kLayerStart.size());
    const std::int64_t layer = std::stoll(tail.substr(kLayerStart.size()));
    return kEncoderBert + kLayerStart + std::to_string(layer + fusion) + tail.substr(dot);
  }
  if (name.starts_with(kDecoderStart)) return kEncoderStart + name.substr(kDecoderStart.size());
  if (name.starts_with(kEncoderStart)) return kEncoderBert + name.substr(kEncoderStart.size());
  return name;
}

/// Positions (1, 1 + s², width) for a grid of as many as `shape` asks for; as they are where they
/// are none of a square.
Tensor resized(const Tensor& positions, const Shape& shape) {
  if (positions.dim() != 3 || positions.size(0) != 1 || positions.size(2) != shape[2] ||
      positions.size(1) < 2 || positions.size(1) == shape[1])
    return positions;
  const auto side_of = [](std::int64_t tokens) {
    return std::llround(std::sqrt(static_cast<double>(tokens - 1)));
  };
  const std::int64_t old = side_of(positions.size(1)), side = side_of(shape[1]);
  if (old * old != positions.size(1) - 1) return positions;
  const Tensor grid =
      positions.narrow(1, 1, old * old).view({1, old, old, shape[2]}).permute({0, 3, 1, 2});
  const Tensor found =
      torch::upsample_bicubic2d(grid.contiguous(), {side, side}, /*align_corners=*/false);
  return torch::cat({positions.narrow(1, 0, 1), found.flatten(2).transpose(1, 2)}, 1);
}

/// What the head stores a second time must be what it is a second name of.
void check_doubles(const Weights& checkpoint, const std::string& bert, const std::string& cls,
                   const std::string& file) {
  const std::map<std::string, std::string> doubles = {
      {cls + "predictions.decoder.weight", bert + "embeddings.word_embeddings.weight"},
      {cls + "predictions.decoder.bias", cls + "predictions.bias"}};
  for (const auto& [name, first] : doubles) {
    const auto found = checkpoint.find(name);
    if (found != checkpoint.end() && !found->second.equal(checkpoint.at(first))) {
      throw InputError(file + ": \"" + first + "\" and \"" + name +
                       "\" are two names of one weight, but their numbers differ");
    }
  }
}

/// That nothing of the encoders and the decoder is left.
void check_used(const Weights& checkpoint, const std::set<std::string>& used,
                const std::string& file) {
  for (const auto& [name, tensor] : checkpoint) {
    const bool of_model = name.starts_with("visual_encoder.") || name.starts_with(kEncoderStart) ||
                          name.starts_with(kDecoderStart);
    const bool doubled =
        name.find(".predictions.decoder.") != std::string::npos || name.ends_with("position_ids");
    if (!of_model || doubled || used.count(name)) continue;
    throw InputError(file + ": unknown weight \"" + name + "\"" +
                     did_you_mean(name, {used.begin(), used.end()}));
  }
}

}  // namespace

Weights albef_weights(const Architecture& albef, const Weights& checkpoint,
                      const std::string& file) {
  const bool pretrained = is_pretrained(checkpoint);
  const std::int64_t fusion = fusion_layer(albef);
  Weights weights;
  std::set<std::string> used;
  for (const Layer& layer : albef.layers()) {
    for (const Parameter& parameter : layer.parameters) {
      const std::string name =
          pretrained ? pretrained_name(parameter.name, fusion) : parameter.name;
      const auto found = checkpoint.find(name);
      if (found == checkpoint.end())
        throw InputError(file + ": the weight \"" + name + "\" is missing");
      used.insert(name);
      if (!found->second.is_floating_point())
        throw InputError(file + ": the weight \"" + name + "\" is not of floats");
      Tensor tensor = found->second.to(torch::kFloat);
      if (name == kImagePositions) tensor = resized(tensor, parameter.shape);
      if (tensor.sizes() != at::IntArrayRef(parameter.shape)) {
        throw InputError(file + ": the weight \"" + name + "\" has shape " +
                         shape_text(tensor.sizes().vec()) + ", but config.json asks for " +
                         shape_text(parameter.shape));
      }
      weights[parameter.name] = tensor;
    }
  }
  check_used(checkpoint, used, file);
  if (pretrained)
    check_doubles(checkpoint, kEncoderBert, "text_encoder.cls.", file);
  else
    check_doubles(checkpoint, kDecoderBert, "text_decoder.cls.", file);
  return weights;
}

Weights read_albef_checkpoint(const Architecture& albef, const std::filesystem::path& folder) {
  const auto paths = torch_checkpoints_in(folder);
  if (paths.size() > 1) refuse_several(folder, paths);
  // Positions share its memory until they are copied.
  const TorchFile file(paths.front());
  Weights weights = albef_weights(albef, tensors_of(file), file.path().string());
  for (auto& [name, weight] : weights) weight = weight.clone();
  return weights;
}

}  // namespace strata::models
