#pragma once
/// \file
/// Parameter-efficient fine-tuning: which small weights are put beside a model's own, and the files
/// that hold them. No LibTorch here.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace strata {

/// Which methods a model has beside its base weights. Each is off where its first number is 0.
///
/// Adapters (Pfeiffer et al., EACL 2021, the "seq_bn" of AdapterHub's `adapters`): one bottleneck a
/// block, on the sum y of the block's feed-forward branch and its residual:
///   y + W_up · relu(W_down · y + b_down) + b_up,   W_down (hidden / reduction × hidden)
/// which is what `adapters` computes in a pre-LN transformer, where no LayerNorm follows the sum.
///
/// LoRA (Hu et al., ICLR 2022): a linear layer W x + b becomes W x + b + (alpha / rank) · B A x,
/// A (rank × in), B (out × rank).
///
/// Prompts: `prompt_length` learned vectors put before the tokens that enter the first block, with
/// no position of their own (VPT-shallow, Jia et al., ECCV 2022; PromptFL trains such vectors
/// federatedly, Guo et al., IEEE Transactions on Mobile Computing 2024).
struct PeftConfig {
  std::int64_t adapter_reduction = 0;  ///< hidden size over the bottleneck's size
  std::int64_t lora_rank = 0;
  double lora_alpha = 8;
  /// The linear layers of a block that get a pair: each whose name is one of these or ends with "."
  /// and one of these, as in PEFT's `target_modules`; out of lora_target_names().
  std::vector<std::string> lora_targets = {"query", "value"};
  std::int64_t prompt_length = 0;

  bool any() const { return adapter_reduction > 0 || lora_rank > 0 || prompt_length > 0; }
  /// Whether the linear layer `name` (without ".weight") gets a LoRA pair, were it in a block.
  bool targets(const std::string& name) const;
};

/// Gives `ours` the methods of `added`, too. @throws InputError where it has one of them already.
void add_methods(PeftConfig& ours, const PeftConfig& added);

/// query, key, value, attention.output.dense, intermediate.dense, output.dense (which, like in
/// PEFT, holds attention.output.dense as well).
const std::vector<std::string>& lora_target_names();

/// @throws InputError beginning with `where` for a reduction or rank that a layer of `hidden`
/// numbers does not allow, an alpha or prompt length out of range, an unknown, repeated or missing
/// target.
void check_peft_config(const PeftConfig& config, std::int64_t hidden, const std::string& where);

/// The two files beside config.json and model.safetensors that hold the methods and their weights.
inline constexpr const char* kPeftConfigFile = "adapter_config.json";
inline constexpr const char* kPeftWeightsFile = "adapter_model.safetensors";

/// LoRA in PEFT's fields (`peft_type` "LORA", `r`, `lora_alpha`, `target_modules`, …), so that PEFT
/// loads a folder with LoRA alone; adapters and prompts in a mapping `strata` of ours.
void write_peft_config(const PeftConfig& config, const std::filesystem::path& file);
/// @throws InputError naming the file and key: another `peft_type`, or a field of LoRA whose
/// computation Strata does not have (dropout, bias, DoRA, rsLoRA, patterns, chosen layers).
PeftConfig read_peft_config(const std::filesystem::path& file, std::int64_t hidden);

/// A weight's name in its file: PEFT writes "base_model.model." before those of LoRA; all others
/// are as they are.
std::string peft_file_name(const std::string& weight);

}  // namespace strata
