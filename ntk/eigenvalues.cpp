#include "ntk/eigenvalues.h"

#include <Spectra/SymEigsSolver.h>

#include <Eigen/Eigenvalues>
#include <Eigen/QR>
#include <algorithm>
#include <optional>
#include <stdexcept>

#include "strata/core/error.h"
#include "strata/core/random.h"

namespace strata::ntk {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;

constexpr double kDenseTolerance = 1e-8;
constexpr double kTolerance = 1e-5, kKatoTemple = 1e-5;
constexpr Index kFullDecomposition = 96;

/// Values are those of Θ up to rounding, which must not make them negative.
void finish(Spectrum& spectrum) {
  for (double& value : spectrum.values) value = std::max(0.0, value);
}

Spectrum full_decomposition(const Eigen::Ref<const MatrixXd>& matrix, int top) {
  const Eigen::SelfAdjointEigenSolver<MatrixXd> solver(matrix);
  const Index rows = matrix.rows(), count = std::min<Index>(top, rows);
  Spectrum spectrum;
  spectrum.starts = 0;
  const double largest = solver.eigenvalues()[rows - 1];
  for (Index i = 0; i < count; ++i) {
    const double value = solver.eigenvalues()[rows - 1 - i];
    const VectorXd vector = solver.eigenvectors().col(rows - 1 - i);
    spectrum.values.push_back(value);
    if (largest > 0) {
      spectrum.residual =
          std::max(spectrum.residual, (matrix * vector - value * vector).norm() / largest);
    }
    if (i == 0) spectrum.vector = vector;
  }
  finish(spectrum);
  return spectrum;
}

/// Spectra from one start; nothing where it fails or answers with a wrong pair, as it can when the
/// rank is below the dimension of its Krylov space.
std::optional<Spectrum> lanczos(const Eigen::Ref<const MatrixXd>& matrix, int top,
                                std::uint64_t seed, MatrixXd* vectors_found = nullptr) {
  const Index rows = matrix.rows();
  const Index dimension = std::min<Index>(rows, std::max<Index>(32, 3 * top));
  Spectra::DenseSymMatProd<double> product(matrix);
  Spectra::SymEigsSolver<Spectra::DenseSymMatProd<double>> solver(product, top,
                                                                  static_cast<int>(dimension));
  const MatrixXd start = random_block(rows, 1, seed);
  try {
    solver.init(start.data());
    solver.compute(Spectra::SortRule::LargestAlge, 1000, 1e-10);
  } catch (const std::runtime_error&) {  // its inner decomposition can fail on low ranks
    return std::nullopt;
  }
  if (solver.info() != Spectra::CompInfo::Successful) return std::nullopt;
  Spectrum spectrum;
  spectrum.products = static_cast<int>(solver.num_operations());
  const VectorXd values = solver.eigenvalues();
  const MatrixXd vectors = solver.eigenvectors();
  for (Index i = 0; i < top; ++i) {
    spectrum.values.push_back(values[i]);
    const double residual = (matrix * vectors.col(i) - values[i] * vectors.col(i)).norm();
    spectrum.residual = std::max(spectrum.residual, residual / values[0]);
  }
  spectrum.vector = vectors.col(0);
  if (!(spectrum.residual <= kDenseTolerance)) return std::nullopt;
  if (vectors_found) *vectors_found = vectors;
  return spectrum;
}

/// Whether nothing above the last of the found eigenvalues is left outside their vectors. One start
/// sees a repeated eigenvalue once.
bool is_complete(const Eigen::Ref<const MatrixXd>& matrix, const Spectrum& found,
                 const MatrixXd& vectors, std::uint64_t seed) {
  MatrixXd rest = matrix;
  for (std::size_t i = 0; i < found.values.size(); ++i) {
    const VectorXd vector = vectors.col(static_cast<Index>(i));
    rest.noalias() -= found.values[i] * vector * vector.transpose();
  }
  const double last = found.values.back() + kDenseTolerance * found.values.front();
  if (rest.trace() <= last) return true;
  const auto next = lanczos(rest, 1, seed);
  return next && next->values[0] <= last;
}

/// An orthonormal basis of the part of `block` outside the span of `basis`, without directions that
/// rounding alone has left.
MatrixXd new_directions(const MatrixXd& basis, MatrixXd block) {
  const VectorXd scale = block.colwise().norm();
  for (int pass = 0; pass < 2; ++pass) block -= basis * (basis.transpose() * block);
  MatrixXd directions(block.rows(), block.cols());
  Index count = 0;
  for (Index j = 0; j < block.cols(); ++j) {
    VectorXd column = block.col(j);
    for (int pass = 0; pass < 2; ++pass) {
      column -= basis * (basis.transpose() * column);
      column -= directions.leftCols(count) * (directions.leftCols(count).transpose() * column);
    }
    if (!(column.norm() > 1e-10 * scale[j])) continue;
    directions.col(count++) = column.normalized();
  }
  return directions.leftCols(count);
}

}  // namespace

MatrixXd random_block(Index rows, Index columns, std::uint64_t seed) {
  Random random(seed);
  MatrixXd block(rows, columns);
  for (Index j = 0; j < columns; ++j) {
    for (Index i = 0; i < rows; ++i) block(i, j) = random.normal();
  }
  return block;
}

