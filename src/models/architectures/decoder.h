#pragma once
/// \file
/// The causal language models of LLaMA's kind: LLaMA, Mistral, Qwen2, Gemma. A further one is a row
/// of settings. Part of an architecture (vision_language.h), which has its stages and its state.

#include <cstdint>
#include <string>
#include <vector>

#include "core/document.h"
#include "models/architectures/layer_list.h"
#include "models/architectures/rotary.h"
#include "models/pass.h"

namespace strata::models {

/// Fields of transformers' LlamaConfig, MistralConfig, Qwen2Config and GemmaConfig.
struct DecoderConfig {
  std::string model_type;
  std::int64_t hidden_size = 4096, intermediate_size = 11008, num_hidden_layers = 32;
  std::int64_t num_attention_heads = 32, num_key_value_heads = 32, head_dim = 128;
  std::int64_t vocab_size = 32000, max_position_embeddings = 2048;
  std::int64_t sliding_window =
      0;  ///< tokens that a token looks back to, itself among them; 0: all
  double rms_norm_eps = 1e-6, initializer_range = 0.02;
  double norm_offset = 0;      ///< added to γ: 1 in Gemma
  double embedding_scale = 1;  ///< √hidden_size in Gemma
  Activation activation = Activation::kSilu;
  bool qkv_bias = false, output_bias = false, mlp_bias = false;
  bool tied = false;        ///< the head's weight is that of the words
  std::int64_t labels = 0;  ///< of a classifier, whose head stands in place of the words'
  Rotary rotary;
};

/// The model_type of `text_config`, `fallback` where it names none. @throws InputError with the
/// nearest that there is
std::string decoder_type(ObjectReader& reader, const std::string& fallback);
/// `text_config` with the defaults of a model_type. @throws InputError naming key, value and range;
/// positions that are not computed
DecoderConfig read_decoder(ObjectReader& reader, const std::string& type);

/// Its layers' names in one of the ways in which files have them.
struct DecoderNames {
  std::string model;  ///< what those of all weights but the head's begin with
  std::string head;
};

/// A decoder's layers and what they compute. Rows are (n·T, hidden), those of a sample together.
class Decoder {
 public:
  /// The first of the names are its own.
  Decoder(DecoderConfig config, std::vector<DecoderNames> names)
      : config_(std::move(config)), names_(std::move(names)) {}

  const DecoderConfig& config() const { return config_; }
  void declare_words(LayerList& list) const;
  void declare_block(std::int64_t block, LayerList& list) const;
  /// The last norm and, unless it is tied, the head: a classifier's, where there are labels.
  void declare_head(LayerList& list) const;

  /// The words' vectors, (n, T, hidden), for ids (n, T).
  torch::Tensor words(const torch::Tensor& ids, Pass& pass) const;
  /// What all blocks take of a batch: where its tokens stand, and which look at which. `attended`
  /// (n, S) is 1 for tokens and 0 for padding; the T rows are the last of these. With `together`
  /// (n, S), those look at each other both ways; with `continuations` (n, S), see Batch.
  std::map<std::string, torch::Tensor> constants(const torch::Tensor& attended, std::int64_t rows,
                                                 const torch::Tensor& together,
                                                 const torch::Tensor& continuations,
                                                 torch::ScalarType type, Pass& pass) const;
  torch::Tensor run_block(std::int64_t block, const torch::Tensor& rows,
                          const std::map<std::string, torch::Tensor>& constants, Pass& pass) const;
  /// (m, vocabulary), or (m, labels) of a classifier, of rows (m, hidden).
  torch::Tensor logits(const torch::Tensor& rows, Pass& pass) const;

 private:
  void named(Layer& layer, const std::string& tail) const;
  std::string block_name(std::int64_t block) const {
    return names_.front().model + "layers." + std::to_string(block);
  }
  /// bool (n, 1, T, S).
  torch::Tensor seen_tokens(const torch::Tensor& attended, const torch::Tensor& positions,
                            std::int64_t rows, const torch::Tensor& together,
                            const torch::Tensor& continuations) const;
  torch::Tensor attend(const std::string& name, const torch::Tensor& normed,
                       const std::map<std::string, torch::Tensor>& constants, Pass& pass) const;

  DecoderConfig config_;
  std::vector<DecoderNames> names_;
};

}  // namespace strata::models
