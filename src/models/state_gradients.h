#pragma once
/// \file
/// Gradients from one stage's state to that of the stage below.

#include <vector>

#include "models/batch.h"

namespace strata::models {

/// A state's values, in the order of their names: the only order of gradients here.
std::vector<torch::Tensor> values_of(const State& state);

/// The same state with values from which autograd begins.
State leaves_of(const State& state);

/// Of Σ ⟨output, gradient⟩ over a stage's values, of which an undefined gradient is 0. Those of
/// targets on which it does not depend are undefined.
std::vector<torch::Tensor> gradients_of(const std::vector<torch::Tensor>& output,
                                        const std::vector<torch::Tensor>& targets,
                                        const std::vector<torch::Tensor>& gradients,
                                        bool retain_graph = false);

}  // namespace strata::models
