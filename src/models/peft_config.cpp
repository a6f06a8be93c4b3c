#include "models/peft_config.h"

#include <algorithm>
#include <set>

#include "core/document.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"

namespace strata {
namespace {

constexpr std::int64_t kLongestPrompt = 4096;
constexpr double kLargestAlpha = 1e6;

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

/// A field of PEFT's LoraConfig that must be absent, null or what it is when nothing asks for it.
void check_neutral(ObjectReader& reader, const std::string& key, const Json& neutral) {
  const Json& found = reader.raw(key);
  const bool empty = found.is_null() || ((found.is_array() || found.is_object()) && found.empty());
  if (!empty && found != neutral) {
    reader.fail(key, excerpt(found) + " is not supported; only " + neutral.dump() + " is");
  }
}

}  // namespace

bool PeftConfig::targets(const std::string& name) const {
  return lora_rank > 0 &&
         std::any_of(lora_targets.begin(), lora_targets.end(), [&](const std::string& target) {
           return name == target || ends_with(name, "." + target);
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
  static const std::vector<std::string> names = {
      "query", "key", "value", "attention.output.dense", "intermediate.dense", "output.dense"};
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
    if (std::find(names.begin(), names.end(), target) == names.end()) {
      throw InputError(where + ": unknown LoRA target \"" + target + "\"" +
                       did_you_mean(target, names) + "; the targets are " + quoted_list(names));
    }
    if (!seen.insert(target).second) {
      throw InputError(where + ": the LoRA target \"" + target + "\" is named twice");
    }
  }
}

void write_peft_config(const PeftConfig& config, const std::filesystem::path& file) {
  Json json = Json::object();
  if (config.lora_rank > 0) {
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
    json["target_modules"] = config.lora_targets;
    json["task_type"] = nullptr;
  }
  if (config.adapter_reduction > 0 || config.prompt_length > 0) {
    json["strata"] = {{"version", 1},
                      {"adapter_reduction", config.adapter_reduction},
                      {"prompt_length", config.prompt_length}};
  }
  write_file(file, json.dump(2) + "\n");
}

PeftConfig read_peft_config(const std::filesystem::path& file, std::int64_t hidden) {
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
  if (reader.has("strata")) {
    ObjectReader ours = reader.object("strata");
    ours.version(1);
    config.adapter_reduction = ours.integer("adapter_reduction", 0, hidden, 0);
    config.prompt_length = ours.integer("prompt_length", 0, kLongestPrompt, 0);
    ours.finish();
  }
  check_peft_config(config, hidden, file.string());
  return config;
}

std::string peft_file_name(const std::string& weight) {
  return weight.find(".lora_") == std::string::npos ? weight : "base_model.model." + weight;
}

}  // namespace strata
