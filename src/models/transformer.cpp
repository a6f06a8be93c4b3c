#include "models/transformer.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <set>
#include <string_view>

#include "models/attention.h"
#include "models/dropout.h"
#include "models/preprocessor_config.h"
#include "strata/core/error.h"
#include "strata/core/random.h"
#include "strata/core/safetensors.h"
#include "strata/core/sha256.h"

namespace strata::models {
namespace {

using torch::Tensor;

/// transformers' classifier has torch.nn.LayerNorm's default, not the configuration's epsilon.
constexpr double kClassifierNormEps = 1e-5;

/// AdapterHub's and PEFT's own, whatever the model's initializer_range.
constexpr double kPeftRange = 0.02;

Tensor initial_weight(const WeightShape& weight, const TransformerConfig& config,
                      std::uint64_t seed) {
  Tensor tensor = torch::zeros(weight.shape);
  const std::string& name = weight.name;
  Random random(derive_seed(seed, name));
  float* values = tensor.data_ptr<float>();
  const auto fill = [&](auto&& draw) {
    for (std::int64_t i = 0; i < tensor.numel(); ++i) values[i] = static_cast<float>(draw());
  };
  const auto has = [&](const char* part) { return name.find(part) != std::string::npos; };
  const bool matrix = weight.shape.size() > 1 && name.ends_with(".weight");

  if (name == "prompt_embeddings" || has(".adapters.")) {
    if (weight.shape.size() > 1) fill([&] { return kPeftRange * random.normal(); });
    return tensor;
  }
  if (has(".lora_")) {
    const double bound = 1 / std::sqrt(static_cast<double>(weight.shape[1]));
    if (has(".lora_A.")) fill([&] { return random.uniform(-bound, bound); });
    return tensor;
  }

  const bool embedding =
      has("_embeddings") && !name.ends_with("projection.weight") && weight.shape.size() > 1;
  const bool token = name.ends_with("cls_token");
  if (weight.shape.size() == 1 && name.ends_with(".weight")) tensor.fill_(1);
  if (!matrix && !embedding && !token) return tensor;

  if (!config.scaled_initialization) {
    if (matrix || !config.has_text()) {
      fill([&] { return config.initializer_range * random.normal(); });
    }
  } else if (embedding || token) {
    fill([&] { return 0.5 * random.normal(); });
  } else {
    const auto out = static_cast<double>(weight.shape[0]);
    const double in = static_cast<double>(tensor.numel()) / out;
    const bool ends_branch = has(".output.dense");
    const double depth = 2.0 * static_cast<double>(config.num_hidden_layers);
    const double limit = std::sqrt(6 / (in + out)) / (ends_branch ? std::sqrt(depth) : 1);
    fill([&] { return random.uniform(-limit, limit); });
  }
  return tensor;
}

torch::ScalarType scalar_type(Dtype dtype) {
  switch (dtype) {
    case Dtype::kF16:
      return torch::kHalf;
    case Dtype::kBF16:
      return torch::kBFloat16;
    case Dtype::kF64:
      return torch::kDouble;
    default:
      return torch::kFloat;
  }
}

std::string_view bytes_of(const Tensor& tensor) {
  return {static_cast<const char*>(tensor.data_ptr()), tensor.nbytes()};
}

/// Float32 on the CPU, row-major: as it is written and fingerprinted.
Tensor plain(const Tensor& tensor) {
  return tensor.detach().to(torch::kCPU, torch::kFloat).contiguous();
}

/// Non-overlapping patches as rows (n·patches, channels·p·p), in the order of a convolution's
/// weight.
Tensor patch_rows(const Tensor& pixels, std::int64_t p) {
  const std::int64_t n = pixels.size(0), channels = pixels.size(1);
  const std::int64_t rows = pixels.size(2) / p, columns = pixels.size(3) / p;
  return pixels.view({n, channels, rows, p, columns, p})
      .permute({0, 2, 4, 1, 3, 5})
      .reshape({n * rows * columns, channels * p * p});
}

/// Where a grid's line lies on the table's: between the lines `low` and `low + 1`, `share` of the
/// way, as torch's bilinear interpolation with align_corners has it.
struct Place {
  std::int64_t low;
  float share;
};
Place place_of(std::int64_t line, std::int64_t lines, std::int64_t table) {
  const float step =
      lines > 1 ? static_cast<float>(table - 1) / static_cast<float>(lines - 1) : 0.0F;
  const float at = step * static_cast<float>(line);
  const auto low = std::min(static_cast<std::int64_t>(at), table - 1);
  return {low, at - static_cast<float>(low)};
}

/// The image tokens of a batch of several sizes: the class token, the patches of the image, row by
/// row, and repetitions of the first one up to the longest image's number, which the mask hides.
struct ImageTokens {
  Tensor patches;  ///< int64 (n · longest): of each token but the class tokens, in patch_rows
  /// int64 (n, 1 + longest) each: the four rows of the table of positions around a token, above
  /// left to below right; float (n, 1 + longest, 1): how far it lies to the right and below.
  Tensor corners[4], right, below;
  std::int64_t longest = 0;
};

ImageTokens image_tokens(const Batch& batch, std::int64_t patch, std::int64_t table) {
  const Tensor grids = batch.grids.contiguous();
  const std::int64_t n = batch.size(), columns = batch.pixels.size(3) / patch;
  const std::int64_t all = batch.pixels.size(2) / patch * columns;
  const auto* grid = grids.data_ptr<std::int64_t>();
  ImageTokens tokens;
  tokens.longest = grids.prod(1).max().item<std::int64_t>();
  std::vector<std::int64_t> patches, corners[4];
  std::vector<float> right, below;
  for (std::int64_t i = 0; i < n; ++i) {
    const std::int64_t height = grid[2 * i], width = grid[2 * i + 1];
    for (std::int64_t t = -1; t < tokens.longest; ++t) {
      if (t >= 0) {
        const bool own = t < height * width;
        patches.push_back(i * all + (own ? t / width * columns + t % width : 0));
      }
      // The class token has the table's first row.
      if (t < 0 || t >= height * width) {
        for (auto& corner : corners) corner.push_back(0);
        right.push_back(0);
        below.push_back(0);
        continue;
      }
      const Place y = place_of(t / width, height, table), x = place_of(t % width, width, table);
      for (std::int64_t c = 0; c < 4; ++c) {
        const std::int64_t row = std::min(y.low + c / 2, table - 1);
        corners[c].push_back(1 + row * table + std::min(x.low + c % 2, table - 1));
      }
      right.push_back(x.share);
      below.push_back(y.share);
    }
  }
  const auto device = batch.pixels.device();
  tokens.patches = torch::tensor(patches, torch::kInt64).to(device);
  for (std::size_t c = 0; c < 4; ++c) {
    tokens.corners[c] = torch::tensor(corners[c], torch::kInt64).view({n, -1}).to(device);
  }
  tokens.right = torch::tensor(right, torch::kFloat).view({n, -1, 1}).to(device);
  tokens.below = torch::tensor(below, torch::kFloat).view({n, -1, 1}).to(device);
  return tokens;
}

/// The positions (n, 1 + longest, hidden), interpolated in the table (rows, hidden).
Tensor interpolated(const Tensor& table, const ImageTokens& tokens) {
  const Tensor right = tokens.right.to(table.scalar_type());
  const Tensor below = tokens.below.to(table.scalar_type());
  const auto at = [&](std::size_t c) { return torch::embedding(table, tokens.corners[c]); };
  return (1 - below) * ((1 - right) * at(0) + right * at(1)) +
         below * ((1 - right) * at(2) + right * at(3));
}

/// The same as a matrix (n, 1 + longest, rows) that the table is multiplied by.
Tensor mixture(const Tensor& table, const ImageTokens& tokens) {
  const Tensor right = tokens.right.to(table.scalar_type());
  const Tensor below = tokens.below.to(table.scalar_type());
  Tensor matrix = torch::zeros({right.size(0), right.size(1), table.size(0)}, table.options());
  const Tensor shares[4] = {(1 - below) * (1 - right), (1 - below) * right, below * (1 - right),
                            below * right};
  for (std::size_t c = 0; c < 4; ++c) {
    matrix.scatter_add_(2, tokens.corners[c].unsqueeze(2), shares[c]);
  }
  return matrix;
}

/// The tensors `weights` of a checked safetensors file as float32, under their names here.
void read_weights(const SafetensorsFile& file, const std::vector<WeightShape>& weights,
                  torch::Device device, std::map<std::string, Tensor>& into) {
  for (const WeightShape& weight : weights) {
    const TensorEntry* entry = nullptr;
    for (const std::string& name : peft_file_names(weight.name)) {
      if (!entry) entry = file.find(name);
    }
    const std::string_view bytes = file.bytes(*entry);
    // Copied by bytes: the format does not promise that a tensor is aligned in the file.
    Tensor tensor = torch::empty(weight.shape, scalar_type(entry->dtype));
    std::memcpy(tensor.data_ptr(), bytes.data(), bytes.size());
    into[weight.name] = tensor.to(device, torch::kFloat);
  }
}

void save_weights(const std::filesystem::path& path, const std::vector<WeightShape>& weights,
                  const std::map<std::string, Tensor>& from) {
  std::vector<Tensor> tensors;
  std::vector<TensorView> views;
  for (const WeightShape& weight : weights) {
    tensors.push_back(plain(from.at(weight.name)));
    for (std::string& name : peft_file_names(weight.name))
      views.push_back({std::move(name), Dtype::kF32, weight.shape, bytes_of(tensors.back())});
  }
  write_safetensors(path, views, {{"format", "pt"}});
}

/// (n, tokens), added to the attention scores: 0 for tokens, the lowest finite number for the
/// padding of the text, which stands after `prompts` tokens, and of the image, which ends the row.
Tensor attention_mask(const Batch& batch, const Tensor& rows, std::int64_t prompts) {
  const std::int64_t n = batch.size(), tokens = rows.size(0) / n;
  Tensor mask = torch::zeros({n, tokens}, rows.options());
  const double lowest = rows.scalar_type() == torch::kDouble ? std::numeric_limits<double>::lowest()
                                                             : std::numeric_limits<float>::lowest();
  if (batch.grids.defined()) {
    const Tensor own = batch.grids.prod(1, /*keepdim=*/true);
    const std::int64_t longest = own.max().item<std::int64_t>();
    const Tensor padding = torch::arange(longest).unsqueeze(0) >= own;
    mask.narrow(1, tokens - longest, longest).masked_fill_(padding.to(mask.device()), lowest);
  }
  if (!batch.attention_mask.defined()) return mask;
  mask.narrow(1, prompts, batch.attention_mask.size(1))
      .copy_((1 - batch.attention_mask.to(rows.scalar_type())) * lowest);
  return mask;
}

}  // namespace

/// One pass through some stages: how weights are looked up, and what is recorded of it.
struct Transformer::Pass {
  const std::map<std::string, Tensor>& weights;
  double lora_scale;                              // alpha / rank
  std::optional<at::Generator> generator;         // of dropout; none: no dropout
  const std::set<std::string>* wanted = nullptr;  // with `ops`: names of the weights to record
  std::vector<CapturedOp>* ops = nullptr;
  Tensor mask = {};  // of the batch, once a block has made it

