#pragma once
/// \file
/// BLIP-2's Q-Former (Li et al. 2023, 2301.12597): learned queries that look at each other, as
/// BERT's tokens do, and in some of the blocks at an image. Part of an architecture (blip2.h).

#include <cstdint>
#include <string>

#include "core/document.h"
#include "models/architectures/layer_list.h"
#include "models/pass.h"

namespace strata::models {

/// Fields of transformers' Blip2QFormerConfig.
struct QFormerConfig {
  std::int64_t hidden_size = 768, intermediate_size = 3072, num_hidden_layers = 12;
  std::int64_t num_attention_heads = 12, cross_attention_frequency = 2;
  std::int64_t encoder_hidden_size = 1408;  ///< numbers of an image's row
  std::int64_t queries = 32;
  double layer_norm_eps = 1e-12, initializer_range = 0.02;
  double hidden_dropout_prob = 0.1, attention_probs_dropout_prob = 0.1;
  Activation activation = Activation::kGelu;
};

/// `qformer_config`; its encoder_hidden_size is the tower's, whatever it says, as in transformers.
/// @throws InputError naming key, value and range
QFormerConfig read_q_former(ObjectReader& reader, std::int64_t encoder_hidden_size,
                            std::int64_t queries);

/// Its layers and what they compute. Rows are (n·queries, hidden), those of an image together.
class QFormer {
 public:
  explicit QFormer(QFormerConfig config) : config_(config) {}

  const QFormerConfig& config() const { return config_; }
  /// Whether a block looks at the image.
  bool crosses(std::int64_t block) const { return block % config_.cross_attention_frequency == 0; }
  /// Whether one above it does.
  bool crosses_above(std::int64_t block) const;
  void declare_queries(LayerList& list) const;
  void declare_block(std::int64_t block, LayerList& list) const;

  /// What enters the first block, for so many images.
  torch::Tensor queries(std::int64_t images, Pass& pass) const;
  /// `image` (n·S, encoder_hidden_size): of a block that crosses.
  torch::Tensor run_block(std::int64_t block, const torch::Tensor& rows, const torch::Tensor& image,
                          Pass& pass) const;

 private:
  torch::Tensor attend(const std::string& name, const torch::Tensor& rows,
                       const torch::Tensor& seen, Pass& pass) const;

  QFormerConfig config_;
};

}  // namespace strata::models
