#pragma once
/// \file
/// Gradients with one stage's activations in memory at a time.

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "models/model.h"
#include "models/precision.h"

namespace strata::models {

struct StagedOptions {
  std::optional<at::Generator> dropout = {};  ///< as Model::run takes it
  std::set<std::string> by_batch = {};        ///< likewise
  Precision precision = Precision::kFloat32;  ///< of the forward pass (Autocast)
};

struct StagedGradients {
  torch::Tensor loss;                    ///< a constant
  std::vector<torch::Tensor> gradients;  ///< as autograd::grad; undefined of what is not used
};

/// The gradients by `weights`, of those of the model that require one, of the scalar that `loss`
/// makes of what the last stage leaves. A first pass keeps what enters each stage from the lowest
/// that is trained on, in Model::spill's folder (stage_inputs.h); from the top down each stage is
/// then run again and differentiated, and its activations are let go. The numbers are those of a
/// pass that keeps everything: dropout draws the same, and the statistics of BatchNorms move once.
/// Takes the time of another forward pass of these stages.
StagedGradients staged_gradients(const Model& model, const Batch& batch,
                                 const std::vector<torch::Tensor>& weights,
                                 const std::function<torch::Tensor(const State&)>& loss,
                                 const StagedOptions& options = {});

}  // namespace strata::models
