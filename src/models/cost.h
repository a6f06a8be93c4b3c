#pragma once
/// \file
/// What it takes to train some weights of a model, counted by a pass over its layers (counting.h).
/// LibTorch's types are only named here.

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "models/blueprint.h"
#include "strata/core/unit.h"

namespace strata::models {

struct Batch;

/// For one sample and in float32.
struct TrainingCost {
  std::int64_t parameters = 0;      ///< trained
  std::int64_t all_parameters = 0;  ///< of the model
  double forward_flops = 0;         ///< of the whole model: matrix products, 2 a multiply-add
  double backward_flops = 0;        ///< back-propagation stops at the lowest trained weight
  double activation_bytes = 0;      ///< kept from the forward pass for the backward pass
  /// What a stage's forward pass holds besides: what comes in and goes out, and the largest
  /// operation's numbers.
  double working_bytes = 0;

  /// An estimate of the peak with AdamW: all weights, gradient and two moments of the trained ones,
  /// and the activations of a batch.
  double peak_bytes(std::int64_t batch) const;
};

/// For a sample in the model's own image size with so many text tokens. Names in `trained` that the
/// model does not have are passed over. The BatchNorms named in `by_batch` normalise by the batch
/// (moving_norms). A few milliseconds for a dozen blocks.
TrainingCost training_cost(const Blueprint& blueprint, std::int64_t text_tokens,
                           const std::set<std::string>& trained,
                           const std::set<std::string>& by_batch = {});
/// For samples of a batch's shape: the largest of it.
TrainingCost training_cost(const Blueprint& blueprint, const Batch& batch,
                           const std::set<std::string>& trained,
                           const std::set<std::string>& by_batch = {});

/// How many samples a forward pass without gradients can take at a time within so many bytes beside
/// the weights; at least one.
std::int64_t forward_rows(const Blueprint& blueprint, std::int64_t text_tokens, double bytes);

/// FLOPs of the first block's forward pass on one sample with the longest text.
double block_flops(const Blueprint& blueprint);

/// Fills in forward_flops and activation_bytes of units, for a sample as training_cost has it.
/// - forward_flops: the matrix products with the unit's weights; of units that hold a block as a
///   `whole`, with those within attention;
/// - activation_bytes: what autograd keeps within the unit's stages when this unit alone is
///   trained, and the BatchNorms whose statistics are its buffers normalise by the batch.
void count_costs(const Blueprint& blueprint, std::int64_t text_tokens, bool whole,
                 std::vector<Unit>& units);

}  // namespace strata::models
