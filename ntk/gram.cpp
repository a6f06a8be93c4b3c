#include "ntk/gram.h"

#include <Spectra/SymEigsSolver.h>

#include <Eigen/Eigenvalues>
#include <algorithm>

#include "strata/core/error.h"

namespace strata {

using torch::Tensor;

namespace {
constexpr double kTolerance = 1e-8;
}

Gram::Gram(std::int64_t samples, std::int64_t outputs, std::int64_t chunk_bytes)
    : samples_(samples),
      outputs_(outputs),
      chunk_bytes_(chunk_bytes),
      matrix_(torch::zeros({samples * outputs, samples * outputs}, torch::kDouble)) {}

/// J Jᵀ by panels of rows: only blocks on and above the diagonal are computed.
void Gram::add_jacobian(const Tensor& jacobian) {
  constexpr std::int64_t kPanels = 4;
  const std::int64_t rows = jacobian.size(0), step = (rows + kPanels - 1) / kPanels;
  for (std::int64_t begin = 0; begin < rows; begin += step) {
    const std::int64_t size = std::min(step, rows - begin), rest = rows - begin - size;
    const Tensor panel = jacobian.narrow(0, begin, size);
    const Tensor product = torch::mm(panel, jacobian.narrow(0, begin, size + rest).t())
                               .to(torch::kCPU, torch::kDouble);
    matrix_.narrow(0, begin, size).narrow(1, begin, size + rest).add_(product);
    if (rest > 0) {
      matrix_.narrow(0, begin + size, rest)
          .narrow(1, begin, size)
          .add_(product.narrow(1, size, rest).t());
    }
  }
}

/// The K gradients as one tensor (n, K, T, width).
Tensor Gram::stacked(const Use& use) const {
  std::vector<Tensor> parts;
  for (const Tensor& delta : *use.deltas) {
    parts.push_back(delta.reshape({samples_, -1, delta.size(-1)}));
  }
  return torch::stack(parts, 1);
}

/// Rows (n·K, width) for the weights that are vectors: biases and LayerNorms.
Tensor Gram::small_jacobian(const Use& use, const Tensor& delta) const {
  if (use.bias) return delta.sum(2).flatten(0, 1);
  const Tensor input = use.op->input.reshape({samples_, 1, delta.size(2), delta.size(3)});
  return (delta * input).sum(2).flatten(0, 1);
}

void Gram::add_linear(const Use& use) {
  const Tensor delta = stacked(use);
  const std::int64_t tokens = delta.size(2), out = delta.size(3);
  const Tensor input = use.op->input.reshape({samples_, tokens, -1});
  const std::int64_t in = input.size(2), rows = samples_ * outputs_;

  if (tokens == 1) {
    // The gradients are outer products δ xᵀ, and ⟨δxᵀ, δ'x'ᵀ⟩ = (δ·δ')(x·x') needs no Jacobian.
    const Tensor flat = delta.reshape({rows, out});
    const Tensor outputs_product = torch::mm(flat, flat.t()).to(torch::kCPU, torch::kDouble);
    const Tensor x = input.squeeze(1);
    const Tensor inputs_product = torch::mm(x, x.t()).to(torch::kCPU, torch::kDouble);
    matrix_.add_((outputs_product.view({samples_, outputs_, samples_, outputs_}) *
                  inputs_product.view({samples_, 1, samples_, 1}))
                     .view({rows, rows}));
    return;
  }

  const std::int64_t row_bytes = rows * in * delta.element_size();
  const std::int64_t chunk = std::clamp<std::int64_t>(chunk_bytes_ / row_bytes, 1, out);
  for (std::int64_t begin = 0; begin < out; begin += chunk) {
    const std::int64_t size = std::min(chunk, out - begin);
    // All K outputs of a sample in one product: (K·size, T) × (T, in).
    const Tensor left = delta.narrow(3, begin, size)
                            .permute({0, 1, 3, 2})
                            .reshape({samples_, outputs_ * size, tokens});
    add_jacobian(torch::bmm(left, input).view({rows, size * in}));
  }
}

/// Only the rows of W that the batch uses have a gradient: the Jacobian has columns for those
/// alone.
void Gram::add_embedding(const std::vector<Use>& uses) {
  std::vector<Tensor> indices;
  for (const Use& use : uses) indices.push_back(use.op->input.reshape({samples_, -1}));
  const auto unique = at::_unique(torch::cat(indices, 1), /*sorted=*/true, /*return_inverse=*/true);
  const std::int64_t used = std::get<0>(unique).numel();
  const Tensor positions = std::get<1>(unique).view({samples_, -1});

  std::vector<Tensor> deltas;
  for (const Use& use : uses) deltas.push_back(stacked(use));
  const Tensor delta = torch::cat(deltas, 2);  // (n, K, T, width)
  const std::int64_t width = delta.size(3), rows = samples_ * outputs_;
  // A one-hot matrix per sample turns the scatter into a product that is the same for every device
  // and thread count.
  const Tensor one_hot = torch::one_hot(positions, used).to(delta.scalar_type());  // (n, T, used)

  const std::int64_t row_bytes = rows * used * delta.element_size();
  const std::int64_t chunk = std::clamp<std::int64_t>(chunk_bytes_ / row_bytes, 1, width);
  for (std::int64_t begin = 0; begin < width; begin += chunk) {
    const std::int64_t size = std::min(chunk, width - begin);
    const Tensor left = delta.narrow(3, begin, size)
                            .permute({0, 1, 3, 2})
                            .reshape({samples_, outputs_ * size, delta.size(2)});
    add_jacobian(torch::bmm(left, one_hot).view({rows, size * used}));
  }
}

void Gram::add(const std::vector<Use>& uses) {
  using Kind = CapturedOp::Kind;
  const Use& first = uses.front();
  if (first.op->kind == Kind::kEmbedding) return add_embedding(uses);
  if (uses.size() != 1) throw WorkError(first.op->weight + ": used by several operations");
  if (first.op->kind == Kind::kLinear && !first.bias) return add_linear(first);
  const Tensor delta = stacked(first);
  add_jacobian(first.op->kind == Kind::kAdded ? delta.flatten(2).flatten(0, 1)
                                              : small_jacobian(first, delta));
}

LargestEigenvalue largest_eigenvalue(const Tensor& matrix, const std::string& what) {
  if (!torch::isfinite(matrix).all().item<bool>()) {
    throw WorkError("the score of " + what + " is not finite");
  }
  const Tensor contiguous = matrix.to(torch::kDouble).contiguous();
  const Eigen::Map<const Eigen::MatrixXd> theta(contiguous.data_ptr<double>(), matrix.size(0),
                                                matrix.size(0));
  const Eigen::Index rows = theta.rows();
  LargestEigenvalue result;
  Eigen::VectorXd vector;
  if (rows >= 4 && theta.trace() > 0) {
    Spectra::DenseSymMatProd<double> product(theta);
    Spectra::SymEigsSolver<Spectra::DenseSymMatProd<double>> solver(
        product, 1, static_cast<int>(std::min<Eigen::Index>(rows, 32)));
    solver.init();
    solver.compute(Spectra::SortRule::LargestAlge, 1000, 1e-10);
    if (solver.info() == Spectra::CompInfo::Successful) {
      result.value = solver.eigenvalues()[0];
      vector = solver.eigenvectors().col(0);
      // Spectra can report success with a wrong pair when the rank is below the Krylov dimension.
      const double residual = (theta * vector - result.value * vector).norm();
      if (!(residual <= kTolerance * result.value)) vector.resize(0);
    }
  }
  if (vector.size() == 0) {
    const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(theta);
    result.value = solver.eigenvalues()[rows - 1];
    vector = solver.eigenvectors().col(rows - 1);
  }
  result.value = std::max(0.0, result.value);  // Θ is positive semidefinite up to rounding
  if (result.value > 0) {
    result.residual = (theta * vector - result.value * vector).norm() / result.value;
  }
  return result;
}

}  // namespace strata
