#pragma once
/// \file
/// LoRA (Hu et al., ICLR 2022): a linear layer W x + b becomes W x + b + s · B A x,
/// A (rank × in), B (out × rank), s = alpha / rank, or alpha / √rank. Of a convolution A is one
/// with its window and stride, and B one of 1 × 1; that over an image's patches is one, too, where
/// a target names it ("projection" of a ViT), and its pair is in the unit of the embeddings. With
/// DoRA the rows of W + s B A get trained lengths m,
///   m ⊙ (W x + s B A x) / ‖W + s B A‖ + b,
/// of which the norm counts as a constant in gradients; m begins as the rows' lengths. B may have a
/// bias c, which begins at 0: W x + b + s · (B A x + c).

#include <map>
#include <string>

#include "peft/method.h"

namespace strata::peft {

struct LoraFields {
  std::int64_t rank = 8;
  double alpha = 8;
  /// The linear layers of blocks, and the convolutions, that get a pair: each whose name is one of
  /// these or ends with "." and one of these, as in PEFT's `target_modules`. Layers of two names
  /// (Layer::renamed) may be called by either. Files of PEFT's may name linear layers of a
  /// classifier's head, too, as all-linear does.
  std::vector<std::string> targets = {"query", "value"};
  /// Other ranks and alphas, of layers that the names select as targets do; the first name in
  /// alphabetical order is taken where several do.
  std::map<std::string, std::int64_t> rank_pattern = {};
  std::map<std::string, double> alpha_pattern = {};
  std::vector<std::int64_t> layers = {};  ///< the numbers of the blocks that have pairs; empty: all
  std::vector<std::string> exclude = {};  ///< targets that have none all the same
  bool rank_stabilized = false;           ///< alpha / √rank (rsLoRA: Kalajdzievski, 2312.03732)
  bool dora = false;                      ///< DoRA (Liu et al., ICML 2024, 2402.09353)
  bool bias = false;                      ///< B has a bias (PEFT's `lora_bias`); not with DoRA
};

MethodType lora_type();
MethodPtr make_lora(LoraFields fields);

/// What may be a target in a model (target_names).
std::vector<std::string> lora_targets(const models::Blueprint& blueprint);

/// The same model with pairs of other ranks, by the names of their A. @throws InputError for a name
/// that no pair has, or a rank that it cannot have
models::Blueprint with_ranks(const models::Blueprint& blueprint,
                             const std::map<std::string, std::int64_t>& ranks);

/// PEFT's adapter_config.json of type LORA. `target_modules` hold the fewest names that select the
/// targeted layers and nothing else, under both names where layers have two, so that every
/// transformers finds them. What is read chooses layers by names (chosen_names.h).
/// Dropout, which is training's alone, is passed over. @throws InputError naming the file and key:
/// a field whose computation Strata does not have, such as layers that are replicated
MethodPtr read_lora_config(ObjectReader& reader);

}  // namespace strata::peft
