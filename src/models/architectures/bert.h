#pragma once
/// \file
/// BERT (Devlin et al. 2019, 1810.04805) with layers that attend to other states after themselves,
/// as ALBEF has it: its encoder of questions and its decoder of answers. Part of an architecture
/// (albef.h), which has its stages and its state.

#include <cstdint>
#include <string>

#include "models/architectures/layer_list.h"
#include "models/pass.h"

namespace strata::models {

/// Fields of transformers' BertConfig, and ALBEF's.
struct BertConfig {
  std::int64_t hidden_size = 768, intermediate_size = 3072, num_hidden_layers = 12;
  std::int64_t num_attention_heads = 12;
  std::int64_t vocab_size = 30522, max_position_embeddings = 512, type_vocab_size = 2;
  std::int64_t fusion_layer = 0;  ///< the first layer that attends to other states
  double layer_norm_eps = 1e-12, initializer_range = 0.02;
  double hidden_dropout_prob = 0.1, attention_probs_dropout_prob = 0.1;
};

/// Other states that a layer attends to.
struct OtherStates {
  torch::Tensor rows;  ///< (s·S, hidden), those of a sample together
  /// Added to the scores, (m, S), for m texts.
  torch::Tensor mask;
  /// int64 (m): of which of the s samples each text reads the states; undefined where m is s and
  /// each reads its own.
  torch::Tensor of_text;
};

/// Its layers and what they compute. Rows are (m·T, hidden), those of a text together.
class Bert {
 public:
  /// `prefix`: what the names of its weights begin with. One that `goes_on` takes texts a few
  /// tokens at a time where the pass keeps those before (Pass::remembered, Pass::once).
  Bert(BertConfig config, std::string prefix, bool goes_on = false)
      : config_(std::move(config)), prefix_(std::move(prefix)), goes_on_(goes_on) {}

  const BertConfig& config() const { return config_; }
  std::string words() const { return prefix_ + "embeddings.word_embeddings"; }
  /// Returns the table of words.
  Layer& declare_words(LayerList& list) const;
  /// Positions, types and their norm.
  void declare_embeddings(LayerList& list) const;
  void declare_block(std::int64_t block, LayerList& list) const;

  /// The vectors (m, T, hidden) of ids (m, T), all of the first type. @throws InputError where
  /// there are more tokens, those before them among them, than positions
  torch::Tensor embed(const torch::Tensor& ids, Pass& pass) const;
  /// `mask` is added to the scores of the texts' own tokens: (m, T), or (m, 1, T, T).
  torch::Tensor run_block(std::int64_t block, const torch::Tensor& rows, const torch::Tensor& mask,
                          const OtherStates& others, Pass& pass) const;

 private:
  std::string block_name(std::int64_t block) const {
    return prefix_ + "encoder.layer." + std::to_string(block);
  }
  void declare_attention(const std::string& name, LayerList& list) const;
  /// What the texts' own tokens, and what other states are to attention of that name.
  Pass::Seen own_tokens(const std::string& name, const torch::Tensor& rows,
                        const torch::Tensor& mask, Pass& pass) const;
  Pass::Seen seen_of(const std::string& name, const OtherStates& others, Pass& pass) const;
  torch::Tensor attend(const std::string& name, const torch::Tensor& rows, const Pass::Seen& seen,
                       Pass& pass) const;
  /// norm(rows + dropout(dense(x))).
  torch::Tensor added(const std::string& name, const torch::Tensor& x, const torch::Tensor& rows,
                      Pass& pass) const;

  BertConfig config_;
  std::string prefix_;
  bool goes_on_;
};

/// What is added to scores: 0 where `seen` is 1, -10,000 where it is 0.
torch::Tensor bert_mask(const torch::Tensor& seen, torch::ScalarType type);

}  // namespace strata::models
