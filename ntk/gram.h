#pragma once
/// \file
/// Gram matrices of per-sample gradients, accumulated a chunk of parameters at a time, and their
/// largest eigenvalue. Internal (LibTorch types show).

#include "models/torch.h"

#include <string>
#include <vector>

#include "models/transformer.h"

namespace strata {

/// Θ = Σ J_w J_wᵀ over weights w, for n samples and K outputs; row (i, k) is i·K + k. Kept in
/// double on the CPU: a chunk's product is in the Jacobian's own precision, the sum over chunks is
/// not.
class Gram {
 public:
  /// \param chunk_bytes  bound on the block of the Jacobian held at a time
  Gram(std::int64_t samples, std::int64_t outputs, std::int64_t chunk_bytes = 256 << 20);

  /// Adds one weight's part. `ops` are all captured operations that use it, each with the K
  /// gradients (δ₁ … δ_K) of its output; `bias` says that the weight is the operation's bias.
  struct Use {
    const CapturedOp* op;
    const std::vector<torch::Tensor>* deltas;
    bool bias;
  };
  void add(const std::vector<Use>& uses);

  /// The whole symmetric matrix, double (n·K, n·K).
  const torch::Tensor& matrix() const { return matrix_; }

 private:
  void add_linear(const Use& use);
  void add_jacobian(const torch::Tensor& jacobian);
  torch::Tensor stacked(const Use& use) const;
  torch::Tensor small_jacobian(const Use& use, const torch::Tensor& delta) const;
  void add_embedding(const std::vector<Use>& uses);

  std::int64_t samples_, outputs_, chunk_bytes_;
  torch::Tensor matrix_;
};

/// The largest eigenvalue of a symmetric positive semidefinite matrix and its relative residual
/// ‖Θv − λv‖ / λ. Lanczos (Spectra); where it does not apply (fewer than 4 rows), does not converge
/// or leaves a residual above 1e-8, the full decomposition. @throws WorkError naming `what` when an
/// entry is not finite.
struct LargestEigenvalue {
  double value = 0;
  double residual = 0;
};
LargestEigenvalue largest_eigenvalue(const torch::Tensor& matrix, const std::string& what);

}  // namespace strata
