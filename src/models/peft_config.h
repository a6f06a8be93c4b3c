#pragma once
/// \file
/// Parameter-efficient fine-tuning: which small weights are put beside a model's own, and the files
/// that hold them. No LibTorch here.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace strata::models {

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
  /// and one of these, as in PEFT's `target_modules`. A layer has two names: the one that files of
  /// weights have, and the one that transformers 5.9 and later give ViT's (see lora_target_names).
  std::vector<std::string> lora_targets = {"query", "value"};
  std::int64_t prompt_length = 0;

  /// Whether there is any of Strata's own methods, which PEFT does not know.
  bool own() const { return adapter_reduction > 0 || prompt_length > 0; }
  bool any() const { return own() || lora_rank > 0; }
  /// Whether the linear layer `name` (as in files, without ".weight") gets a LoRA pair, were it in
  /// a block.
  bool targets(const std::string& name) const;
};

/// Gives `ours` the methods of `added`, too. @throws InputError where it has one of them already.
void add_methods(PeftConfig& ours, const PeftConfig& added);

/// query, key, value, attention.output.dense, intermediate.dense, output.dense (which, like in
/// PEFT, holds attention.output.dense as well), and what transformers 5.9 and later call the same
/// layers of ViT: q_proj, k_proj, v_proj, o_proj, fc1, fc2 (the second of the feed-forward branch
/// alone). A target may also say more of a layer's name: "layer.3.attention.attention.query".
const std::vector<std::string>& lora_target_names();

/// @throws InputError beginning with `where` for a reduction or rank that a layer of `hidden`
/// numbers does not allow, an alpha or prompt length out of range, an unknown, repeated or missing
/// target.
void check_peft_config(const PeftConfig& config, std::int64_t hidden, const std::string& where);

/// PEFT's files in a model folder: LoRA, and nothing else, so that PEFT and transformers load them.
inline constexpr const char* kPeftConfigFile = "adapter_config.json";
inline constexpr const char* kPeftWeightsFile = "adapter_model.safetensors";
/// Ours, of names that no other program looks for: adapters and prompts. Before, they stood in
/// PEFT's files (in a mapping `strata`), which made transformers refuse the whole folder.
inline constexpr const char* kOwnConfigFile = "strata_adapters.json";
inline constexpr const char* kOwnWeightsFile = "strata_adapters.safetensors";

/// Writes the configuration files that a model with `layers` blocks needs beside its config.json,
/// and removes those that it does not. LoRA's `target_modules` hold both names of each layer for
/// "vit", so that transformers before and after 5.9 find them.
void write_peft_configs(const PeftConfig& config, const std::string& model_type,
                        std::int64_t layers, const std::filesystem::path& folder);
/// What a model folder's configuration files say; also those of folders where ours stood in PEFT's.
/// @throws InputError naming the file and key: another `peft_type`, or a field of LoRA whose
/// computation Strata does not have (dropout, bias, DoRA, rsLoRA, patterns, chosen layers).
PeftConfig read_peft_configs(const std::filesystem::path& folder, std::int64_t hidden);

/// The names that a weight may have in its file, of which a file holds one or all; a file that we
/// write holds all. PEFT writes "base_model.model." before those of LoRA, and ViT's layers have two
/// names: the first is that of transformers before 5.9. All other weights are as they are.
std::vector<std::string> peft_file_names(const std::string& weight);

}  // namespace strata::models