Spectrum dense_spectrum(const Eigen::Ref<const MatrixXd>& matrix, int top, std::uint64_t seed,
                        const std::string& what) {
  if (!matrix.allFinite()) throw WorkError("the kernel of " + what + " is not finite");
  const bool lanczos_applies =
      matrix.rows() > std::max<Index>(kFullDecomposition, 3 * top) && matrix.trace() > 0;
  if (!lanczos_applies) return full_decomposition(matrix, top);
  MatrixXd vectors;
  const auto first = lanczos(matrix, top, derive_seed(seed, "first start"), &vectors);
  const auto second = lanczos(matrix, 1, derive_seed(seed, "second start"));
  if (!first || !second) return full_decomposition(matrix, top);
  Spectrum spectrum = *first;
  spectrum.starts = 2;
  spectrum.products += second->products;
  spectrum.second_start = std::abs(spectrum.values[0] - second->values[0]) / spectrum.values[0];
  if (spectrum.second_start > kDenseTolerance) return full_decomposition(matrix, top);
  if (top > 1 && !is_complete(matrix, *first, vectors, derive_seed(seed, "rest")))
    return full_decomposition(matrix, top);
  finish(spectrum);
  return spectrum;
}

MatrixXd leading_vectors(const Eigen::Ref<const MatrixXd>& matrix, int count, std::uint64_t seed) {
  const Index rows = matrix.rows();
  if (rows <= std::max<Index>(kFullDecomposition, 3 * count)) {
    return Eigen::SelfAdjointEigenSolver<MatrixXd>(matrix).eigenvectors().rightCols(
        std::min<Index>(count, rows));
  }
  MatrixXd vectors = random_block(rows, count, seed);
  for (int step = 0; step < 8; ++step) {
    vectors = (matrix * MatrixXd(Eigen::HouseholderQR<MatrixXd>(vectors).householderQ() *
                                 MatrixXd::Identity(rows, count)))
                  .eval();
  }
  return Eigen::HouseholderQR<MatrixXd>(vectors).householderQ() * MatrixXd::Identity(rows, count);
}

Spectrum block_lanczos(const BlockProduct& product, const MatrixXd& start, int top, int most_steps,
                       const std::string& what) {
  const Index rows = start.rows();
  Spectrum spectrum;
  spectrum.starts = static_cast<int>(start.cols());
  spectrum.converged = false;
  const Index expansion = std::max(2, top + 1);
  MatrixXd basis(rows, 0), image(rows, 0);
  MatrixXd next = new_directions(basis, start);
  for (int step = 0; step < most_steps; ++step) {
    const MatrixXd added = product(next);
    if (!added.allFinite()) throw WorkError("the kernel of " + what + " is not finite");
    spectrum.products += static_cast<int>(next.cols());
    const Index size = basis.cols() + next.cols();
    basis.conservativeResize(Eigen::NoChange, size);
    image.conservativeResize(Eigen::NoChange, size);
    basis.rightCols(next.cols()) = next;
    image.rightCols(next.cols()) = added;

    MatrixXd projected = basis.transpose() * image;
    projected = (0.5 * (projected + projected.transpose())).eval();
    const Eigen::SelfAdjointEigenSolver<MatrixXd> ritz(projected);
    const Index count = std::min<Index>(top, size);
    const auto value = [&](Index i) { return ritz.eigenvalues()[size - 1 - i]; };
    const auto residual = [&](Index i) {
      const VectorXd weights = ritz.eigenvectors().col(size - 1 - i);
      return (image * weights - value(i) * (basis * weights)).norm();
    };
    const double largest = value(0);
    spectrum.values.clear();
    spectrum.residual = 0;
    for (Index i = 0; i < count; ++i) {
      spectrum.values.push_back(value(i));
      if (largest > 0) spectrum.residual = std::max(spectrum.residual, residual(i) / largest);
    }
    spectrum.vector = basis * ritz.eigenvectors().col(size - 1);

    bool done = size == rows || !(largest > 0);
    if (!done && count == std::min<Index>(top, rows) && size > count) {
      // A Ritz value still on its way up may pass those found, as when a column of the start
      // happens to be an eigenvector of a smaller value.
      const bool settled =
          value(count) + 5 * residual(count) <= value(count - 1) + kTolerance * largest;
      const double gap = largest - value(1), first = residual(0);
      const bool separated =
          top == 1 && step >= 2 && first < gap && first * first <= kKatoTemple * largest * gap;
      done = settled && (spectrum.residual <= kTolerance || separated);
    }
    if (done) {
      spectrum.converged = true;
      break;
    }
    // The residuals of the leading Ritz pairs: the block Krylov space where the start has as many
    // columns.
    const Index width = std::min<Index>(expansion, size);
    const MatrixXd leading = ritz.eigenvectors().rightCols(width);
    next = new_directions(
        basis, image * leading - basis * leading * ritz.eigenvalues().tail(width).asDiagonal());
    if (next.cols() == 0) {  // the Krylov space is invariant
      spectrum.converged = true;
      break;
    }
  }
  finish(spectrum);
  return spectrum;
}

}  // namespace strata::ntk
