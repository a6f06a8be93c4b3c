#pragma once
/// \file
/// OPT (Zhang et al. 2022, 2205.01068): a causal language model with learned positions, LayerNorms
/// and biases.

#include <cstdint>
#include <memory>

#include "core/document.h"
#include "models/architectures/language_model.h"

namespace strata::models {

/// Fields of transformers' OPTConfig.
struct OptConfig {
  std::int64_t hidden_size = 768, ffn_dim = 3072, num_hidden_layers = 12, num_attention_heads = 12;
  std::int64_t vocab_size = 50272, max_position_embeddings = 2048;
  double dropout = 0.1, attention_dropout = 0, init_std = 0.02;
  Activation activation = Activation::kRelu;
  bool norm_before = true;  ///< do_layer_norm_before
  bool last_norm = true;    ///< above the blocks; only with norm_before
  bool bias = true;         ///< enable_bias
  bool tied = true;         ///< the head's weight is that of the words
  std::int64_t labels = 0;  ///< of a classifier, whose head stands in place of the words'
};

/// `text_config`. @throws InputError naming key, value and range; word_embed_proj_dim other than
/// hidden_size, whose words could not stand among an image's rows
std::shared_ptr<const LanguageModel> read_opt(ObjectReader& reader);

}  // namespace strata::models
