#include "ntk/jacobian.h"

#include "catch.h"

using namespace strata;
using namespace strata::models;
using namespace strata::ntk;
using torch::Tensor;

namespace {

const auto kDouble = torch::TensorOptions(torch::kDouble);

WeightUse use_of(CapturedOp::Kind kind, const Tensor& input, const Tensor& delta,
                 bool bias = false) {
  return {{kind, bias ? "" : "w", bias ? "w" : "", input, Tensor()}, delta, bias};
}

/// J, rows (i, k), of a factor.
Tensor rows_of(const JacobianFactor& factor) {
  if (factor.explicit_rows()) return factor.delta.view({factor.rows(), -1});
  return torch::einsum("nkto,nti->nkoi", {factor.delta, factor.input}).reshape({factor.rows(), -1});
}

}  // namespace

TEST_CASE("explicit rows: kernel, products and trace") {
  torch::manual_seed(3);
  const JacobianFactor factor{Tensor(), torch::randn({5, 2, 3, 4}, kDouble)};
  const Tensor jacobian = factor.delta.view({10, 12}), expected = jacobian.mm(jacobian.t());
  Tensor theta = torch::zeros({10, 10}, torch::kDouble);
  add_gram(factor, GramWay::kStreamed, 1 << 20, theta);
  CHECK(torch::allclose(theta, expected, 1e-12, 1e-12));
  CHECK(kernel_trace(factor) == Approx(jacobian.square().sum().item<double>()));
  const Eigen::MatrixXd block = Eigen::MatrixXd::Identity(10, 3);
  const Eigen::MatrixXd product = kernel_product(factor, block);
  for (int i = 0; i < 10; ++i) {
    for (int j = 0; j < 3; ++j) CHECK(product(i, j) == Approx(expected[i][j].item<double>()));
  }
}

TEST_CASE("the gradients of a weight's uses add up") {
  using Kind = CapturedOp::Kind;
  torch::manual_seed(4);
  const auto delta = [](std::int64_t tokens) { return torch::randn({3, 2, tokens, 4}, kDouble); };
  const auto input = [](std::int64_t tokens) { return torch::randn({3 * tokens, 4}, kDouble); };
  const Tensor d1 = delta(5), d2 = delta(2), x1 = input(5), x2 = input(2);
  const auto check = [](const std::vector<WeightUse>& uses) {
    const Tensor sum = rows_of(factor_of({uses[0]})) + rows_of(factor_of({uses[1]}));
    CHECK(torch::allclose(rows_of(factor_of(uses)), sum, 1e-12, 1e-12));
  };
  check({use_of(Kind::kLinear, x1, d1), use_of(Kind::kLinear, x2, d2)});
  check({use_of(Kind::kNorm, x1, d1), use_of(Kind::kNorm, x2, d2)});
  check({use_of(Kind::kLinear, Tensor(), d1, true), use_of(Kind::kLinear, Tensor(), d2, true)});
  check({use_of(Kind::kLinear, Tensor(), d1, true), use_of(Kind::kNorm, Tensor(), d2, true)});
  check({use_of(Kind::kAdded, Tensor(), d1), use_of(Kind::kAdded, Tensor(), delta(5))});

  // Each use alone by hand.
  const auto alone = [](const WeightUse& use) { return rows_of(factor_of({use})); };
  CHECK(torch::allclose(alone(use_of(Kind::kLinear, Tensor(), d1, true)), d1.sum(2).view({6, 4})));
  CHECK(torch::allclose(alone(use_of(Kind::kNorm, x1, d1)),
                        (d1 * x1.view({3, 1, 5, 4})).sum(2).view({6, 4})));
}

TEST_CASE("an embedding's uses count in the rows that the samples use") {
  const Tensor words = torch::tensor({{7, 2}, {2, 2}}, torch::kInt64);
  const Tensor more = torch::tensor({{9}, {7}}, torch::kInt64);
  torch::manual_seed(5);
  const Tensor d1 = torch::randn({2, 2, 2, 3}, kDouble), d2 = torch::randn({2, 2, 1, 3}, kDouble);
  const JacobianFactor factor = factor_of({use_of(CapturedOp::Kind::kEmbedding, words, d1),
                                           use_of(CapturedOp::Kind::kEmbedding, more, d2)});
  CHECK(factor.input.size(2) == 3);  // 2, 7 and 9
  Tensor expected = torch::zeros({2, 2, 3, 10}, kDouble);
  for (int i = 0; i < 2; ++i) {
    for (int k = 0; k < 2; ++k) {
      for (int t = 0; t < 2; ++t) {
        expected[i][k].select(1, words[i][t].item<std::int64_t>()) += d1[i][k][t];
      }
      expected[i][k].select(1, more[i][0].item<std::int64_t>()) += d2[i][k][0];
    }
  }
  const Tensor used = expected.index_select(3, torch::tensor({2, 7, 9}, torch::kInt64));
  CHECK(torch::allclose(rows_of(factor), used.reshape({4, 9})));
}

TEST_CASE("the multiply-adds of every way by hand, and the cheapest one") {
  // 3 samples, 2 outputs, 4 tokens, 5 numbers in and 7 out: 6 rows.
  const FactorShape shape{3, 2, 4, 5, 7, false};
  // X Xᵀ of each pair of samples' tokens, its product with δ, and that with δ' over the pairs i ≤
  // j.
  CHECK(gram_cost(shape, GramWay::kMixed) == 0.5 * 9 * 16 * (5 + 2 * 7) + 0.5 * 36 * 4 * 7);
  // J by its tokens, and 5/8 of its square.
  CHECK(gram_cost(shape, GramWay::kStreamed) == 6 * 4 * 35 + 0.625 * 36 * 35);
  // δ·δ' and x·x' of one token.
  const FactorShape single{3, 2, 1, 5, 7, false};
  CHECK(gram_cost(single, GramWay::kOuter) == 36 * 7 + 9 * 5);
  CHECK(gram_cost({3, 2, 4, 0, 7, true}, GramWay::kStreamed) == 0.625 * 36 * 4 * 7);

  CHECK(cheapest_way(single) == GramWay::kOuter);
  CHECK(cheapest_way({3, 2, 4, 0, 7, true}) == GramWay::kStreamed);
  CHECK(cheapest_way({3, 2, 1, 0, 7, true}) == GramWay::kStreamed);
  // Here 1368 + 504 against 840 + 787.5.
  CHECK(cheapest_way(shape) == GramWay::kStreamed);
  // Few tokens of wide layers, and many of narrow ones: docs/lntk.md.
  CHECK(cheapest_way({32, 5, 40, 768, 3072, false}) == GramWay::kMixed);
  CHECK(cheapest_way({32, 5, 200, 16, 16, false}) == GramWay::kStreamed);

  torch::manual_seed(6);
  const FactorShape found =
      shape_of({torch::randn({3, 4, 5}, kDouble), torch::randn({3, 2, 4, 7}, kDouble)});
  CHECK(found.samples == 3);
  CHECK(found.outputs == 2);
  CHECK(found.tokens == 4);
  CHECK(found.in == 5);
  CHECK(found.out == 7);
  CHECK_FALSE(found.explicit_rows);
}
