#pragma once
/// \file
/// What turns an image encoder's rows into a language model's: one linear layer, or two with an
/// activation between them, perhaps of a square of patches at a time. Part of an architecture
/// (vision_language.h, blip2.h).

#include <cstdint>
#include <string>
#include <vector>

#include "models/architectures/layer_list.h"
#include "models/pass.h"

namespace strata::models {

struct ConnectorConfig {
  std::int64_t in = 0, out = 0;  ///< numbers of a row
  bool bias = true;
  /// Between two layers; without it there is one.
  std::optional<Activation> activation;
  double initializer_range = 0.02;
  /// So many patches of as many rows become one row, side by side (pixel shuffle): in ·
  /// shuffle² numbers. `grid`: patches along a side, a multiple.
  std::int64_t shuffle = 1, grid = 0;
};

class Connector {
 public:
  /// `names`: those of each layer, its own first.
  Connector(ConnectorConfig config, std::vector<std::vector<std::string>> names)
      : config_(config), names_(std::move(names)) {}

  void declare(LayerList& list) const;
  /// (n·rows, in) to (n·rows / shuffle², out).
  torch::Tensor run(const torch::Tensor& rows, Pass& pass) const;

 private:
  ConnectorConfig config_;
  std::vector<std::vector<std::string>> names_;
};

}  // namespace strata::models
