#pragma once
/// \file
/// LoRA (Hu et al., ICLR 2022): a linear layer W x + b becomes W x + b + (alpha / rank) · B A x,
/// A (rank × in), B (out × rank).

#include <filesystem>

#include "peft/method.h"

namespace strata::peft {

struct LoraFields {
  std::int64_t rank = 8;
  double alpha = 8;
  /// The linear layers of blocks that get a pair: each whose name is one of these or ends with "."
  /// and one of these, as in PEFT's `target_modules`. Layers of two names (Layer::renamed) may be
  /// called by either.
  std::vector<std::string> targets = {"query", "value"};
};

MethodType lora_type();
MethodPtr make_lora(LoraFields fields);

/// What may be a target in a model: the ends of its layers' names ("query", "output.dense"; not
/// "dense", which to PEFT is a pooler's, too), and those of their other names. A target may also
/// say more of a name: "layer.3.attention.attention.query".
std::vector<std::string> lora_targets(const models::Blueprint& blueprint);

/// PEFT's adapter_config.json. `target_modules` hold the fewest names that select the targeted
/// layers and nothing else, under both names where layers have two, so that every transformers
/// finds them.
std::string lora_config(const Method& lora, const models::Blueprint& blueprint);
/// @throws InputError naming the file and key: another `peft_type`, or a field whose computation
/// Strata does not have (dropout, bias, DoRA, rsLoRA, patterns, chosen layers)
MethodPtr read_lora_config(ObjectReader& reader);

}  // namespace strata::peft
