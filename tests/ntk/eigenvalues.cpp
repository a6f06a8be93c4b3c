#include "ntk/eigenvalues.h"

#include <Eigen/Eigenvalues>
#include <Eigen/QR>
#include <cmath>
#include <limits>

#include "catch.h"
#include "strata/core/error.h"
#include "strata/core/random.h"

using namespace strata;
using namespace strata::ntk;
using Catch::Matchers::Contains;
using Eigen::MatrixXd;
using Eigen::VectorXd;

namespace {

/// A symmetric matrix with these eigenvalues and random eigenvectors.
MatrixXd with_eigenvalues(const VectorXd& values, std::uint64_t seed) {
  const MatrixXd random = random_block(values.size(), values.size(), seed);
  const MatrixXd vectors = Eigen::HouseholderQR<MatrixXd>(random).householderQ();
  return vectors * values.asDiagonal() * vectors.transpose();
}

Spectrum by_blocks(const MatrixXd& matrix, int top, int columns, int steps = 60) {
  return block_lanczos([&](const MatrixXd& block) -> MatrixXd { return matrix * block; },
                       random_block(matrix.rows(), columns, 5), top, steps, "x");
}

void check_certificate(const MatrixXd& matrix, const Spectrum& found) {
  const double residual =
      (matrix * found.vector - found.values[0] * found.vector).norm() / found.values[0];
  CHECK(found.vector.norm() == Approx(1));
  CHECK(residual <= found.residual + 1e-10);
}

}  // namespace

TEST_CASE("known matrices, small and large") {
  for (const int rows : {1, 3, 40, 96, 97, 300}) {
    const VectorXd values = VectorXd::LinSpaced(rows, 1, rows);
    const MatrixXd matrix = with_eigenvalues(values, rows);
    const Spectrum dense = dense_spectrum(matrix, 2, 1, "x");
    CAPTURE(rows);
    REQUIRE(dense.values.size() == static_cast<std::size_t>(std::min(rows, 2)));
    CHECK(dense.values[0] == Approx(rows).epsilon(1e-9));
    if (rows > 1) CHECK(dense.values[1] == Approx(rows - 1).epsilon(1e-9));
    CHECK(dense.residual <= 1e-8);
    CHECK(dense.starts == (rows <= 96 ? 0 : 2));
    check_certificate(matrix, dense);
    const Spectrum blocks = by_blocks(matrix, 1, 2, 400);
    CHECK(blocks.converged);
    CHECK(blocks.values[0] == Approx(rows).epsilon(1e-5));
    CHECK(blocks.values[0] <= rows * (1 + 1e-12));
    check_certificate(matrix, blocks);
  }
}

TEST_CASE("matrices of low rank, and zero") {
  for (const int rows : {9, 150}) {
    const MatrixXd ones = MatrixXd::Constant(rows, rows, 2);
    CHECK(dense_spectrum(ones, 1, 1, "x").values[0] == Approx(2 * rows));
    CHECK(by_blocks(ones, 1, 2).values[0] == Approx(2 * rows));
    CHECK(by_blocks(ones, 3, 4).values[0] == Approx(2 * rows));
    const MatrixXd zero = MatrixXd::Zero(rows, rows);
    CHECK(dense_spectrum(zero, 1, 1, "x").values[0] == 0);
    CHECK(by_blocks(zero, 1, 2).values[0] == 0);
    CHECK(by_blocks(zero, 1, 2).converged);
  }
}

TEST_CASE("close first eigenvalues, where a small residual alone proves nothing") {
  VectorXd values = VectorXd::LinSpaced(200, 0, 0.5);
  values[199] = 1;
  values[198] = 0.999;
  const MatrixXd matrix = with_eigenvalues(values, 7);
  CHECK(dense_spectrum(matrix, 1, 1, "x").values[0] == Approx(1).epsilon(1e-9));
  const Spectrum blocks = by_blocks(matrix, 2, 3);
  CHECK(blocks.converged);
  CHECK(blocks.values[0] == Approx(1).epsilon(1e-6));
  CHECK(blocks.values[1] == Approx(0.999).epsilon(1e-6));
}