  Tensor weight(const std::string& name) const {
    const Tensor& tensor = weights.at(name);
    return ops ? tensor.detach() : tensor;
  }

  bool records(const std::string& name) const { return ops && wanted->count(name); }

  /// Everything below the lowest recorded operations is constant, so their outputs are made the
  /// leaves from which autograd records.
  Tensor record(CapturedOp::Kind kind, const std::string& name, const std::string& bias,
                const Tensor& input, Tensor output) {
    const bool with_weight = records(name), with_bias = records(bias);
    if (!with_weight && !with_bias) return output;
    if (!output.requires_grad()) output = output.detach().requires_grad_(true);
    ops->push_back({kind, with_weight ? name : "", with_bias ? bias : "",
                    with_weight && input.defined() ? input.detach() : Tensor(), output});
    return output;
  }

  Tensor linear(const std::string& name, const Tensor& input) {
    const bool has_bias = weights.count(name + ".bias") > 0;
    const Tensor matrix = weight(name + ".weight").flatten(1);
    const Tensor bias = has_bias ? weight(name + ".bias") : Tensor();
    const Tensor output =
        record(CapturedOp::Kind::kLinear, name + ".weight", has_bias ? name + ".bias" : "", input,
               torch::linear(input, matrix, bias));
    if (!weights.count(name + ".lora_A.weight")) return output;
    const Tensor small = linear(name + ".lora_A", input);
    return output + linear(name + ".lora_B", small * lora_scale);
  }

