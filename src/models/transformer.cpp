#include "models/transformer.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <set>
#include <string_view>
#include <unordered_map>

#include "models/attention.h"
#include "strata/core/error.h"
#include "strata/core/random.h"
#include "strata/core/safetensors.h"
#include "strata/core/sha256.h"

namespace strata {
namespace {

using torch::Tensor;

/// transformers' classifier has torch.nn.LayerNorm's default, not the configuration's epsilon.
constexpr double kClassifierNormEps = 1e-5;

bool ends_with(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

Tensor initial_weight(const WeightShape& weight, const TransformerConfig& config,
                      std::uint64_t seed) {
  Tensor tensor = torch::zeros(weight.shape);
  const std::string& name = weight.name;
  const bool matrix = weight.shape.size() > 1 && ends_with(name, ".weight");
  const bool embedding = name.find("_embeddings") != std::string::npos &&
                         !ends_with(name, "projection.weight") && weight.shape.size() > 1;
  const bool token = ends_with(name, "cls_token");
  if (weight.shape.size() == 1 && ends_with(name, ".weight")) tensor.fill_(1);
  const bool scaled = config.scaled_initialization;
  if (!matrix && !(scaled && (embedding || token))) return tensor;

  Random random(derive_seed(seed, name));
  float* values = tensor.data_ptr<float>();
  const auto fill = [&](auto&& draw) {
    for (std::int64_t i = 0; i < tensor.numel(); ++i) values[i] = static_cast<float>(draw());
  };
  if (!scaled) {
    fill([&] { return config.initializer_range * random.normal(); });
  } else if (embedding || token) {
    fill([&] { return 0.5 * random.normal(); });
  } else {
    const auto out = static_cast<double>(weight.shape[0]);
    const double in = static_cast<double>(tensor.numel()) / out;
    const bool ends_branch = name.find(".output.dense") != std::string::npos;
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
  const std::int64_t n = pixels.size(0), channels = pixels.size(1), grid = pixels.size(2) / p;
  return pixels.view({n, channels, grid, p, grid, p})
      .permute({0, 2, 4, 1, 3, 5})
      .reshape({n * grid * grid, channels * p * p});
}

}  // namespace

/// One forward pass: how weights are looked up, and what is recorded of it.
struct Transformer::Pass {
  const std::map<std::string, Tensor>& weights;
  bool training = false;
  std::vector<CapturedUnit>* captured = nullptr;
  std::set<std::string> wanted = {};
  bool recording = false;

  Tensor weight(const std::string& name) const {
    const Tensor& tensor = weights.at(name);
    return captured ? tensor.detach() : tensor;
  }

  void enter(const std::string& unit, const Tensor& input) {
    recording = captured && (wanted.empty() || wanted.count(unit));
    if (!recording) return;
    const bool reached = input.defined() && input.requires_grad();
    captured->push_back({unit, reached ? input : Tensor(), {}});
  }

  /// Everything below the lowest captured operation is constant, so its output is made the leaf
  /// from which autograd records.
  Tensor record(CapturedOp::Kind kind, const std::string& name, const std::string& bias,
                const Tensor& input, Tensor output) {
    if (!recording) return output;
    if (!output.requires_grad()) output = output.detach().requires_grad_(true);
    captured->back().ops.push_back(
        {kind, name, bias, input.defined() ? input.detach() : input, output});
    return output;
  }

  Tensor linear(const std::string& name, const Tensor& input) {
    const bool has_bias = weights.count(name + ".bias") > 0;
    const Tensor matrix = weight(name + ".weight").flatten(1);
    const Tensor bias = has_bias ? weight(name + ".bias") : Tensor();
    return record(CapturedOp::Kind::kLinear, name + ".weight", has_bias ? name + ".bias" : "",
                  input, torch::linear(input, matrix, bias));
  }

  Tensor norm(const std::string& name, const Tensor& input, double eps) {
    const Tensor gamma = weight(name + ".weight"), beta = weight(name + ".bias");
    if (!recording) return torch::layer_norm(input, {input.size(-1)}, gamma, beta, eps);
    const Tensor normalised = torch::layer_norm(input, {input.size(-1)}, {}, {}, eps);
    return record(CapturedOp::Kind::kNorm, name + ".weight", name + ".bias", normalised,
                  normalised * gamma + beta);
  }

  Tensor dropout(const Tensor& input, double probability) const {
    return training && probability > 0 ? torch::dropout(input, probability, true) : input;
  }
};

Transformer::Transformer(TransformerConfig config, std::uint64_t seed, torch::Device device)
    : config_(std::move(config)),
      device_(device),
      units_(transformer_units(config_, config_.max_position_embeddings)) {
  for (const WeightShape& weight : transformer_weights(config_)) {
    weights_[weight.name] = initial_weight(weight, config_, seed).to(device);
  }
}

Transformer Transformer::load(const std::filesystem::path& folder, torch::Device device) {
  Transformer model;
  model.config_ = read_transformer_config(folder / "config.json");
  model.device_ = device;
  model.units_ = transformer_units(model.config_, model.config_.max_position_embeddings);
  const SafetensorsFile file(folder / "model.safetensors");
  check_transformer_weights(file, model.config_);
  for (const WeightShape& weight : transformer_weights(model.config_)) {
    const TensorEntry& entry = *file.find(weight.name);
    const std::string_view bytes = file.bytes(entry);
    // Copied by bytes: the format does not promise that a tensor is aligned in the file.
    Tensor tensor = torch::empty(weight.shape, scalar_type(entry.dtype));
    std::memcpy(tensor.data_ptr(), bytes.data(), bytes.size());
    model.weights_[weight.name] = tensor.to(device, torch::kFloat);
  }
  return model;
}

void Transformer::save(const std::filesystem::path& folder) const {
  std::vector<Tensor> tensors;
  std::vector<TensorView> views;
  for (const WeightShape& weight : transformer_weights(config_)) {
    tensors.push_back(plain(weights_.at(weight.name)));
    views.push_back({weight.name, Dtype::kF32, weight.shape, bytes_of(tensors.back())});
  }
  write_transformer_config(config_, folder / "config.json");
  write_safetensors(folder / "model.safetensors", views, {{"format", "pt"}});
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

Tensor Transformer::forward(const Batch& batch, bool training) const {
  Pass pass{weights_, training};
  return run(batch, pass);
}

Tensor Transformer::forward_captured(const Batch& batch, const std::vector<std::string>& unit_names,
                                     std::vector<CapturedUnit>& captured) const {
  captured.clear();
  Pass pass{weights_, false, &captured};
  for (const std::string& name : unit_names) pass.wanted.insert(unit(name).name);
  return run(batch, pass);
}

Tensor Transformer::run(const Batch& batch, Pass& pass) const {
  using Kind = CapturedOp::Kind;
  const std::int64_t n = batch.size(), hidden = config_.hidden_size;
  const std::int64_t text_tokens = batch.input_ids.size(1), image_tokens = config_.patches() + 1;
  const std::int64_t tokens = text_tokens + image_tokens;
  const double eps = config_.layer_norm_eps, dropout = config_.hidden_dropout_prob;
  const auto dtype = weights_.begin()->second.scalar_type();
  const auto ids = batch.input_ids.options();

  const std::string embeddings = "vilt.embeddings.", text_name = embeddings + "text_embeddings.";
  const std::string word = text_name + "word_embeddings.weight";
  const std::string text_position = text_name + "position_embeddings.weight";
  const std::string text_type = text_name + "token_type_embeddings.weight";
  const std::string cls = embeddings + "cls_token", position = embeddings + "position_embeddings";
  const std::string modality = embeddings + "token_type_embeddings.weight";

  pass.enter("embeddings", Tensor());
  Tensor text =
      torch::embedding(pass.weight(word), batch.input_ids) +
      (pass.weight(text_position).narrow(0, 0, text_tokens) + pass.weight(text_type).select(0, 0));
  text = pass.record(Kind::kEmbedding, word, "", batch.input_ids, text);
  text = pass.record(Kind::kEmbedding, text_position, "",
                     torch::arange(text_tokens, ids).expand({n, text_tokens}), text);
  text = pass.record(Kind::kEmbedding, text_type, "", torch::zeros({n, text_tokens}, ids), text);
  text = pass.dropout(pass.norm(text_name + "LayerNorm", text, eps), dropout);
  text = text + pass.weight(modality).select(0, 0);
  text = pass.record(Kind::kEmbedding, modality, "", torch::zeros({n, text_tokens}, ids), text);

  const Tensor patches = pass.linear(embeddings + "patch_embeddings.projection",
                                     patch_rows(batch.pixels.to(dtype), config_.patch_size));
  const Tensor cls_rows =
      pass.record(Kind::kAdded, cls, "", Tensor(), pass.weight(cls).expand({n, 1, hidden}));
  Tensor image = torch::cat({cls_rows, patches.view({n, image_tokens - 1, hidden})}, 1) +
                 (pass.weight(position) + pass.weight(modality).select(0, 1));
  image = pass.record(Kind::kAdded, position, "", Tensor(), image);
  image = pass.record(Kind::kEmbedding, modality, "", torch::ones({n, image_tokens}, ids), image);
  image = pass.dropout(image, dropout);

  Tensor x = torch::cat({text, image}, 1).view({n * tokens, hidden});
  // Added to the attention scores: 0 for tokens, the lowest finite number for padding.
  const double lowest = dtype == torch::kDouble ? std::numeric_limits<double>::lowest()
                                                : std::numeric_limits<float>::lowest();
  const Tensor mask =
      torch::cat({(1 - batch.attention_mask.to(dtype)) * lowest,
                  torch::zeros({n, image_tokens}, batch.attention_mask.options().dtype(dtype))},
                 1);

  for (std::int64_t i = 0; i < config_.num_hidden_layers; ++i) {
    // The classifier reads the first token only, so the last block computes no other one beyond its
    // keys and values.
    const bool last = i + 1 == config_.num_hidden_layers;
    const auto queried = [&](const Tensor& rows) {
      return last ? rows.view({n, tokens, hidden}).select(1, 0) : rows;
    };
    const std::string layer = "vilt.encoder.layer." + std::to_string(i) + ".";
    pass.enter("block." + std::to_string(i), x);
    const Tensor normed = pass.norm(layer + "layernorm_before", x, eps);
    const Tensor query = pass.linear(layer + "attention.attention.query", queried(normed));
    const Tensor key = pass.linear(layer + "attention.attention.key", normed);
    const Tensor value = pass.linear(layer + "attention.attention.value", normed);
    const Tensor context = attention(query, key, value, mask, config_.num_attention_heads,
                                     pass.training ? config_.attention_probs_dropout_prob : 0.0);
    x = queried(x) + pass.dropout(pass.linear(layer + "attention.output.dense", context), dropout);
    const Tensor inner = torch::gelu(
        pass.linear(layer + "intermediate.dense", pass.norm(layer + "layernorm_after", x, eps)));
    x = x + pass.dropout(pass.linear(layer + "output.dense", inner), dropout);
  }

  pass.enter("head", x);
  const Tensor first = pass.norm("vilt.layernorm", x, eps);
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

}  // namespace strata
