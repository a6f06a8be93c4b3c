#pragma once
/// \file
/// The Jacobian of one weight in factored form, and its products: never held whole. Internal
/// (LibTorch types show).

#include <Eigen/Core>
#include <cstdint>
#include <vector>

#include "models/capture.h"
#include "models/torch.h"

namespace strata::ntk {

/// The rows (i, k) = i·K + k of a weight's Jacobian, n samples and K outputs.
/// Factored: row (i, k) is the matrix Σₜ δ[i,k,t] input[i,t]ᵀ (out × in).
/// Explicit, where `input` is undefined: row (i, k) is delta[i,k] flattened.
struct JacobianFactor {
  torch::Tensor input;  ///< (n, T, in), or undefined
  torch::Tensor delta;  ///< (n, K, T, out), contiguous

  std::int64_t samples() const { return delta.size(0); }
  std::int64_t outputs() const { return delta.size(1); }
  std::int64_t rows() const { return delta.size(0) * delta.size(1); }
  std::int64_t tokens() const { return delta.size(2); }
  bool explicit_rows() const { return !input.defined(); }
};

/// One operation that uses the weight, with the gradients of its output, δ (n, K, T, out).
struct WeightUse {
  models::CapturedOp op;
  torch::Tensor delta;
  bool bias;  ///< the weight is the operation's bias
};

/// A weight's factor from all its uses; their gradients add up, so that linear uses and embeddings
/// continue each other's tokens. An embedding is a linear operation whose input is one-hot over
/// those rows of the table that the samples use: the others have no gradient.
JacobianFactor factor_of(const std::vector<WeightUse>& uses);

/// Ways to add J Jᵀ of a factor to a kernel, by their multiply-adds (docs/lntk.md):
enum class GramWay {
  kOuter,     ///< T = 1: (δ·δ')(x·x'), elementwise
  kMixed,     ///< Σ over token pairs of (x·x')(δ·δ'), contracted over δ's tokens first
  kStreamed,  ///< rows of J, some columns at a time, times themselves
};

/// The sizes on which the choice depends.
struct FactorShape {
  double samples, outputs, tokens, in, out;
  bool explicit_rows;
};
FactorShape shape_of(const JacobianFactor& factor);

/// Multiply-adds of one way; of the cheapest one.
double gram_cost(const FactorShape& shape, GramWay way);
GramWay cheapest_way(const FactorShape& shape);

/// Θ += J Jᵀ; Θ is double on the CPU (n·K, n·K). Products are in the factor's precision, their sums
/// over columns of J double. At most about `chunk_bytes` of J or of intermediate products are held,
/// but at least one column's or one sample's. The mixed way takes up to `parallel` samples at a
/// time on the CPU, each with at::get_num_threads() threads, while that is within `chunk_bytes`;
/// the result does not depend on it.
void add_gram(const JacobianFactor& factor, GramWay way, std::int64_t chunk_bytes,
              torch::Tensor& theta, int parallel = 1);

/// J (Jᵀ V) for V (n·K, b), in the factor's precision. Multiply-adds: b·2·n·T·in·out and
/// b·2·n·K·T·out, the latter bound by the memory's bandwidth.
Eigen::MatrixXd kernel_product(const JacobianFactor& factor, const Eigen::MatrixXd& block);

/// tr(J Jᵀ) = ‖J‖²; n·K·T²·out multiply-adds.
double kernel_trace(const JacobianFactor& factor);

}  // namespace strata::ntk
