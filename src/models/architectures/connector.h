#pragma once
/// \file
/// What turns an image encoder's rows into a language model's: one linear layer, or two with an
/// activation between them. Part of an architecture (vision_language.h).

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
};

class Connector {
 public:
  /// `names`: those of each layer, its own first.
  Connector(ConnectorConfig config, std::vector<std::vector<std::string>> names)
      : config_(config), names_(std::move(names)) {}

  void declare(LayerList& list) const;
  /// (rows, in) to (rows, out).
  torch::Tensor run(const torch::Tensor& rows, Pass& pass) const;

 private:
  ConnectorConfig config_;
  std::vector<std::vector<std::string>> names_;
};

}  // namespace strata::models
