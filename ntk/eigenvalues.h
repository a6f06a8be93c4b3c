#pragma once
/// \file
/// The largest eigenvalues of symmetric positive semidefinite matrices, given as a matrix or as a
/// product, each with a certificate. Internal; no LibTorch.

#include <Eigen/Core>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace strata::ntk {

/// The m largest eigenvalues with what speaks for them. A small residual shows that there is an
/// eigenvalue nearby, not that it is the largest: that rests on the start. So the dense solver
/// starts twice, and block Lanczos searches with a block, which misses an eigenvector only if every
/// column of the start is orthogonal to it.
struct Spectrum {
  std::vector<double> values;  ///< descending, ≥ 0
  Eigen::VectorXd vector;      ///< the eigenvector of values[0], of norm 1
  /// max over the m values of ‖Θv − λv‖ / λ₁; 0 for Θ = 0
  double residual = 0;
  /// |λ₁ − λ₁'| / λ₁ for λ₁' from a second random start; 0 where all eigenvalues were computed, and
  /// for the block method, whose starts are searched together
  double second_start = 0;
  int starts = 1;         ///< independent random starts; 0: the full decomposition
  int products = 0;       ///< products of Θ with a vector
  bool converged = true;  ///< within the tolerance; if not, `values` are lower bounds
};

/// Of a dense matrix: the full decomposition (Eigen) up to 96 rows, Lanczos (Spectra) from two
/// random starts beyond, and again the full decomposition where that does not converge, leaves a
/// residual above 1e-8 or two different answers. With fewer than `top` rows, all of them.
/// @throws WorkError naming `what` when an entry is not finite.
Spectrum dense_spectrum(const Eigen::Ref<const Eigen::MatrixXd>& matrix, int top,
                        std::uint64_t seed, const std::string& what);

/// Orthonormal vectors (rows × count, or rows × rows) near the span of the leading eigenvectors,
/// for a start: the eigenvectors up to 96 rows, eight steps of subspace iteration beyond.
Eigen::MatrixXd leading_vectors(const Eigen::Ref<const Eigen::MatrixXd>& matrix, int count,
                                std::uint64_t seed);

/// Θ times a block of vectors (rows × b).
using BlockProduct = std::function<Eigen::MatrixXd(const Eigen::MatrixXd&)>;

/// Of Θ given by its product with blocks: Rayleigh-Ritz on a growing space, to which each step adds
/// the residuals of the leading max(2, top + 1) Ritz pairs, orthogonalised twice against all of it
/// (Davidson 1975; with as many columns in the start it is the block Krylov space of Golub &
/// Underwood 1977). Stops when every one of the `top` Ritz pairs has a residual r ≤ 1e-5 λ₁, or,
/// for λ₁ alone, r²/(θ₁ − θ₂) ≤ 1e-5 λ₁, the bound of Kato and Temple on the error with the second
/// Ritz value in place of λ₂, and the next Ritz value is at least five of its residuals below those
/// found; or, not converged, after `most_steps` products with blocks. Ritz values never exceed the
/// eigenvalues.
/// \param start  rows × b, b ≥ 2 where rows allow; columns need not be orthogonal
/// @throws WorkError naming `what` when a product is not finite.
Spectrum block_lanczos(const BlockProduct& product, const Eigen::MatrixXd& start, int top,
                       int most_steps, const std::string& what);

/// rows × columns standard normal numbers.
Eigen::MatrixXd random_block(Eigen::Index rows, Eigen::Index columns, std::uint64_t seed);

}  // namespace strata::ntk
