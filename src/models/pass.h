#pragma once
/// \file
/// One pass through a model: every operation that has parameters, or keeps something for the
/// backward pass, goes through it. What computes, records or counts is a kind of pass; methods
/// beside the architecture's layers (attachment.h) act in each of them.

#include <map>
#include <optional>
#include <string>

#include "models/blueprint.h"
#include "models/torch.h"

namespace strata::models {

/// Tensors by name.
using Weights = std::map<std::string, torch::Tensor>;

/// Without a threshold or parameters of their own.
enum class Activation : std::uint8_t { kGelu, kRelu, kTanh };

/// How an output depends on a parameter besides those of linear layers and norms.
enum class Use : std::uint8_t {
  kEmbedding,  ///< output = … + W[ids], ids int64 (n, T)
  kMixture,    ///< output = … + matrix · W, the rows of a table mixed; matrix (n, T, rows of W)
  kAdded       ///< output = … + W, W having the output's shape per sample
};

/// The pass that computes.
class Pass {
 public:
  /// `weights` must hold what the blueprint names, and outlive the pass. With `dropout`, a
  /// generator of the model's device, dropout is drawn from it.
  Pass(const Blueprint& blueprint, const Weights& weights,
       std::optional<at::Generator> dropout = {})
      : blueprint_(blueprint), weights_(weights), generator_(std::move(dropout)) {}
  virtual ~Pass() = default;
  Pass(const Pass&) = delete;
  Pass& operator=(const Pass&) = delete;

  const Blueprint& blueprint() const { return blueprint_; }

  /// A parameter, in the type that is computed in. Who computes with it by itself says so by
  /// used().
  torch::Tensor weight(const std::string& parameter);
  /// Those rows of a table: weight() would convert all of them.
  torch::Tensor lookup(const std::string& parameter, const torch::Tensor& ids);
  /// input · Wᵀ + b over the last dimension; a weight of more dimensions has its last ones
  /// flattened, as of a convolution over patches.
  torch::Tensor linear(const std::string& layer, const torch::Tensor& input);
  /// Over the last dimension.
  torch::Tensor layer_norm(const std::string& layer, const torch::Tensor& input, double eps);
  /// See attention.h; dropped with the probability `dropout`.
  virtual torch::Tensor attention(const torch::Tensor& query, const torch::Tensor& key,
                                  const torch::Tensor& value, const torch::Tensor& mask,
                                  std::int64_t heads, double dropout);
  virtual torch::Tensor activation(Activation kind, const torch::Tensor& input);
  torch::Tensor dropout(const torch::Tensor& input, double probability) const;

  /// The rows (n, tokens, width) that enter the first block, and what a block leaves: places
  /// without parameters, beside which attachments may act.
  torch::Tensor sequence(const std::string& layer, const torch::Tensor& rows);
  torch::Tensor block_end(const std::string& layer, const torch::Tensor& rows);

  /// Says that `output` depends on a parameter, and returns what stands for it from here on.
  /// `input` are the ids, or the matrix, and undefined for kAdded.
  virtual torch::Tensor used(Use use, const std::string& parameter, const torch::Tensor& input,
                             torch::Tensor output);
  /// Whether used() wants to know of the parameter: a matrix need not be made otherwise.
  virtual bool wants(const std::string& parameter) const;

 protected:
  /// A parameter as the model holds it, perhaps in a short type (short_weights.h).
  virtual torch::Tensor stored(const std::string& parameter);
  virtual torch::Tensor run_linear(const Layer& layer, const torch::Tensor& input);
  virtual torch::Tensor run_layer_norm(const Layer& layer, const torch::Tensor& input, double eps);

 private:
  torch::Tensor with_attachments(const Layer& layer, const torch::Tensor& input,
                                 torch::Tensor output);

  const Blueprint& blueprint_;
  const Weights& weights_;
  std::optional<at::Generator> generator_;
};

}  // namespace strata::models
