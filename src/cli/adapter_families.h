#pragma once
/// \file
/// What PEFT's LoraConfig must say for a family of Hugging Face models.

#include <optional>
#include <string>
#include <vector>

namespace strata::cli {

struct AdapterFamily {
  std::vector<std::string> target_modules;  ///< the queries and values of attention
  /// The names of the list of numbered layers; ViT's changed in transformers 5.9.
  std::vector<std::string> layers_pattern;
  std::string task_type;  ///< PEFT's name of the task; "": none of its own
  /// The modules behind its blocks, which are Strata's unit "head": the last norm and the last
  /// layer of a LLaMA.
  std::vector<std::string> head;
  bool fan_in_fan_out = false;     ///< the layers' weights are transposed (GPT-2's Conv1D)
  std::string name = "";           ///< the model's folder or family, for messages; "": unknown
  std::optional<int> layers = {};  ///< how many numbered layers, where it is known
};

/// Names that fit ViLT, ViT, BERT, LLaMA and what is built like them: PEFT passes over those that a
/// model does not have, as long as it has one.
AdapterFamily common_family();

/// `model` is a folder with a Hugging Face config.json, such a file, or a `model_type` ("vilt",
/// "vit", "bert", "llama", …). The task and the head follow from the file's `architectures`, and
/// without one are those of visual question answering, image or text classification, or text
/// generation. @throws InputError for an unknown name or unreadable file, or a `model_type` without
/// a preset.
AdapterFamily adapter_family(const std::string& model);
/// Whether there is a preset for the `model_type` of a folder's config.json: a ResNet's blocks,
/// say, have no numbers that PEFT could be told. @throws InputError: an unreadable file
bool has_adapter_family(const std::string& folder);

}  // namespace strata::cli
