#include "cli/adapter_families.h"

#include <algorithm>
#include <filesystem>
#include <limits>

#include "core/document.h"
#include "strata/core/error.h"

namespace strata::cli {
namespace {

using Names = std::vector<std::string>;

struct Preset {
  std::string model_type;
  Names target_modules, layers_pattern;
  std::string architecture;  ///< the one that is meant where none is named
  Names classifier;          ///< its last layers for classification
  Names behind = {};         ///< what stands between the blocks and the last layer
  Names pooler = {};         ///< what does in classifiers of whole texts alone
  Names lm_head = {"lm_head"};
  bool fan_in_fan_out = false;
};

const std::vector<Preset>& presets() {
  const Names renamed = {"query", "value", "q_proj", "v_proj"}, either = {"layer", "layers"};
  const Names bert = {"query", "value"}, llama = {"q_proj", "v_proj"};
  const Names layer = {"layer"}, layers = {"layers"};
  const Names classifier = {"classifier"}, score = {"score"};
  const std::string text = "ForSequenceClassification", image = "ForImageClassification";
  const std::string generation = "ForCausalLM";
  const Names norm = {"model.norm"};
  // A head is all that stands behind the blocks, as where `strata score` and `strata run` have it.
  static const std::vector<Preset> table = {
      {"vilt", bert, layer, "", classifier, {"vilt.layernorm", "vilt.pooler"}},
      {"vit", renamed, either, image, classifier, {"vit.layernorm"}},
      {"deit", renamed, either, image, classifier, {"deit.layernorm"}},
      {"bert", bert, layer, text, classifier, {}, {"bert.pooler"}},
      {"roberta", bert, layer, text, classifier},
      {"xlm-roberta", bert, layer, text, classifier},
      {"electra", bert, layer, text, classifier},
      {"distilbert", {"q_lin", "v_lin"}, layer, text, classifier, {}, {"pre_classifier"}},
      {"deberta-v2", {"query_proj", "value_proj"}, layer, text, classifier, {}, {"pooler"}},
      {"llama", llama, layers, generation, score, norm},
      {"mistral", llama, layers, generation, score, norm},
      {"mixtral", llama, layers, generation, score, norm},
      {"qwen2", llama, layers, generation, score, norm},
      {"qwen3", llama, layers, generation, score, norm},
      {"gemma", llama, layers, generation, score, norm},
      {"gemma2", llama, layers, generation, score, norm},
      {"opt", llama, layers, generation, score, {"model.decoder.final_layer_norm"}},
      {"gpt2", {"c_attn"}, {"h"}, generation, score, {"transformer.ln_f"}, {}, {"lm_head"}, true},
      {"gpt_neox",
       {"query_key_value"},
       layers,
       generation,
       score,
       {"gpt_neox.final_layer_norm"},
       {},
       {"embed_out", "lm_head"}},
  };
  return table;
}

AdapterFamily family_of(const Preset& preset, const std::string& named) {
  const std::string architecture = preset.architecture.empty() ? "" : named;
  AdapterFamily family{preset.target_modules, preset.layers_pattern, "", preset.classifier};
  family.fan_in_fan_out = preset.fan_in_fan_out;
  Names behind = preset.behind;
  if (architecture.ends_with("ForSequenceClassification")) {
    family.task_type = "SEQ_CLS";
    behind.insert(behind.end(), preset.pooler.begin(), preset.pooler.end());
  } else if (architecture.ends_with("ForTokenClassification")) {
    family.task_type = "TOKEN_CLS";
  } else if (architecture.ends_with("ForQuestionAnswering")) {
    family.task_type = "QUESTION_ANS";
    family.head = {"qa_outputs"};
  } else if (architecture.ends_with("ForCausalLM") || architecture.ends_with("LMHeadModel")) {
    family.task_type = "CAUSAL_LM";
    family.head = preset.lm_head;
  }
  family.head.insert(family.head.begin(), behind.begin(), behind.end());
  return family;
}

const Preset& preset_of(const std::string& model_type, const std::string& where) {
  Names names;
  for (const Preset& preset : presets()) {
    if (preset.model_type == model_type) return preset;
    names.push_back(preset.model_type);
  }
  throw InputError(where + ": \"" + model_type + "\" has no preset" +
                   did_you_mean(model_type, names) + "; there are " +
                   quoted_list(names, names.size()) +
                   ", and --export-template for all other models");
}

}  // namespace

bool has_adapter_family(const std::string& folder) {
  const Document document = load_json(std::filesystem::path(folder) / "config.json");
  ObjectReader reader(document);
  const std::string type = reader.text("model_type");
  return std::any_of(presets().begin(), presets().end(),
                     [&](const Preset& preset) { return preset.model_type == type; });
}

AdapterFamily common_family() {
  return {{"query", "value", "q_proj", "v_proj"},
          {"layer", "layers"},
          "",
          {"classifier", "lm_head", "score"}};
}

AdapterFamily adapter_family(const std::string& model) {
  std::filesystem::path file = model;
  if (std::filesystem::is_directory(file)) file /= "config.json";
  const bool is_name = !std::filesystem::exists(file) && file == model &&
                       model.find('/') == std::string::npos && !model.ends_with(".json");
  if (is_name) {
    const Preset& preset = preset_of(model, "--export-model: no folder, and");
    AdapterFamily family = family_of(preset, preset.architecture);
    family.name = model;
    return family;
  }
  const Document document = load_json(file);
  ObjectReader reader(document);
  const Preset& preset = preset_of(reader.text("model_type"), reader.where("model_type"));
  const Names architectures = reader.texts("architectures", Names{});
  AdapterFamily family =
      family_of(preset, architectures.empty() ? preset.architecture : architectures.front());
  family.name = model;
  for (const char* key : {"num_hidden_layers", "n_layer", "n_layers"}) {
    if (reader.has(key))
      family.layers = static_cast<int>(reader.integer(key, 1, std::numeric_limits<int>::max()));
  }
  return family;
}

}  // namespace strata::cli
