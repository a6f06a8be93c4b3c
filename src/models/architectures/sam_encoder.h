#pragma once
/// \file
/// SAM's image encoder: patches with positions, pre-LN blocks of attention in windows or over the
/// whole image with decomposed relative positions, and a neck of two convolutions. Part of an
/// architecture (sam.h).

#include <string>

#include "models/architectures/layer_list.h"
#include "models/architectures/sam.h"
#include "models/pass.h"

namespace strata::models {

/// Rows are (images·patches, width), those of an image together, row by row.
class SamEncoder {
 public:
  explicit SamEncoder(SamEncoderConfig config) : config_(std::move(config)) {}

  const SamEncoderConfig& config() const { return config_; }
  /// "embeddings", "block.0", …, "neck": blocks + 2 stages.
  void declare(LayerList& list) const;
  std::int64_t stages() const { return config_.num_hidden_layers + 2; }
  /// What stage `stage` leaves of the rows below it; the first reads `pixels`.
  torch::Tensor run(std::int64_t stage, const torch::Tensor& pixels, const torch::Tensor& rows,
                    Pass& pass) const;

 private:
  void declare_block(std::int64_t block, LayerList& list) const;
  torch::Tensor embed(const torch::Tensor& pixels, Pass& pass) const;
  torch::Tensor run_block(std::int64_t block, const torch::Tensor& rows, Pass& pass) const;
  torch::Tensor attend(std::int64_t block, const torch::Tensor& normed, Pass& pass) const;
  torch::Tensor run_neck(const torch::Tensor& rows, Pass& pass) const;

  SamEncoderConfig config_;
};

}  // namespace strata::models
