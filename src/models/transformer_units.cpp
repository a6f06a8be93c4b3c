#include <algorithm>
#include <map>
#include <numeric>
#include <set>
#include <sstream>
#include <stdexcept>

#include "core/text.h"
#include "models/transformer_config.h"
#include "strata/core/error.h"

namespace strata::models {
namespace {

bool is_float(Dtype dtype) {
  return dtype == Dtype::kF16 || dtype == Dtype::kBF16 || dtype == Dtype::kF32 ||
         dtype == Dtype::kF64;
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

constexpr const char* kPrompt = "prompt_embeddings";

std::string layer_prefix(const TransformerConfig& c, std::int64_t block) {
  return c.prefix() + "encoder.layer." + std::to_string(block) + ".";
}

/// The block that a weight is in, or -1.
std::int64_t block_of(const TransformerConfig& c, const std::string& weight) {
  const std::string layers = c.prefix() + "encoder.layer.";
  return weight.rfind(layers, 0) == 0 ? std::stoll(weight.substr(layers.size())) : -1;
}

/// The bottleneck's size. Never 0, as AdapterHub has it.
std::int64_t adapter_size(const TransformerConfig& c) {
  return std::max<std::int64_t>(1, c.hidden_size / c.peft.adapter_reduction);
}

const std::vector<std::string>& unit_kinds() {
  static const std::vector<std::string> kinds = {"block",     "adapter", "lora",
                                                 "layernorm", "bias",    "prompt"};
  return kinds;
}

/// Whether a weight of a block is of a kind.
bool is_of_kind(const std::string& weight, const std::string& kind) {
  if (contains(weight, ".adapters.")) return kind == "adapter";
  if (contains(weight, ".lora_")) return kind == "lora";
  if (kind == "layernorm") return contains(weight, ".layernorm_");
  if (kind == "bias") return weight.ends_with(".bias");
  return kind == "block";
}

struct Scheme {
  std::vector<std::string> kinds;  ///< of the unit of a block
  std::string name;                ///< they, joined again
  bool prompt = false;

  bool has(const std::string& kind) const {
    return std::find(kinds.begin(), kinds.end(), kind) != kinds.end();
  }
};

Scheme parse_scheme(const std::string& text, const TransformerConfig& c) {
  const std::string where = "unit scheme \"" + text + "\": ";
  Scheme scheme;
  std::istringstream parts(text + "+");
  for (std::string kind; std::getline(parts, kind, '+');) {
    const auto& kinds = unit_kinds();
    if (std::find(kinds.begin(), kinds.end(), kind) == kinds.end()) {
      throw InputError(where + "unknown kind \"" + kind + "\"" + did_you_mean(kind, kinds) +
                       "; the kinds are " + quoted_list(kinds) + ", joined by '+'");
    }
    if (scheme.has(kind) || (kind == "prompt" && scheme.prompt)) {
      throw InputError(where + "\"" + kind + "\" is named twice");
    }
    const auto needs = [&](std::int64_t number, const char* key, const char* weights) {
      if (number == 0) {
        throw InputError(where + "the model has no " + weights + " (its " + key + " is 0)");
      }
    };
    if (kind == "adapter") needs(c.peft.adapter_reduction, "adapter_reduction", "adapters");
    if (kind == "lora") needs(c.peft.lora_rank, "lora_rank", "LoRA pairs");
    if (kind == "prompt") needs(c.peft.prompt_length, "prompt_length", "prompts");
    if (kind == "prompt") {
      scheme.prompt = true;
    } else {
      scheme.kinds.push_back(kind);
      scheme.name += (scheme.name.empty() ? "" : "+") + kind;
    }
  }
  for (const char* held : {"layernorm", "bias"}) {
    if (scheme.has("block") && scheme.has(held)) {
      throw InputError(where + "\"block\" holds what \"" + held + "\" would add");
    }
  }
  return scheme;
}

/// The name of the unit that holds a weight, or "" for one that stays frozen.
std::string unit_of(const std::string& weight, const TransformerConfig& c, const Scheme& scheme) {
  if (weight == kPrompt) return scheme.prompt ? "prompt" : "";
  const std::int64_t block = block_of(c, weight);
  if (block < 0) return contains(weight, c.prefix() + "embeddings.") ? "embeddings" : "head";
  const bool held = std::any_of(scheme.kinds.begin(), scheme.kinds.end(),
                                [&](const std::string& kind) { return is_of_kind(weight, kind); });
  return held ? scheme.name + "." + std::to_string(block) : "";
}

/// Costs of a block's unit; the letters are those of transformer_units.
struct BlockCost {
  double tokens, computed;  // S, Q
  double hidden, inner, heads, bottleneck, rank;

  /// Tokens on which a linear layer works, and numbers in and out.
  struct Layer {
    double tokens, in, out;
  };
  Layer layer(const std::string& name) const {
    if (name == "attention.attention.key" || name == "attention.attention.value") {
      return {tokens, hidden, hidden};
    }
    if (name == "intermediate.dense") return {computed, hidden, inner};
    if (name == "output.dense") return {computed, inner, hidden};
    return {computed, hidden, hidden};
  }

  double forward_flops(const Scheme& scheme, const std::vector<std::string>& lora) const {
    double products = 0;
    if (scheme.has("block")) {
      products += 2 * tokens * hidden * hidden + 2 * computed * hidden * hidden +
                  2 * computed * hidden * inner + 2 * computed * tokens * hidden;
    }
    if (scheme.has("adapter")) products += 2 * computed * hidden * bottleneck;
    if (scheme.has("lora")) {
      for (const std::string& name : lora) {
        products += layer(name).tokens * rank * (layer(name).in + layer(name).out);
      }
    }
    return 2 * products;
  }

  /// What a block adds to the cost of training.
  struct Backward {
    double kept = 0;       ///< numbers
    double products = 0;   ///< multiply-adds
    bool reached = false;  ///< whether a gradient gets up to here, and so has to get down again
  };

  /// Goes up the block as the forward pass does. `trained` are the trained weights without the
  /// block's prefix, `lora` the layers with a pair; `below`: something below the block is trained.
  Backward backward(const std::set<std::string>& trained, const std::vector<std::string>& lora,
                    bool below) const {
    Backward cost{0, 0, below};
    const auto trains = [&](const std::string& name) { return trained.count(name) > 0; };
    const auto norm = [&](const std::string& name, double rows) {
      cost.reached = cost.reached || trains(name + ".weight") || trains(name + ".bias");
      if (cost.reached) cost.kept += rows * (hidden + 2);
    };
    const auto linear = [&](const std::vector<std::string>& names, double input) {
      const bool passes = cost.reached;
      bool keeps_input = false;
      for (const std::string& name : names) {
        const Layer shape = layer(name);
        const bool weight = trains(name + ".weight"), a = trains(name + ".lora_A.weight");
        const bool b = trains(name + ".lora_B.weight");
        cost.products += (passes + weight) * shape.tokens * shape.in * shape.out;
        if (std::find(lora.begin(), lora.end(), name) != lora.end()) {
          cost.products +=
              shape.tokens * rank * ((passes + a) * shape.in + ((passes || a) + b) * shape.out);
        }
        if (b) cost.kept += shape.tokens * rank;
        keeps_input = keeps_input || a || weight;
        cost.reached = cost.reached || keeps_input || b || trains(name + ".bias");
      }
      if (keeps_input) cost.kept += input;
    };
    const auto pass = [&](double numbers) {
      if (cost.reached) cost.kept += numbers;
    };
    norm("layernorm_before", tokens);
    linear({"attention.attention.query", "attention.attention.key", "attention.attention.value"},
           tokens * hidden);
    pass((computed + 2 * tokens) * hidden + heads * computed * tokens);
    if (cost.reached) cost.products += 4 * computed * tokens * hidden;
    linear({"attention.output.dense"}, computed * hidden);
    norm("layernorm_after", computed);
    linear({"intermediate.dense"}, computed * hidden);
    pass(computed * inner);
    linear({"output.dense"}, computed * inner);
    const std::string adapter = "output.adapters.strata.adapter_";
    const bool passes = cost.reached, down = trains(adapter + "down.0.weight");
    const bool up = trains(adapter + "up.weight"),
               below_up = down || trains(adapter + "down.0.bias");
    // Up's input gradient serves what is below, down's own weight and its bias.
    cost.products += (passes + (passes || below_up) + down + up) * computed * hidden * bottleneck;
    if (down) cost.kept += computed * hidden;
    cost.reached = passes || below_up || up || trains(adapter + "up.bias");
    pass(computed * bottleneck);
    return cost;
  }
};

/// The linear layers of a block that have a LoRA pair, without the block's prefix.
std::vector<std::string> lora_layers(const TransformerConfig& c) {
  std::vector<std::string> layers;
  for (const char* name :
       {"attention.attention.query", "attention.attention.key", "attention.attention.value",
        "attention.output.dense", "intermediate.dense", "output.dense"}) {
    if (c.peft.targets("." + std::string(name))) layers.push_back(name);
  }
  return layers;
}

BlockCost block_cost(const TransformerConfig& c, std::int64_t text_tokens, std::int64_t block) {
  const double text = c.has_text() ? text_tokens : 0;
  const double tokens = static_cast<double>(c.peft.prompt_length) + text + 1 + c.patches();
  return {tokens,
          block + 1 == c.num_hidden_layers ? 1 : tokens,
          static_cast<double>(c.hidden_size),
          static_cast<double>(c.intermediate_size),
          static_cast<double>(c.num_attention_heads),
          c.peft.adapter_reduction > 0 ? static_cast<double>(adapter_size(c)) : 0,
          static_cast<double>(c.peft.lora_rank)};
}

/// Those of `weights` in a block, without its prefix.
template <typename Names>
std::set<std::string> within_block(const TransformerConfig& c, std::int64_t block,
                                   const Names& weights) {
  const std::string layer = layer_prefix(c, block);
  std::set<std::string> names;
  for (const std::string& name : weights) {
    if (name.rfind(layer, 0) == 0) names.insert(name.substr(layer.size()));
  }
  return names;
}

void check_weight(const std::string& path, const TensorEntry& entry, const WeightShape& weight,
                  const std::string& config_file) {
  const std::string what = path + ": the weight \"" + entry.name + "\" has ";
  if (entry.shape != weight.shape) {
    throw InputError(what + "shape " + shape_text(entry.shape) + ", but " + config_file +
                     " asks for " + shape_text(weight.shape));
  }
  if (!is_float(entry.dtype)) {
    throw InputError(what + "type " + dtype_name(entry.dtype) +
                     ", but F32, F16, BF16 or F64 is needed");
  }
}

/// Exactly `weights`, each under one or all of its names, in their shapes, in a float type.
void check_weights(const SafetensorsFile& file, const std::vector<WeightShape>& weights,
                   const std::string& config_file) {
  std::vector<std::string> names;
  for (const WeightShape& weight : weights) {
    for (std::string& name : peft_file_names(weight.name)) names.push_back(std::move(name));
  }
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
    const TensorEntry* found = nullptr;
    for (const std::string& name : peft_file_names(weight.name)) {
      const TensorEntry* entry = file.find(name);
      if (!entry) continue;
      check_weight(path, *entry, weight, config_file);
      if (found && (found->dtype != entry->dtype || file.bytes(*found) != file.bytes(*entry))) {
        throw InputError(path + ": \"" + found->name + "\" and \"" + name +
                         "\" are two names of one weight, but their numbers differ");
      }
      found = entry;
    }
    if (!found) {
      throw InputError(path + ": the weight \"" + peft_file_names(weight.name).front() +
                       "\" is missing");
    }
  }
}

}  // namespace

std::vector<WeightShape> base_weights(const TransformerConfig& c) {
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

  const std::string embeddings = c.prefix() + "embeddings.";
  add(embeddings + "cls_token", {1, 1, hidden});
  add(embeddings + "position_embeddings", {1, c.patches() + 1, hidden});
  if (c.has_text()) {
    const std::string text = embeddings + "text_embeddings.";
    add(text + "word_embeddings.weight", {c.vocab_size, hidden});
    add(text + "position_embeddings.weight", {c.max_position_embeddings, hidden});
    add(text + "token_type_embeddings.weight", {c.type_vocab_size, hidden});
    add_norm(text + "LayerNorm", hidden);
  }
  add(embeddings + "patch_embeddings.projection.weight",
      {hidden, c.num_channels, c.patch_size, c.patch_size});
  add(embeddings + "patch_embeddings.projection.bias", {hidden});
  if (c.has_text()) {
    add(embeddings + "token_type_embeddings.weight", {c.modality_type_vocab_size, hidden});
  }

  for (std::int64_t i = 0; i < c.num_hidden_layers; ++i) {
    const std::string layer = layer_prefix(c, i);
    for (const char* projection : {"query", "key", "value"}) {
      add_linear(layer + "attention.attention." + projection, hidden, hidden, c.qkv_bias);
    }
    add_linear(layer + "attention.output.dense", hidden, hidden);
    add_linear(layer + "intermediate.dense", c.intermediate_size, hidden);
    add_linear(layer + "output.dense", hidden, c.intermediate_size);
    add_norm(layer + "layernorm_before", hidden);
    add_norm(layer + "layernorm_after", hidden);
  }

  add_norm(c.prefix() + "layernorm", hidden);
  if (c.has_text()) {
    add_linear("vilt.pooler.dense", hidden, hidden);
    add_linear("classifier.0", 2 * hidden, hidden);
    add_norm("classifier.1", 2 * hidden);
    add_linear("classifier.3", c.label_count(), 2 * hidden);
  } else {
    add_linear("classifier", c.label_count(), hidden);
  }
  return weights;
}

std::vector<WeightShape> peft_weights(const TransformerConfig& c) {
  std::vector<WeightShape> weights;
  if (c.peft.prompt_length > 0) weights.push_back({kPrompt, {c.peft.prompt_length, c.hidden_size}});
  if (c.peft.lora_rank > 0) {
    const std::string end = ".weight";
    for (const WeightShape& weight : base_weights(c)) {
      if (block_of(c, weight.name) < 0 || weight.shape.size() != 2) continue;
      const std::string name = weight.name.substr(0, weight.name.size() - end.size());
      if (!c.peft.targets(name)) continue;
      weights.push_back({name + ".lora_A.weight", {c.peft.lora_rank, weight.shape[1]}});
      weights.push_back({name + ".lora_B.weight", {weight.shape[0], c.peft.lora_rank}});
    }
  }
  for (std::int64_t i = 0; c.peft.adapter_reduction > 0 && i < c.num_hidden_layers; ++i) {
    const std::string adapter = layer_prefix(c, i) + "output.adapters.strata.";
    const std::int64_t size = adapter_size(c);
    weights.push_back({adapter + "adapter_down.0.weight", {size, c.hidden_size}});
    weights.push_back({adapter + "adapter_down.0.bias", {size}});
    weights.push_back({adapter + "adapter_up.weight", {c.hidden_size, size}});
    weights.push_back({adapter + "adapter_up.bias", {c.hidden_size}});
  }
  return weights;
}

std::vector<WeightShape> transformer_weights(const TransformerConfig& c) {
  std::vector<WeightShape> weights = base_weights(c);
  for (WeightShape& weight : peft_weights(c)) weights.push_back(std::move(weight));
  return weights;
}

void check_transformer_weights(const SafetensorsFile& file, const TransformerConfig& config) {
  check_weights(file, base_weights(config), "config.json");
}

std::vector<PeftWeights> peft_weight_files(const TransformerConfig& config) {
  PeftWeights lora{kPeftWeightsFile, kPeftConfigFile, {}};
  PeftWeights own{kOwnWeightsFile, kOwnConfigFile, {}};
  for (WeightShape& weight : peft_weights(config)) {
    const bool is_lora = weight.name.find(".lora_") != std::string::npos;
    (is_lora ? lora : own).weights.push_back(std::move(weight));
  }
  std::vector<PeftWeights> files;
  for (PeftWeights* file : {&own, &lora}) {
    if (!file->weights.empty()) files.push_back(std::move(*file));
  }
  return files;
}

std::vector<PeftWeights> check_peft_weights(const std::filesystem::path& folder,
                                            const TransformerConfig& config) {
  std::vector<PeftWeights> files = peft_weight_files(config);
  if (config.peft.own() && !std::filesystem::exists(folder / kOwnConfigFile))
    files = {{kPeftWeightsFile, kPeftConfigFile, peft_weights(config)}};
  for (const PeftWeights& file : files)
    check_weights(SafetensorsFile(folder / file.file), file.weights, file.config_file);
  return files;
}

std::vector<Unit> transformer_units(const TransformerConfig& c, std::int64_t text_tokens,
                                    const std::string& scheme_text) {
  const Scheme scheme = parse_scheme(scheme_text, c);
  const auto block_unit = [&](std::int64_t i) { return scheme.name + "." + std::to_string(i); };
  std::vector<Unit> units(1);
  units.front().name = "embeddings";
  units.front().role = Role::kEmbeddings;
  if (scheme.prompt) {
    units.emplace_back().name = "prompt";
    units.back().role = Role::kPrompt;
  }
  for (std::int64_t i = 0; !scheme.name.empty() && i < c.num_hidden_layers; ++i) {
    units.emplace_back().name = block_unit(i);
  }
  units.emplace_back().name = "head";
  units.back().role = Role::kHead;

  std::map<std::string, Unit*> by_name;
  for (Unit& unit : units) by_name[unit.name] = &unit;
  for (const WeightShape& weight : transformer_weights(c)) {
    const std::string name = unit_of(weight.name, c, scheme);
    if (name.empty()) continue;
    Unit& unit = *by_name.at(name);
    unit.parameters.push_back(weight.name);
    unit.parameter_count += std::accumulate(weight.shape.begin(), weight.shape.end(),
                                            std::int64_t{1}, std::multiplies<>());
  }
  for (Unit& unit : units) unit.bytes = 4 * unit.parameter_count;

  const double hidden = c.hidden_size, labels = c.label_count(), patches = c.patches();
  const double text = c.has_text() ? text_tokens : 0;
  const double patch = c.num_channels * c.patch_size * c.patch_size;
  Unit& embeddings = units.front();
  embeddings.forward_flops = 2 * patches * patch * hidden;
  embeddings.activation_bytes = 4 * (patches * patch + text * (hidden + 2)) + 8 * text;
  Unit& head = units.back();
  head.forward_flops =
      2 * (c.has_text() ? hidden * hidden + 2 * hidden * hidden + 2 * hidden * labels
                        : hidden * labels);
  head.activation_bytes = 4 * (c.has_text() ? 9 * hidden + 4 : 2 * hidden + 2);

  const std::vector<std::string> lora = lora_layers(c);
  for (std::int64_t i = 0; !scheme.name.empty() && i < c.num_hidden_layers; ++i) {
    Unit& unit = *by_name.at(block_unit(i));
    const BlockCost cost = block_cost(c, text_tokens, i);
    unit.forward_flops = cost.forward_flops(scheme, lora);
    const std::set<std::string> trained = within_block(c, i, unit.parameters);
    unit.activation_bytes = 4 * cost.backward(trained, lora, false).kept;
  }
  return units;
}

double TrainingCost::peak_bytes(std::int64_t batch) const {
  return 4.0 * static_cast<double>(all_parameters) + 12.0 * static_cast<double>(parameters) +
         static_cast<double>(batch) * (activation_bytes + working_bytes);
}

TrainingCost training_cost(const TransformerConfig& c, std::int64_t text_tokens,
                           const std::set<std::string>& trained) {
  TrainingCost cost;
  for (const WeightShape& weight : transformer_weights(c)) {
    const std::int64_t count = std::accumulate(weight.shape.begin(), weight.shape.end(),
                                               std::int64_t{1}, std::multiplies<>());
    cost.all_parameters += count;
    if (trained.count(weight.name)) cost.parameters += count;
  }
  const auto trains = [&](const Unit& unit) {
    return std::any_of(unit.parameters.begin(), unit.parameters.end(),
                       [&](const std::string& name) { return trained.count(name) > 0; });
  };
  std::vector<std::string> schemes = {"block"};
  if (c.peft.adapter_reduction > 0) schemes.push_back("adapter");
  if (c.peft.lora_rank > 0) schemes.push_back("lora");
  for (const std::string& scheme : schemes) {
    for (const Unit& unit : transformer_units(c, text_tokens, scheme)) {
      const bool in_block = unit.name != "embeddings" && unit.name != "head";
      if (in_block || scheme == "block") cost.forward_flops += unit.forward_flops;
    }
  }

  const std::vector<Unit> units = transformer_units(c, text_tokens);
  const Unit &embeddings = units.front(), &head = units.back();
  bool reached = trains(embeddings) || trained.count(kPrompt) > 0;
  if (trains(embeddings)) {
    cost.activation_bytes += embeddings.activation_bytes;
    cost.backward_flops += embeddings.forward_flops;
  }
  const std::vector<std::string> lora = lora_layers(c);
  for (std::int64_t i = 0; i < c.num_hidden_layers; ++i) {
    const auto block =
        block_cost(c, text_tokens, i).backward(within_block(c, i, trained), lora, reached);
    cost.activation_bytes += 4 * block.kept;
    cost.backward_flops += 2 * block.products;
    reached = block.reached;
  }
  const double hidden = static_cast<double>(c.hidden_size);
  if (trains(head)) {
    cost.activation_bytes += head.activation_bytes;
    cost.backward_flops += 2 * head.forward_flops;
  } else if (reached) {
    cost.activation_bytes += 4 * (c.has_text() ? 6 * hidden + 4 : hidden + 2);
    cost.backward_flops += head.forward_flops;
  }
  const BlockCost first = block_cost(c, text_tokens, 0);
  const double attention = 3 * first.tokens * hidden + first.heads * first.computed * first.tokens;
  cost.working_bytes =
      4 * (2 * first.tokens * hidden + std::max(attention, 2 * first.computed * first.inner));
  return cost;
}

}  // namespace strata::models
