#pragma once
/// \file
/// The pass that records operations with parameters, for per-sample gradients (see ntk/).

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "models/pass.h"

namespace strata::models {

/// A captured elementary operation with parameters. `input` is what the parameters act on and
/// `output` the result, in whose gradient δ the per-sample parameter gradient is a contraction:
/// - kLinear: output = input · Wᵀ + b; ∂/∂W = Σₜ δₜ inputₜᵀ, ∂/∂b = Σₜ δₜ. A convolution is one
/// over
///   patches: `input` is then its images, of which rows() makes the patches.
/// - kNorm: output = input ⊙ γ + β, the input being the normalised x̂ (or input ⊙ (γ + 1), without
///   β, as of an RMSNorm), or what a kScale scales; ∂/∂γ = Σₜ δₜ ⊙ inputₜ,
///   ∂/∂β = Σₜ δₜ.
/// - kEmbedding: output = … + W[input]; ∂/∂W[r] = Σ over the t with inputₜ = r of δₜ.
/// - kMixture: output = … + input · W, the rows of a table mixed, as where positions are
///   interpolated; ∂/∂W = Σₜ inputₜᵀ δₜ.
/// - kAdded: output = … + W, W having the output's shape per sample; ∂/∂W = δ.
/// The dimensions before the last flatten to n·T rows, those of a sample together; kEmbedding's
/// input is int64 (n, T), kMixture's (n, T, rows of W), kAdded's undefined.
struct CapturedOp {
  enum class Kind { kLinear, kNorm, kEmbedding, kMixture, kAdded } kind;
  std::string weight, bias;  ///< names of those that were asked for; the other is empty
  torch::Tensor input;       ///< undefined where `weight` is empty: the bias needs δ alone
  torch::Tensor output;
  std::optional<Window> window = {};  ///< of a convolution

  /// The rows that the weight acts on: `input`, or its patches (n, places, in · size²), which are
  /// made anew by every call, being as many times larger as windows overlap.
  torch::Tensor rows() const;
  std::int64_t row_width() const;
};

/// Appends to `ops` every operation with a weight or bias out of `wanted`, in the order of
/// computation. All weights are taken as constants. Everything below the lowest recorded operations
/// is constant, so their outputs are made the leaves from which autograd records.
class CapturingPass : public Pass {
 public:
  /// A batch of so many `samples`, which each() must know.
  CapturingPass(const Blueprint& blueprint, const Weights& weights,
                const std::set<std::string>& wanted, std::vector<CapturedOp>& ops,
                std::int64_t samples)
      : Pass(blueprint, weights), wanted_(wanted), ops_(ops), samples_(samples) {}

  /// Of a wanted parameter: kAdded, whose output is the copies themselves.
  torch::Tensor each(const std::string& parameter) override;

  torch::Tensor used(Use use, const std::string& parameter, const torch::Tensor& input,
                     torch::Tensor output) override;
  bool wants(const std::string& parameter) const override { return wanted_.count(parameter) > 0; }

 protected:
  torch::Tensor stored(const std::string& parameter) override;
  torch::Tensor run_linear(const Layer& layer, const torch::Tensor& input) override;
  torch::Tensor run_layer_norm(const Layer& layer, const torch::Tensor& input, double eps) override;
  torch::Tensor run_rms_norm(const Layer& layer, const torch::Tensor& input, double eps,
                             double offset) override;
  torch::Tensor run_convolution(const Layer& layer, const torch::Tensor& input) override;
  torch::Tensor run_scale(const Layer& layer, const torch::Tensor& input) override;
  torch::Tensor run_batch_norm(const Layer& layer, const torch::Tensor& input, double eps) override;

 private:
  torch::Tensor record(CapturedOp::Kind kind, const std::string& weight, const std::string& bias,
                       const torch::Tensor& input, torch::Tensor output);

  const std::set<std::string>& wanted_;
  std::vector<CapturedOp>& ops_;
  std::int64_t samples_;
};

}  // namespace strata::models
