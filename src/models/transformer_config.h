#pragma once
/// \file
/// ViLT's configuration (Kim, Son & Kim, ICML 2021) as Hugging Face writes it in config.json, and
/// the model's units with their costs. No LibTorch here: `strata inspect` and the planner use it.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/document.h"
#include "strata/core/safetensors.h"
#include "strata/core/unit.h"

namespace strata {

/// The fields of transformers' ViltConfig that shape ViltForQuestionAnswering; defaults are its
/// defaults.
struct TransformerConfig {
  std::int64_t vocab_size = 30522;
  std::int64_t type_vocab_size = 2;
  std::int64_t modality_type_vocab_size = 2;
  std::int64_t max_position_embeddings = 40;
  std::int64_t hidden_size = 768;
  std::int64_t num_hidden_layers = 12;
  std::int64_t num_attention_heads = 12;
  std::int64_t intermediate_size = 3072;
  double hidden_dropout_prob = 0.0;
  double attention_probs_dropout_prob = 0.0;
  double initializer_range = 0.02;
  /// How fresh weights are drawn (Transformer's constructor); not part of config.json.
  bool scaled_initialization = false;
  double layer_norm_eps = 1e-12;
  std::int64_t image_size = 384;
  std::int64_t patch_size = 32;
  std::int64_t num_channels = 3;
  bool qkv_bias = true;
  std::vector<std::string> labels;  ///< id2label in order of id: the answer vocabulary

  std::int64_t patches() const { return (image_size / patch_size) * (image_size / patch_size); }
  std::int64_t label_count() const { return static_cast<std::int64_t>(labels.size()); }
  std::int64_t head_size() const { return hidden_size / num_attention_heads; }
};

/// Reads `config.json`. Keys of transformers' that do not concern us (architectures, torch_dtype,
/// …) are ignored, as a checkpoint from elsewhere may hold any; a field of ours with a wrong type
/// or range, a `model_type` other than vilt, an activation other than gelu, or hidden_size not
/// divisible by heads or image_size by patch_size is an InputError that names it.
TransformerConfig read_transformer_config(const std::filesystem::path& file);
/// Writes a config.json that `transformers` loads: every field above, architectures, model_type,
/// id2label, label2id.
void write_transformer_config(const TransformerConfig& config, const std::filesystem::path& file);
/// The `model.architecture` mapping of an experiment file (all keys optional but hidden_size,
/// layers, heads, image_size, patch_size): hidden_size, layers, heads, intermediate_size (default 4
/// ×), image_size, patch_size, max_text, dropout, initialization (huggingface or scaled),
/// initializer_range. Calls finish().
TransformerConfig transformer_config_from_yaml(ObjectReader reader);

/// Name and shape of every weight of ViltForQuestionAnswering, in transformers' order.
struct WeightShape {
  std::string name;
  std::vector<std::int64_t> shape;
};
std::vector<WeightShape> transformer_weights(const TransformerConfig& config);

/// Checks that a checkpoint holds exactly the weights of the configuration, in their shapes and in
/// a float type. `…position_ids` buffers, which older transformers wrote, are let pass.
/// @throws InputError naming the file and the missing, misshapen or unknown weight.
void check_transformer_weights(const SafetensorsFile& file, const TransformerConfig& config);

/// The units, bottom to top: "embeddings", "block.0" … "block.{L-1}", "head" (final LayerNorm,
/// pooler, classifier). Together they hold every weight exactly once.
///
/// Costs are for one sample of `text_tokens` tokens and a full image, fp32. With S = text_tokens +
/// 1 + patches tokens, of which Q are computed in full (Q = S, but 1 in the last block: the
/// classifier sees only its first token), hidden size H, intermediate size I, A heads, patch
/// vectors of P numbers:
///   forward_flops      matrix products only, 2 per multiply-add. Block: 2·(2·S·H² + 2·Q·H² +
///   2·Q·H·I +
///                      2·Q·S·H); embeddings: 2·patches·P·H; head: 2·(H² + 2H² + 2H·labels).
///   activation_bytes   what autograd keeps to train the unit: the inputs of its matrix products,
///                      LayerNorms and activation functions, q, k, v and the attention weights.
///                      Block: 4·(4·S·H + 4·Q·H + 2·Q·I + A·Q·S + 2·S + 2·Q); embeddings:
///                      4·(patches·P + text_tokens·(H + 2)) + 8·text_tokens; head: 4·(9·H + 4).
std::vector<Unit> transformer_units(const TransformerConfig& config, std::int64_t text_tokens);

}  // namespace strata