  Tensor norm(const std::string& name, const Tensor& mixed, double eps) {
    const Tensor gamma = weight(name + ".weight"), beta = weight(name + ".bias");
    // Autocast leaves it to us on the CPU.
    const Tensor input = mixed.to(gamma.scalar_type());
    Tensor normalised, output;
    if (records(name + ".weight")) {
      normalised = torch::layer_norm(input, {input.size(-1)}, {}, {}, eps);
      output = normalised * gamma + beta;
    } else {
      output = torch::layer_norm(input, {input.size(-1)}, gamma, beta, eps);
    }
    return record(CapturedOp::Kind::kNorm, name + ".weight", name + ".bias", normalised, output);
  }

  Tensor dropout(const Tensor& input, double probability) const {
    return generator && probability > 0 ? strata::models::dropout(input, probability, *generator)
                                        : input;
  }
};

Transformer::Transformer(TransformerConfig config, std::uint64_t seed, torch::Device device)
    : config_(std::move(config)), device_(device) {
  check_peft_config(config_.peft, config_.hidden_size, "model");
  set_units("block");
  draw_weights(transformer_weights(config_), seed);
}

void Transformer::draw_weights(const std::vector<WeightShape>& weights, std::uint64_t seed) {
  for (const WeightShape& weight : weights) {
    weights_[weight.name] = initial_weight(weight, config_, seed).to(device_);
  }
}

Transformer Transformer::load(const std::filesystem::path& folder, torch::Device device) {
  Transformer model;
  model.config_ = read_model_config(folder);
  model.device_ = device;
  model.set_units("block");
  const SafetensorsFile file(folder / "model.safetensors");
  check_transformer_weights(file, model.config_);
  read_weights(file, base_weights(model.config_), device, model.weights_);
  for (const PeftWeights& peft : check_peft_weights(folder, model.config_))
    read_weights(SafetensorsFile(folder / peft.file), peft.weights, device, model.weights_);
  return model;
}

void Transformer::save(const std::filesystem::path& folder) const {
  write_transformer_config(config_, folder / "config.json");
  write_image_processor(config_.image_processor(), image_model(config_), folder);
  save_weights(folder / "model.safetensors", base_weights(config_), weights_);
  // Weights before what describes them, and the other way round where there are none any more: a
  // description without weights would be in the way of whoever opens the folder.
  std::vector<std::string> unused = {kPeftWeightsFile, kOwnWeightsFile};
  for (const PeftWeights& peft : peft_weight_files(config_)) {
    save_weights(folder / peft.file, peft.weights, weights_);
    unused.erase(std::remove(unused.begin(), unused.end(), peft.file), unused.end());
  }
  write_peft_configs(config_.peft, config_.model_type, config_.num_hidden_layers, folder);
  for (const std::string& file : unused) std::filesystem::remove(folder / file);
}

void Transformer::add_peft(const PeftConfig& peft, std::uint64_t seed) {
  check_peft_config(peft, config_.hidden_size, "model");
  add_methods(config_.peft, peft);
  std::vector<WeightShape> added;
  for (WeightShape& weight : peft_weights(config_)) {
    if (!weights_.count(weight.name)) added.push_back(std::move(weight));
  }
  draw_weights(added, seed);
}

void Transformer::set_units(const std::string& scheme) {
  units_ = transformer_units(config_, config_.max_position_embeddings, scheme);
}

const Unit& Transformer::unit(const std::string& name) const {
  std::vector<std::string> names;
  for (const Unit& unit : units_) {
    if (unit.name == name) return unit;
    names.push_back(unit.name);
  }
  throw InputError("unknown unit \"" + name + "\"" + did_you_mean(name, names) +
                   "; the units are " + quoted_list(names));
}

Tensor& Transformer::weight(const std::string& name) {
  return weights_.at(name);
}
const Tensor& Transformer::weight(const std::string& name) const {
  return weights_.at(name);
}

std::vector<Tensor> Transformer::weights_of(const Unit& unit) const {
  std::vector<Tensor> tensors;
  for (const std::string& name : unit.parameters) tensors.push_back(weights_.at(name));
  return tensors;
}

void Transformer::train_only(const std::vector<std::string>& unit_names) {
  std::set<std::string> trained;
  for (const std::string& name : unit_names) {
    const Unit& chosen = unit(name);
    trained.insert(chosen.parameters.begin(), chosen.parameters.end());
  }
  for (auto& [name, tensor] : weights_) {
    tensor.set_requires_grad(trained.count(name) > 0);
    if (!tensor.requires_grad()) tensor.mutable_grad().reset();
  }
}

std::map<std::string, Tensor> Transformer::state() const {
  std::map<std::string, Tensor> copies;
  for (const auto& [name, tensor] : weights_) copies[name] = tensor.detach().clone();
  return copies;
}

void Transformer::load_state(const std::map<std::string, Tensor>& state) {
  const torch::NoGradGuard no_grad;
  for (const auto& [name, tensor] : state) weights_.at(name).copy_(tensor);
}

Transformer Transformer::clone() const {
  Transformer copy = *this;
  copy.weights_ = state();
  return copy;
}

std::int64_t Transformer::stage_of(const std::string& weight) const {
  if (!weights_.count(weight)) {
    std::vector<std::string> names;
    for (const auto& [name, tensor] : weights_) names.push_back(name);
    throw InputError("unknown weight \"" + weight + "\"" + did_you_mean(weight, names));
  }
  const std::string embeddings = config_.prefix() + "embeddings.";
  const std::string layers = config_.prefix() + "encoder.layer.";
  if (weight == "prompt_embeddings" || weight.rfind(embeddings, 0) == 0) return 0;
  if (weight.rfind(layers, 0) == 0) return 1 + std::stoll(weight.substr(layers.size()));
  return stage_count() - 1;
}

Transformer::Pass Transformer::make_pass(const std::optional<at::Generator>& dropout) const {
  const PeftConfig& peft = config_.peft;
  const double scale =
      peft.lora_rank > 0 ? peft.lora_alpha / static_cast<double>(peft.lora_rank) : 0.0;
  return {weights_, scale, dropout};
}

Tensor Transformer::forward(const Batch& batch, const std::optional<at::Generator>& dropout) const {
  Pass pass = make_pass(dropout);
  Tensor x;
  for (std::int64_t stage = 0; stage < stage_count(); ++stage) x = run(stage, batch, x, pass);
  return x;
}

Tensor Transformer::run_stage(std::int64_t stage, const Batch& batch, const Tensor& input) const {
  Pass pass = make_pass();
  return run(stage, batch, input, pass);
}

Tensor Transformer::capture_stage(std::int64_t stage, const Batch& batch, const Tensor& input,
                                  const std::set<std::string>& weights,
                                  std::vector<CapturedOp>& ops) const {
  const torch::AutoGradMode recording(true);
  Pass pass = make_pass();
  pass.wanted = &weights;
  pass.ops = &ops;
  return run(stage, batch, input, pass);
}

Tensor Transformer::run(std::int64_t stage, const Batch& batch, const Tensor& input,
                        Pass& pass) const {
  if (stage == 0) return run_embeddings(batch, pass);
  if (stage + 1 == stage_count()) return run_head(input, pass);
  return run_block(stage - 1, batch, input, pass);
}

Tensor Transformer::run_embeddings(const Batch& batch, Pass& pass) const {
  const std::int64_t hidden = config_.hidden_size, prompts = config_.peft.prompt_length;
  std::vector<Tensor> parts;
  if (prompts > 0) {
    const std::string name = "prompt_embeddings";
    parts.push_back(pass.record(CapturedOp::Kind::kAdded, name, "", Tensor(),
                                pass.weight(name).expand({batch.size(), prompts, hidden})));
  }
  if (config_.has_text()) parts.push_back(run_text(batch, pass));
  parts.push_back(run_image(batch, pass));
  return torch::cat(parts, 1).view({-1, hidden});
}

Tensor Transformer::run_text(const Batch& batch, Pass& pass) const {
  using Kind = CapturedOp::Kind;
  const std::int64_t n = batch.size(), tokens = batch.input_ids.size(1);
  const auto ids = batch.input_ids.options();
  const std::string name = config_.prefix() + "embeddings.text_embeddings.";
  const std::string word = name + "word_embeddings.weight";
  const std::string position = name + "position_embeddings.weight";
  const std::string type = name + "token_type_embeddings.weight";
  const std::string modality = config_.prefix() + "embeddings.token_type_embeddings.weight";

  Tensor text = torch::embedding(pass.weight(word), batch.input_ids) +
                (pass.weight(position).narrow(0, 0, tokens) + pass.weight(type).select(0, 0));
  text = pass.record(Kind::kEmbedding, word, "", batch.input_ids, text);
  text = pass.record(Kind::kEmbedding, position, "", torch::arange(tokens, ids).expand({n, tokens}),
                     text);
  text = pass.record(Kind::kEmbedding, type, "", torch::zeros({n, tokens}, ids), text);
  text = pass.dropout(pass.norm(name + "LayerNorm", text, config_.layer_norm_eps),
                      config_.hidden_dropout_prob);
  text = text + pass.weight(modality).select(0, 0);
  return pass.record(Kind::kEmbedding, modality, "", torch::zeros({n, tokens}, ids), text);
}

Tensor Transformer::run_image(const Batch& batch, Pass& pass) const {
  using Kind = CapturedOp::Kind;
  const std::int64_t n = batch.size(), hidden = config_.hidden_size;
  const bool mixed = batch.grids.defined();
  const ImageTokens tokens =
      mixed ? image_tokens(batch, config_.patch_size, config_.grid()) : ImageTokens();
  const std::int64_t patches = mixed ? tokens.longest : config_.patches();
  const std::string name = config_.prefix() + "embeddings.";
  const std::string cls = name + "cls_token", position = name + "position_embeddings";
  const std::string modality = name + "token_type_embeddings.weight";

  const Tensor cls_rows = pass.weight(cls).expand({n, 1, hidden});
  const auto dtype = cls_rows.scalar_type();
  Tensor rows = patch_rows(batch.pixels.to(dtype), config_.patch_size);
  if (mixed) rows = rows.index_select(0, tokens.patches);
  const Tensor patch_vectors = pass.linear(name + "patch_embeddings.projection", rows);
  Tensor added = pass.weight(position);
  if (mixed) added = interpolated(added.squeeze(0), tokens);
  if (config_.has_text()) added = added + pass.weight(modality).select(0, 1);
  Tensor image = torch::cat({pass.record(Kind::kAdded, cls, "", Tensor(), cls_rows),
                             patch_vectors.view({n, patches, hidden})},
                            1) +
                 added;
  if (mixed && pass.records(position)) {
    const Tensor matrix = mixture(pass.weight(position).squeeze(0), tokens);
    image = pass.record(Kind::kMixture, position, "", matrix, image);
  } else {
    image = pass.record(Kind::kAdded, position, "", Tensor(), image);
  }
  if (config_.has_text()) {
    const Tensor ones = torch::ones({n, patches + 1}, batch.input_ids.options());
    image = pass.record(Kind::kEmbedding, modality, "", ones, image);
  }
  return pass.dropout(image, config_.hidden_dropout_prob);
}

Tensor Transformer::run_block(std::int64_t block, const Batch& batch, const Tensor& input,
                              Pass& pass) const {
  const std::int64_t n = batch.size(), hidden = config_.hidden_size, tokens = input.size(0) / n;
  const double eps = config_.layer_norm_eps, dropout = config_.hidden_dropout_prob;
  if (!pass.mask.defined()) pass.mask = attention_mask(batch, input, config_.peft.prompt_length);

  // The classifier reads one token only, the first after the prompts, so the last block computes no
  // other one beyond its keys and values.
  const bool last = block + 1 == config_.num_hidden_layers;
  const auto queried = [&](const Tensor& rows) {
    return last ? rows.view({n, tokens, hidden}).select(1, config_.peft.prompt_length) : rows;
  };
  const std::string layer = config_.prefix() + "encoder.layer." + std::to_string(block) + ".";
  const Tensor normed = pass.norm(layer + "layernorm_before", input, eps);
  const Tensor query = pass.linear(layer + "attention.attention.query", queried(normed));
  const Tensor key = pass.linear(layer + "attention.attention.key", normed);
  const Tensor value = pass.linear(layer + "attention.attention.value", normed);
  const Tensor context = attention(query, key, value, pass.mask, config_.num_attention_heads,
                                   config_.attention_probs_dropout_prob, pass.generator);
  const Tensor x = queried(input) +
                   pass.dropout(pass.linear(layer + "attention.output.dense", context), dropout);
  const Tensor inner = torch::gelu(
      pass.linear(layer + "intermediate.dense", pass.norm(layer + "layernorm_after", x, eps)));
  const Tensor sum = x + pass.dropout(pass.linear(layer + "output.dense", inner), dropout);
  if (config_.peft.adapter_reduction == 0) return sum;
  const std::string adapter = layer + "output.adapters.strata.";
  const Tensor bottleneck = torch::relu(pass.linear(adapter + "adapter_down.0", sum));
  return sum + pass.linear(adapter + "adapter_up", bottleneck);
}

Tensor Transformer::run_head(const Tensor& input, Pass& pass) const {
  const Tensor first = pass.norm(config_.prefix() + "layernorm", input, config_.layer_norm_eps);
  if (!config_.has_text()) return pass.linear("classifier", first);
  const Tensor pooled = torch::tanh(pass.linear("vilt.pooler.dense", first));
  const Tensor classified =
      pass.norm("classifier.1", pass.linear("classifier.0", pooled), kClassifierNormEps);
  return pass.linear("classifier.3", torch::gelu(classified));
}

std::string Transformer::fingerprint() const {
  Sha256 hash;
  for (const auto& [name, tensor] : weights_) {
    const Tensor values = plain(tensor);
    hash.update(name);
    hash.update(bytes_of(values));
  }
  return hash.hex();
}

}  // namespace strata::models