TEST_CASE("a repeated eigenvalue counts as often as it is there") {
  for (const int copies : {2, 3}) {
    CAPTURE(copies);
    VectorXd values = VectorXd::LinSpaced(200, 1, 200);
    for (int i = 1; i < copies; ++i) values[199 - i] = 200;
    const MatrixXd matrix = with_eigenvalues(values, 11);
    const Spectrum dense = dense_spectrum(matrix, copies + 1, 1, "x");
    const Spectrum blocks = by_blocks(matrix, copies + 1, copies + 2);
    REQUIRE(dense.values.size() == static_cast<std::size_t>(copies) + 1);
    for (int i = 0; i < copies; ++i) {
      CHECK(dense.values[static_cast<std::size_t>(i)] == Approx(200).epsilon(1e-9));
      CHECK(blocks.values[static_cast<std::size_t>(i)] == Approx(200).epsilon(1e-6));
    }
    CHECK(dense.values.back() == Approx(200.0 - copies).epsilon(1e-9));
  }
  // As of a kernel that is one of the samples alone, times the identity over the outputs.
  VectorXd twos = VectorXd::Zero(200);
  for (int i = 0; i < 10; ++i) twos[190 + i] = 1 + i / 5;
  const Spectrum found = dense_spectrum(with_eigenvalues(twos, 4), 6, 1, "x");
  for (int i = 0; i < 5; ++i)
    CHECK(found.values[static_cast<std::size_t>(i)] == Approx(2).epsilon(1e-9));
  CHECK(found.values[5] == Approx(1).epsilon(1e-9));
}

TEST_CASE("a start that is an eigenvector of another value does not hide the first") {
  const VectorXd values = VectorXd::LinSpaced(120, 1, 120);
  const MatrixXd matrix = with_eigenvalues(values, 3);
  const Eigen::SelfAdjointEigenSolver<MatrixXd> solver(matrix);
  MatrixXd start = random_block(120, 2, 1);
  start.col(0) = solver.eigenvectors().col(118);
  const Spectrum found = block_lanczos(
      [&](const MatrixXd& block) -> MatrixXd { return matrix * block; }, start, 1, 100, "x");
  CHECK(found.values[0] == Approx(120).epsilon(1e-5));
}

TEST_CASE("a random start without the first eigenvector is found out by the second one") {
  // The start that dense_spectrum draws first, and a matrix whose first eigenvector it lacks.
  const int rows = 120;
  const std::uint64_t seed = 1;
  const VectorXd start = random_block(rows, 1, derive_seed(seed, "first start"));
  MatrixXd vectors = random_block(rows, rows, 5);
  vectors.col(0) = start;
  vectors = MatrixXd(Eigen::HouseholderQR<MatrixXd>(vectors).householderQ());
  // The start is the sum of all eigenvectors but the first.
  MatrixXd rest = MatrixXd::Identity(rows - 1, rows - 1);
  rest.col(0).setOnes();
  rest = MatrixXd(Eigen::HouseholderQR<MatrixXd>(rest).householderQ());
  MatrixXd eigenvectors(rows, rows);
  eigenvectors.col(0) = vectors.col(1);
  MatrixXd others(rows, rows - 1);
  others << vectors.col(0), vectors.rightCols(rows - 2);
  eigenvectors.rightCols(rows - 1) = others * rest.transpose();
  // The second eigenvalue, close to the first, converges before rounding can bring the first in.
  VectorXd values = VectorXd::LinSpaced(rows, 0.84, 0);
  values[0] = 1;
  values[1] = 1 - 1e-5;
  const MatrixXd matrix = eigenvectors * values.asDiagonal() * eigenvectors.transpose();
  REQUIRE(std::abs(eigenvectors.col(0).dot(start)) < 1e-12);
  REQUIRE(std::abs(eigenvectors.col(1).dot(start)) > 0.1);
  const Spectrum found = dense_spectrum(matrix, 1, seed, "x");
  CHECK(found.values[0] == Approx(1).epsilon(1e-9));
  CHECK(found.starts == 0);  // the full decomposition
}

TEST_CASE("the search ends by relative bounds: the same matrix in other units takes as long") {
  const VectorXd values = VectorXd::LinSpaced(300, 1, 300);
  const MatrixXd matrix = with_eigenvalues(values, 300);
  for (const int top : {1, 2}) {
    const Spectrum found = by_blocks(matrix, top, top + 1, 400);
    CHECK(found.converged);
    // Powers of two change no other bit.
    for (const double scale : {std::ldexp(1, -40), std::ldexp(1, 40)}) {
      CAPTURE(top, scale);
      const Spectrum other = by_blocks(scale * matrix, top, top + 1, 400);
      CHECK(other.products == found.products);
      CHECK(other.values[0] == scale * found.values[0]);
    }
  }
}

TEST_CASE("a search that is stopped says so and gives lower bounds") {
  VectorXd values = VectorXd::LinSpaced(400, 0.9, 1);
  const Spectrum found = by_blocks(with_eigenvalues(values, 2), 1, 2, 3);
  CHECK(!found.converged);
  CHECK(found.values[0] < 1);
  CHECK(found.residual > 1e-5);
  CHECK(found.products == 6);
}

TEST_CASE("entries that are not finite are refused with the unit's name") {
  MatrixXd matrix = MatrixXd::Identity(4, 4);
  matrix(1, 2) = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS_WITH(dense_spectrum(matrix, 1, 1, "unit \"head\""),
                    Contains("unit \"head\"") && Contains("not finite"));
  CHECK_THROWS_WITH(by_blocks(matrix, 1, 2), Contains("not finite"));
}
