#include "models/architectures/sam_decoder.h"

#include <cmath>

#include "models/architectures/sam_layers.h"

namespace strata::models {
namespace {

using torch::Tensor;

const std::string kPositionLayer = "shared_image_embedding";
const std::string kPositionMatrix = kPositionLayer + ".positional_embedding";
const std::string kPromptEncoder = "prompt_encoder.", kMaskDecoder = "mask_decoder.";
const std::string kNoMask = kPromptEncoder + "no_mask_embed.weight";
const std::string kNoPoint = kPromptEncoder + "not_a_point_embed.weight";
const std::string kIouToken = kMaskDecoder + "iou_token.weight";
const std::string kMaskTokens = kMaskDecoder + "mask_tokens.weight";
const std::string kTwoWay = kMaskDecoder + "transformer.";
const std::string kFinalAttention = kTwoWay + "final_attn_token_to_image";
const std::string kFinalNorm = kTwoWay + "layer_norm_final_attn";
constexpr double kFinalEps = 1e-5;  // torch.nn.LayerNorm's own, in every program
constexpr std::int64_t kPointKinds = 4, kHyperDepth = 3;
constexpr std::int64_t kNoPointLabel = -1, kNothingLabel = -10;

// What goes from stage to stage: rows (n·places, width) of the image, rows (n·tokens, width) of the
// tokens, these as they entered, and the enlarged image (n, height, width, numbers).
constexpr const char *kSamRows = "rows", *kSamQueries = "queries", *kEntered = "entered",
                     *kEnlarged = "maps";

std::string layer_at(std::int64_t layer) {
  return kTwoWay + "layers." + std::to_string(layer) + ".";
}
std::string hyper_at(std::int64_t token) {
  return kMaskDecoder + "output_hypernetworks_mlps." + std::to_string(token) + ".";
}
std::string convolution_at(std::int64_t step) {
  return kMaskDecoder + "upscale_conv" + std::to_string(step + 1);
}
/// The LayerNorm behind a step; there is none behind the last.
std::string norm_at(std::int64_t step) {
  return kMaskDecoder + "upscale_layer_norm" + (step == 0 ? "" : std::to_string(step + 1));
}

/// The layers of a perceptron, as transformers' SamFeedForward calls them.
std::vector<std::string> perceptron(const std::string& at, std::int64_t depth) {
  std::vector<std::string> names = {at + "proj_in"};
  for (std::int64_t i = 0; i < depth - 2; ++i) names.push_back(at + "layers." + std::to_string(i));
  names.push_back(at + "proj_out");
  return names;
}

void declare_perceptron(const std::string& at, std::int64_t depth, std::int64_t in,
                        std::int64_t inner, std::int64_t out, LayerList& list) {
  const std::vector<std::string> names = perceptron(at, depth);
  for (std::size_t i = 0; i < names.size(); ++i) {
    add_sam_linear(names[i], i + 1 == names.size() ? out : inner, i == 0 ? in : inner, true, list)
        .of_labels = true;
  }
}

Layer& declare_table(const std::string& name, std::int64_t rows, std::int64_t width,
                     LayerList& list) {
  return list.add({.name = name.substr(0, name.rfind('.')),
                   .kind = LayerKind::kTokens,
                   .width = width,
                   .parameters = {{name, {rows, width}, {Init::Kind::kNormal, 1}}}});
}

}  // namespace

void SamDecoder::declare(LayerList& list) const {
  const std::int64_t width = config_.hidden_size;
  const std::int64_t prompts = list.stages();
  const std::int64_t iou = prompts + config_.num_hidden_layers + 2;
  list.begin_stage({"prompts", Role::kConnector});
  declare_prompts(iou, list);
  for (std::int64_t layer = 0; layer < config_.num_hidden_layers; ++layer) {
    list.begin_stage({"decoder.block." + std::to_string(layer), Role::kBody, kDecoderGroup});
    declare_layer(layer, list);
  }
  list.begin_stage(
      {"decoder.block." + std::to_string(config_.num_hidden_layers), Role::kBody, kDecoderGroup});
  declare_attention(kFinalAttention, reduced(), list);
  list.add_norm(kFinalNorm, width);
  list.add_place(kFinalAttention + ".end", LayerKind::kBlock, width);
  list.begin_stage({"iou", Role::kConnector});
  declare_perceptron(kMaskDecoder + "iou_prediction_head.", config_.iou_head_depth, width,
                     config_.iou_head_hidden_dim, config_.mask_tokens(), list);
  list.begin_stage({"upscale", Role::kHead});
  for (std::int64_t step = 0; step < config_.upscaling_steps; ++step) {
    const std::int64_t in = config_.upscaled_size(step), out = config_.upscaled_size(step + 1);
    const bool further = step >= SamDecoderConfig().upscaling_steps;
    add_sam_upsampling(convolution_at(step), out, in, list).of_labels = further;
    if (step + 1 < config_.upscaling_steps)
      list.add_norm(norm_at(step), out).of_labels = step + 1 >= SamDecoderConfig().upscaling_steps;
  }
  list.begin_stage({"tokens", Role::kHead});
  for (std::int64_t token = 0; token < config_.mask_tokens(); ++token)
    declare_perceptron(hyper_at(token), kHyperDepth, width, width,
                       config_.upscaled_size(config_.upscaling_steps), list);
}

/// The tokens enter with the prompts. What the stage `iou` reads is in its unit, what `tokens`
/// reads, two above, in that one's.
void SamDecoder::declare_prompts(std::int64_t iou, LayerList& list) const {
  const std::int64_t width = config_.hidden_size, inner = config_.mask_input_channels;
  list.add({.name = kPositionLayer,
            .kind = LayerKind::kTokens,
            .width = features_,
            .buffers = {{kPositionMatrix, {2, features_}, {Init::Kind::kNormal, 1}}},
            .aliases = {kPromptEncoder + "shared_embedding"}});
  for (std::int64_t kind = 0; kind < kPointKinds; ++kind)
    declare_table(kPromptEncoder + "point_embed." + std::to_string(kind) + ".weight", 1, width,
                  list);
  declare_table(kNoPoint, 1, width, list);
  declare_table(kNoMask, 1, width, list);
  const std::string masks = kPromptEncoder + "mask_embed.";
  add_sam_convolution(masks + "conv1", inner / 4, 1, 2, true, list);
  list.add_norm(masks + "layer_norm1", inner / 4);
  add_sam_convolution(masks + "conv2", inner, inner / 4, 2, true, list);
  list.add_norm(masks + "layer_norm2", inner);
  add_sam_convolution(masks + "conv3", width, inner, 1, true, list);
  declare_table(kIouToken, 1, width, list).unit_stage = iou;
  Layer& tokens = declare_table(kMaskTokens, config_.mask_tokens(), width, list);
  tokens.unit_stage = iou + 2;
  tokens.of_labels = true;
}

void SamDecoder::declare_attention(const std::string& name, std::int64_t inner,
                                   LayerList& list) const {
  for (const char* projection : {".q_proj", ".k_proj", ".v_proj"})
    add_sam_linear(name + projection, inner, config_.hidden_size, true, list).part =
        Part::kAttention;
  add_sam_linear(name + ".out_proj", config_.hidden_size, inner, true, list).part =
      Part::kAttentionOutput;
}

void SamDecoder::declare_layer(std::int64_t layer, LayerList& list) const {
  const std::int64_t width = config_.hidden_size;
  const std::string at = layer_at(layer);
  declare_attention(at + "self_attn", width, list);
  list.add_norm(at + "layer_norm1", width);
  declare_attention(at + "cross_attn_token_to_image", reduced(), list);
  list.add_norm(at + "layer_norm2", width);
  add_sam_linear(at + "mlp.lin1", config_.mlp_dim, width, true, list);
  add_sam_linear(at + "mlp.lin2", width, config_.mlp_dim, true, list).part = Part::kMlpOutput;
  list.add_norm(at + "layer_norm3", width);
  declare_attention(at + "cross_attn_image_to_token", reduced(), list);
  list.add_norm(at + "layer_norm4", width);
  list.add_place(at + "end", LayerKind::kBlock, width);
}

State SamDecoder::run(std::int64_t stage, const Batch& batch, const State& input,
                      Pass& pass) const {
  const std::int64_t n = batch.images(), last = config_.num_hidden_layers + 1;
  if (stage == 0) return enter(batch, input.values.at(kSamRows), pass);
  if (stage < last) return run_layer(stage - 1, n, input, pass);
  if (stage == last) return run_final(n, input, pass);
  if (stage == last + 1) return input;  // how good masks are is nothing that they depend on
  if (stage == last + 2) return upscale(n, input, pass);
  return {{{kMaskLogits, masks(n, input, pass)}}, {}};
}

State SamDecoder::enter(const Batch& batch, const Tensor& rows, Pass& pass) const {
  const std::int64_t n = batch.images(), width = config_.hidden_size;
  // Every image of a sample has them.
  const auto token = [&](const std::string& name, std::int64_t count) {
    const Tensor each = pass.each(name);
    return each.view({-1, 1, count, width})
        .expand({each.size(0), n / each.size(0), count, width})
        .reshape({n, count, width});
  };
  std::vector<Tensor> tokens = {token(kIouToken, 1), token(kMaskTokens, config_.mask_tokens())};
  if (batch.points.defined()) tokens.push_back(points(batch, pass));
  const Tensor queries = torch::cat(tokens, 1).reshape({-1, width});
  const Tensor image = pass.used(Use::kBias, kNoMask, Tensor(), rows + pass.weight(kNoMask));
  return {{{kSamRows, image}, {kSamQueries, queries}, {kEntered, queries}}, {}};
}

/// (n, P, width). They are constants: what they are made of is not trained through them.
Tensor SamDecoder::points(const Batch& batch, Pass& pass) const {
  const auto weight = [&](const std::string& name) { return pass.weight(name).detach(); };
  const Tensor centres = (batch.points + 0.5) / static_cast<double>(image_size_);
  const Tensor labels = batch.point_labels.unsqueeze(2);
  Tensor found = encoded(centres, pass);
  found = torch::where(labels == kNoPointLabel, weight(kNoPoint).view({1, 1, -1}), found);
  found = torch::where(labels == kNothingLabel, torch::zeros_like(found), found);
  for (std::int64_t kind = 0; kind < kPointKinds; ++kind) {
    const Tensor added = weight(kPromptEncoder + "point_embed." + std::to_string(kind) + ".weight");
    found = torch::where(labels == kind, found + added, found);
  }
  return found;
}

/// Sines and cosines of random directions of places (…, 2) within [0, 1]² (Tancik et al. 2020).
Tensor SamDecoder::encoded(const Tensor& places, Pass& pass) const {
  const Tensor matrix = pass.weight(kPositionMatrix);
  const Tensor turns =
      torch::matmul((2 * places - 1).to(matrix.scalar_type()), matrix) * (2 * M_PI);
  return torch::cat({turns.sin(), turns.cos()}, -1);
}

/// Of each image's places, (n·places, width).
Tensor SamDecoder::image_positions(std::int64_t n, Pass& pass) const {
  const Tensor matrix = pass.weight(kPositionMatrix);
  const Tensor centres =
      (torch::arange(grid_, matrix.options()) + 0.5) / static_cast<double>(grid_);
  const Tensor places = torch::stack({centres.view({1, grid_}).expand({grid_, grid_}),
                                      centres.view({grid_, 1}).expand({grid_, grid_})},
                                     -1);
  return encoded(places.view({-1, 2}), pass).repeat({n, 1});
}

Tensor SamDecoder::attend(const std::string& name, const Tensor& query, const Tensor& key,
                          const Tensor& value, std::int64_t n, Pass& pass) const {
  const Tensor q = pass.linear(name + ".q_proj", query), k = pass.linear(name + ".k_proj", key);
  const Tensor v = pass.linear(name + ".v_proj", value);
  const Tensor mask = torch::zeros({n, key.size(0) / n}, query.options());
  return pass.linear(name + ".out_proj",
                     pass.attention(q, k, v, mask, Heads{config_.num_attention_heads}, 0));
}

State SamDecoder::run_layer(std::int64_t layer, std::int64_t n, const State& input,
                            Pass& pass) const {
  const std::string at = layer_at(layer);
  const auto norm = [&](const char* name, const Tensor& rows) {
    return pass.layer_norm(at + name, rows, config_.layer_norm_eps);
  };
  const Tensor &entered = input.values.at(kEntered), places = image_positions(n, pass);
  Tensor tokens = input.values.at(kSamQueries), image = input.values.at(kSamRows);

  // The first layer's tokens are where they entered, and have nothing to be added to yet.
  const Tensor placed = layer == 0 ? tokens : tokens + entered;
  const Tensor seen = attend(at + "self_attn", placed, placed, tokens, n, pass);
  tokens = norm("layer_norm1", layer == 0 ? seen : tokens + seen);

  const Tensor keys = image + places;
  tokens = norm("layer_norm2", tokens + attend(at + "cross_attn_token_to_image", tokens + entered,
                                               keys, image, n, pass));
  const Tensor inner = pass.activation(Activation::kRelu, pass.linear(at + "mlp.lin1", tokens));
  tokens = norm("layer_norm3", tokens + pass.linear(at + "mlp.lin2", inner));
  image = norm("layer_norm4", image + attend(at + "cross_attn_image_to_token", keys,
                                             tokens + entered, tokens, n, pass));
  return {
      {{kSamRows, image}, {kSamQueries, pass.block_end(at + "end", tokens)}, {kEntered, entered}},
      {}};
}

State SamDecoder::run_final(std::int64_t n, const State& input, Pass& pass) const {
  const Tensor &tokens = input.values.at(kSamQueries), &image = input.values.at(kSamRows);
  const Tensor seen = attend(kFinalAttention, tokens + input.values.at(kEntered),
                             image + image_positions(n, pass), image, n, pass);
  const Tensor found = pass.layer_norm(kFinalNorm, tokens + seen, kFinalEps);
  return {{{kSamRows, image}, {kSamQueries, pass.block_end(kFinalAttention + ".end", found)}}, {}};
}

State SamDecoder::upscale(std::int64_t n, const State& input, Pass& pass) const {
  Tensor maps = input.values.at(kSamRows).view({n, grid_, grid_, config_.hidden_size});
  for (std::int64_t step = 0; step < config_.upscaling_steps; ++step) {
    maps = pass.upsampling(convolution_at(step), maps);
    if (step + 1 < config_.upscaling_steps) maps = pass.layer_norm(norm_at(step), maps, kSamMapEps);
    maps = pass.activation(Activation::kGelu, maps);
  }
  return {{{kEnlarged, maps}, {kSamQueries, input.values.at(kSamQueries)}}, {}};
}

Tensor SamDecoder::masks(std::int64_t n, const State& input, Pass& pass) const {
  const Tensor tokens = input.values.at(kSamQueries).view({n, -1, config_.hidden_size});
  std::vector<Tensor> vectors;
  for (std::int64_t token = 0; token < config_.mask_tokens(); ++token) {
    Tensor vector = tokens.select(1, 1 + token);
    for (const std::string& layer : perceptron(hyper_at(token), kHyperDepth)) {
      if (layer != hyper_at(token) + "proj_in") vector = pass.activation(Activation::kRelu, vector);
      vector = pass.linear(layer, vector);
    }
    vectors.push_back(vector);
  }
  const Tensor& maps = input.values.at(kEnlarged);
  return pass.products_of(maps.flatten(1, 2), torch::stack(vectors, 1))
      .transpose(1, 2)
      .reshape({n, config_.mask_tokens(), maps.size(1), maps.size(2)});
}

}  // namespace strata::models
