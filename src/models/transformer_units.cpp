#include <algorithm>
#include <map>
#include <numeric>
#include <sstream>
#include <stdexcept>

#include "models/transformer_config.h"
#include "strata/core/error.h"

namespace strata {
namespace {

std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::string text = "(";
  for (std::size_t i = 0; i < shape.size(); ++i) {
    text += (i ? ", " : "") + std::to_string(shape[i]);
  }
  return text + ")";
}

bool is_float(Dtype dtype) {
  return dtype == Dtype::kF16 || dtype == Dtype::kBF16 || dtype == Dtype::kF32 ||
         dtype == Dtype::kF64;
}

std::string unit_of(const std::string& weight) {
  const std::string layers = "vilt.encoder.layer.";
  if (weight.rfind(layers, 0) == 0) {
    return "block." + weight.substr(layers.size(), weight.find('.', layers.size()) - layers.size());
  }
  return weight.rfind("vilt.embeddings.", 0) == 0 ? "embeddings" : "head";
}

}  // namespace

std::vector<WeightShape> transformer_weights(const TransformerConfig& c) {
  std::vector<WeightShape> weights;
  const std::int64_t hidden = c.hidden_size;
  const auto add = [&](const std::string& name, std::vector<std::int64_t> shape) {
    weights.push_back({name, std::move(shape)});
  };
  const auto add_linear = [&](const std::string& name, std::int64_t out, std::int64_t in,
                              bool bias = true) {
    add(name + ".weight", {out, in});
    if (bias) add(name + ".bias", {out});
  };
  const auto add_norm = [&](const std::string& name, std::int64_t size) {
    add(name + ".weight", {size});
    add(name + ".bias", {size});
  };

  const std::string embeddings = "vilt.embeddings.";
  add(embeddings + "cls_token", {1, 1, hidden});
  add(embeddings + "position_embeddings", {1, c.patches() + 1, hidden});
  const std::string text = embeddings + "text_embeddings.";
  add(text + "word_embeddings.weight", {c.vocab_size, hidden});
  add(text + "position_embeddings.weight", {c.max_position_embeddings, hidden});
  add(text + "token_type_embeddings.weight", {c.type_vocab_size, hidden});
  add_norm(text + "LayerNorm", hidden);
  add(embeddings + "patch_embeddings.projection.weight",
      {hidden, c.num_channels, c.patch_size, c.patch_size});
  add(embeddings + "patch_embeddings.projection.bias", {hidden});
  add(embeddings + "token_type_embeddings.weight", {c.modality_type_vocab_size, hidden});

  for (std::int64_t i = 0; i < c.num_hidden_layers; ++i) {
    const std::string layer = "vilt.encoder.layer." + std::to_string(i) + ".";
    for (const char* projection : {"query", "key", "value"}) {
      add_linear(layer + "attention.attention." + projection, hidden, hidden, c.qkv_bias);
    }
    add_linear(layer + "attention.output.dense", hidden, hidden);
    add_linear(layer + "intermediate.dense", c.intermediate_size, hidden);
    add_linear(layer + "output.dense", hidden, c.intermediate_size);
    add_norm(layer + "layernorm_before", hidden);
    add_norm(layer + "layernorm_after", hidden);
  }

  add_norm("vilt.layernorm", hidden);
  add_linear("vilt.pooler.dense", hidden, hidden);
  add_linear("classifier.0", 2 * hidden, hidden);
  add_norm("classifier.1", 2 * hidden);
  add_linear("classifier.3", c.label_count(), 2 * hidden);
  return weights;
}

void check_transformer_weights(const SafetensorsFile& file, const TransformerConfig& config) {
  const std::vector<WeightShape> weights = transformer_weights(config);
  std::vector<std::string> names;
  for (const WeightShape& weight : weights) names.push_back(weight.name);
  const std::string path = file.path().string();

  // Unknown names first: a misspelt weight is both unknown and missing, and only this message can
  // say so.
  std::vector<std::string> sorted = names;
  std::sort(sorted.begin(), sorted.end());
  const std::string buffer = "position_ids";
  for (const TensorEntry& entry : file.tensors()) {
    const bool is_buffer =
        entry.name.size() >= buffer.size() &&
        entry.name.compare(entry.name.size() - buffer.size(), buffer.size(), buffer) == 0;
    if (!is_buffer && !std::binary_search(sorted.begin(), sorted.end(), entry.name)) {
      throw InputError(path + ": unknown weight \"" + entry.name + "\"" +
                       did_you_mean(entry.name, names));
    }
  }
  for (const WeightShape& weight : weights) {
    const TensorEntry* entry = file.find(weight.name);
    if (!entry) throw InputError(path + ": the weight \"" + weight.name + "\" is missing");
    if (entry->shape != weight.shape) {
      throw InputError(path + ": the weight \"" + weight.name + "\" has shape " +
                       shape_text(entry->shape) + ", but config.json asks for " +
                       shape_text(weight.shape));
    }
    if (!is_float(entry->dtype)) {
      throw InputError(path + ": the weight \"" + weight.name + "\" has type " +
                       dtype_name(entry->dtype) + ", but F32, F16, BF16 or F64 is needed");
    }
  }
}

std::vector<Unit> transformer_units(const TransformerConfig& c, std::int64_t text_tokens) {
  std::vector<Unit> units(c.num_hidden_layers + 2);
  units.front().name = "embeddings";
  for (std::int64_t i = 0; i < c.num_hidden_layers; ++i) {
    units[i + 1].name = "block." + std::to_string(i);
  }
  units.back().name = "head";

  std::map<std::string, Unit*> by_name;
  for (Unit& unit : units) by_name[unit.name] = &unit;
  for (const WeightShape& weight : transformer_weights(c)) {
    Unit& unit = *by_name.at(unit_of(weight.name));
    unit.parameters.push_back(weight.name);
    unit.parameter_count += std::accumulate(weight.shape.begin(), weight.shape.end(),
                                            std::int64_t{1}, std::multiplies<>());
  }

  const double hidden = c.hidden_size, inner = c.intermediate_size, heads = c.num_attention_heads;
  const double patches = c.patches(), text = text_tokens, tokens = text + 1 + patches;
  const double patch = c.num_channels * c.patch_size * c.patch_size;
  for (Unit& unit : units) unit.bytes = 4 * unit.parameter_count;

  units.front().forward_flops = 2 * patches * patch * hidden;
  units.front().activation_bytes = 4 * (patches * patch + text * (hidden + 2)) + 8 * text;
  for (std::int64_t i = 0; i < c.num_hidden_layers; ++i) {
    const double full = i + 1 == c.num_hidden_layers ? 1 : tokens;
    units[i + 1].forward_flops = 2 * (2 * tokens * hidden * hidden + 2 * full * hidden * hidden +
                                      2 * full * hidden * inner + 2 * full * tokens * hidden);
    units[i + 1].activation_bytes =
        4 * (4 * tokens * hidden + 4 * full * hidden + 2 * full * inner + heads * full * tokens +
             2 * tokens + 2 * full);
  }
  units.back().forward_flops =
      2 * (hidden * hidden + 2 * hidden * hidden + 2 * hidden * c.label_count());
  units.back().activation_bytes = 4 * (9 * hidden + 4);
  return units;
}

}  // namespace strata
