#include "models/peft_config.h"

#include <algorithm>
#include <set>

#include "core/document.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"

namespace strata::models {
namespace {

constexpr std::int64_t kLongestPrompt = 4096;
constexpr double kLargestAlpha = 1e6;

/// A linear layer of a block: its name after "encoder.layer.N." in files, and after "layers.N." in
/// ViT as transformers has had it since 5.9 (whose files keep the first).
struct LinearLayer {
  const char* name;
  const char* renamed;
};
constexpr LinearLayer kLinearLayers[] = {{"attention.attention.query", "attention.q_proj"},
                                         {"attention.attention.key", "attention.k_proj"},
                                         {"attention.attention.value", "attention.v_proj"},
                                         {"attention.output.dense", "attention.o_proj"},
                                         {"intermediate.dense", "mlp.fc1"},
                                         {"output.dense", "mlp.fc2"}};
constexpr int kLinearLayerCount = 6;

bool all_digits(const std::string& text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

/// PEFT's rule for `target_modules`.
bool selects(const std::string& target, const std::string& name) {
  return name == target ||
         (name.size() > target.size() && name[name.size() - target.size() - 1] == '.' &&
          name.compare(name.size() - target.size(), target.size(), target) == 0);
}

/// "vit.encoder.layer.3.output.dense" as "vit.layers.3.mlp.fc2"; "" for what is no linear layer of
/// a block.
std::string renamed_layer(const std::string& name) {
  const std::string encoder = "encoder.layer.";
  const std::size_t begin = name.find(encoder);
  if (begin == std::string::npos) return "";
  const std::size_t number = begin + encoder.size(), dot = name.find('.', number);
  if (dot == std::string::npos) return "";
  const std::string tail = name.substr(dot + 1);
  for (const LinearLayer& layer : kLinearLayers) {
    if (tail == layer.name)
      return name.substr(0, begin) + "layers." + name.substr(number, dot + 1 - number) +
             layer.renamed;
  }
  return "";
}

/// Whether the target is the end of a name that a linear layer of some block can have. "dense"
/// alone is not: to PEFT it is ViLT's pooler, too.
bool is_target(const std::string& target) {
  if (target == "dense") return false;
  std::string number = "0";
  for (std::size_t begin = 0; begin <= target.size();) {
    const std::size_t end = std::min(target.find('.', begin), target.size());
    if (all_digits(target.substr(begin, end - begin))) number = target.substr(begin, end - begin);
    begin = end + 1;
  }
  return std::any_of(std::begin(kLinearLayers), std::end(kLinearLayers),
                     [&](const LinearLayer& layer) {
                       const std::string name = "encoder.layer." + number + "." + layer.name;
                       return selects(target, "vilt." + name) || selects(target, "vit." + name) ||
                              selects(target, renamed_layer("vit." + name));
                     });
}

/// A field of PEFT's LoraConfig that must be absent, null or what it is when nothing asks for it.
void check_neutral(ObjectReader& reader, const std::string& key, const Json& neutral) {
  const Json& found = reader.raw(key);
  const bool empty = found.is_null() || ((found.is_array() || found.is_object()) && found.empty());
  if (!empty && found != neutral) {
    reader.fail(key, excerpt(found) + " is not supported; only " + neutral.dump() + " is");
  }
}

/// The fewest names that select the targeted layers of every block and nothing else, under their
/// names in files and, for ViT, under those of transformers since 5.9.
std::vector<std::string> target_modules(const PeftConfig& config, const std::string& model_type,
                                        std::int64_t layers) {
  // The blocks of each linear layer that are targeted.
  std::vector<std::vector<std::int64_t>> blocks(kLinearLayerCount);
  for (int kind = 0; kind < kLinearLayerCount; ++kind) {
    for (std::int64_t block = 0; block < layers; ++block) {
      if (config.targets("encoder.layer." + std::to_string(block) + "." + kLinearLayers[kind].name))
        blocks[kind].push_back(block);
    }
  }
  const auto in_all = [&](int kind) {
    return static_cast<std::int64_t>(blocks[kind].size()) == layers;
  };
  const auto last_part = [](const std::string& name) { return name.substr(name.rfind('.') + 1); };
  constexpr int kAttentionOutput = 3, kOutput = 5;
  std::vector<std::string> names;
  for (int kind = 0; kind < kLinearLayerCount; ++kind) {
    const std::string name = kLinearLayers[kind].name;
    // "output.dense" is the end of both names.
    const bool both = in_all(kAttentionOutput) && in_all(kOutput);
    if (kind == kAttentionOutput && both) continue;
    if (in_all(kind) && (kind != kOutput || both)) {
      names.push_back(kind < kAttentionOutput ? last_part(name) : name);
    } else {
      for (const std::int64_t block : blocks[kind])
        names.push_back("layer." + std::to_string(block) + "." + name);
    }
  }
  if (model_type != "vit") return names;
  for (int kind = 0; kind < kLinearLayerCount; ++kind) {
    const std::string name = kLinearLayers[kind].renamed;
    if (in_all(kind)) {
      names.push_back(last_part(name));
    } else {
      for (const std::int64_t block : blocks[kind])
        names.push_back("layers." + std::to_string(block) + "." + name);
    }
  }
  return names;
}

std::string lora_config(const PeftConfig& config, const std::string& model_type,
                        std::int64_t layers) {
  Json json = Json::object();
  json["base_model_name_or_path"] = nullptr;
  json["bias"] = "none";
  json["fan_in_fan_out"] = false;
  json["inference_mode"] = true;
  json["init_lora_weights"] = true;
  // An integer where it is one, as PEFT declares the field.
  const auto alpha = static_cast<std::int64_t>(config.lora_alpha);
  if (static_cast<double>(alpha) == config.lora_alpha) {
    json["lora_alpha"] = alpha;
  } else {
    json["lora_alpha"] = config.lora_alpha;
  }
  json["lora_dropout"] = 0.0;
  json["modules_to_save"] = nullptr;
  json["peft_type"] = "LORA";
  json["r"] = config.lora_rank;
  json["target_modules"] = target_modules(config, model_type, layers);
  json["task_type"] = nullptr;
  return json.dump(2) + "\n";
}

void read_own(ObjectReader reader, std::int64_t hidden, PeftConfig& config) {
  reader.version(1);
  config.adapter_reduction = reader.integer("adapter_reduction", 0, hidden, 0);
  config.prompt_length = reader.integer("prompt_length", 0, kLongestPrompt, 0);
  reader.finish();
}

/// PEFT's file; also that of an earlier Strata, which had ours in the mapping `strata`.
PeftConfig read_lora_config(const std::filesystem::path& file, std::int64_t hidden) {
  const Document document = load_json(file);
  ObjectReader reader(document);
  PeftConfig config;
  if (reader.has("peft_type") || !reader.has("strata")) {
    reader.choice("peft_type", {"LORA"});
    config.lora_rank = reader.integer("r", 1, hidden);
    config.lora_alpha = reader.number("lora_alpha", 0, kLargestAlpha, config.lora_alpha);
    config.lora_targets = reader.texts("target_modules");
    for (const auto& [key, neutral] :
         std::vector<std::pair<std::string, Json>>{{"alpha_pattern", Json::object()},
                                                   {"bias", "none"},
                                                   {"exclude_modules", nullptr},
                                                   {"fan_in_fan_out", false},
                                                   {"layer_replication", nullptr},
                                                   {"layers_to_transform", nullptr},
                                                   {"lora_bias", false},
                                                   {"lora_dropout", 0.0},
                                                   {"modules_to_save", nullptr},
                                                   {"rank_pattern", Json::object()},
                                                   {"target_parameters", nullptr},
                                                   {"trainable_token_indices", nullptr},
                                                   {"use_dora", false},
                                                   {"use_qalora", false},
                                                   {"use_rslora", false}}) {
      check_neutral(reader, key, neutral);
    }
    // Others (pissa, olora, …) change the model's own weights when PEFT adds the pairs.
    const Json& start = reader.raw("init_lora_weights");
    if (!start.is_null() && !start.is_boolean() && start != "gaussian" && start != "eva")
      reader.fail("init_lora_weights",
                  excerpt(start) +
                      " is not supported, as it changes the model's own weights; only "
                      "true, false, \"gaussian\" and \"eva\" are");
  }
  if (reader.has("strata")) read_own(reader.object("strata"), hidden, config);
  check_peft_config(config, hidden, file.string());
  return config;
}

}  // namespace

bool PeftConfig::targets(const std::string& name) const {
  if (lora_rank == 0) return false;
  const std::string renamed = renamed_layer(name);
  return std::any_of(lora_targets.begin(), lora_targets.end(), [&](const std::string& target) {
    return selects(target, name) || selects(target, renamed);
  });
}

void add_methods(PeftConfig& ours, const PeftConfig& added) {
  const auto refuse = [](bool twice, const char* method) {
    if (twice) throw InputError(std::string("model: it has ") + method + " already");
  };
  refuse(ours.adapter_reduction > 0 && added.adapter_reduction > 0, "adapters");
  refuse(ours.lora_rank > 0 && added.lora_rank > 0, "LoRA pairs");
  refuse(ours.prompt_length > 0 && added.prompt_length > 0, "prompts");
  if (added.adapter_reduction > 0) ours.adapter_reduction = added.adapter_reduction;
  if (added.prompt_length > 0) ours.prompt_length = added.prompt_length;
  if (added.lora_rank > 0) {
    ours.lora_rank = added.lora_rank;
    ours.lora_alpha = added.lora_alpha;
    ours.lora_targets = added.lora_targets;
  }
}

const std::vector<std::string>& lora_target_names() {
  static const std::vector<std::string> names = {"query",
                                                 "key",
                                                 "value",
                                                 "attention.output.dense",
                                                 "intermediate.dense",
                                                 "output.dense",
                                                 "q_proj",
                                                 "k_proj",
                                                 "v_proj",
                                                 "o_proj",
                                                 "fc1",
                                                 "fc2"};
  return names;
}

void check_peft_config(const PeftConfig& config, std::int64_t hidden, const std::string& where) {
  const auto in_range = [&](const char* key, std::int64_t value, std::int64_t high) {
    if (value < 0 || value > high) {
      throw InputError(where + ": " + key + ": found " + std::to_string(value) +
                       ", but a whole number from 0 to " + std::to_string(high) + " is allowed");
    }
  };
  in_range("adapter_reduction", config.adapter_reduction, hidden);
  in_range("lora_rank", config.lora_rank, hidden);
  in_range("prompt_length", config.prompt_length, kLongestPrompt);
  if (config.lora_rank == 0) return;
  if (!(config.lora_alpha > 0 && config.lora_alpha <= kLargestAlpha)) {
    throw InputError(where + ": lora_alpha must be above 0 and at most 1e6");
  }
  if (config.lora_targets.empty()) {
    throw InputError(where + ": LoRA needs at least one target; the targets are " +
                     quoted_list(lora_target_names()));
  }
  std::set<std::string> seen;
  for (const std::string& target : config.lora_targets) {
    const auto& names = lora_target_names();
    if (!is_target(target)) {
      throw InputError(where + ": unknown LoRA target \"" + target + "\"" +
                       did_you_mean(target, names) + "; the targets are " + quoted_list(names));
    }
    if (!seen.insert(target).second) {
      throw InputError(where + ": the LoRA target \"" + target + "\" is named twice");
    }
  }
}

void write_peft_configs(const PeftConfig& config, const std::string& model_type,
                        std::int64_t layers, const std::filesystem::path& folder) {
  if (config.own()) {
    const Json json = {{"version", 1},
                       {"adapter_reduction", config.adapter_reduction},
                       {"prompt_length", config.prompt_length}};
    write_file(folder / kOwnConfigFile, json.dump(2) + "\n");
  } else {
    std::filesystem::remove(folder / kOwnConfigFile);
  }
  if (config.lora_rank > 0) {
    write_file(folder / kPeftConfigFile, lora_config(config, model_type, layers));
  } else {
    std::filesystem::remove(folder / kPeftConfigFile);
  }
}

PeftConfig read_peft_configs(const std::filesystem::path& folder, std::int64_t hidden) {
  const std::filesystem::path peft = folder / kPeftConfigFile, own = folder / kOwnConfigFile;
  PeftConfig config;
  if (std::filesystem::exists(peft)) config = read_lora_config(peft, hidden);
  if (std::filesystem::exists(own)) {
    const Document document = load_json(own);
    read_own(ObjectReader(document), hidden, config);
    check_peft_config(config, hidden, own.string());
  }
  return config;
}

std::vector<std::string> peft_file_names(const std::string& weight) {
  const std::size_t lora = weight.find(".lora_");
  if (lora == std::string::npos) return {weight};
  const std::string prefix = "base_model.model.";
  std::vector<std::string> names = {prefix + weight};
  if (weight.rfind("vit.", 0) == 0) {
    const std::string renamed = renamed_layer(weight.substr(0, lora));
    if (!renamed.empty()) names.push_back(prefix + renamed + weight.substr(lora));
  }
  return names;
}

}  // namespace strata::models
