#include "models/attention.h"

#include <cmath>
#include <limits>

#include "catch.h"

using namespace strata;
using namespace strata::models;
using torch::Tensor;

namespace {

double relative_error(const Tensor& found, const Tensor& expected) {
  return ((found - expected).norm() / expected.norm()).item<double>();
}

/// The definition, by operations that LibTorch differentiates any number of times.
Tensor definition(const Tensor& query, const Tensor& key, const Tensor& value, const Tensor& mask,
                  std::int64_t heads) {
  const std::int64_t n = mask.size(0), size = query.size(1) / heads;
  const auto split = [&](const Tensor& x) { return x.view({n, -1, heads, size}).transpose(1, 2); };
  const Tensor scores = torch::matmul(split(query), split(key).transpose(2, 3)) /
                            std::sqrt(static_cast<double>(size)) +
                        mask.view({n, 1, 1, -1});
  return torch::matmul(torch::softmax(scores, -1), split(value))
      .transpose(1, 2)
      .reshape({-1, heads * size});
}

}  // namespace

TEST_CASE("gradients of fused attention can be differentiated again") {
  struct Shape {
    std::int64_t n, heads, queries, tokens, size;
  };
  for (const Shape& s : {Shape{3, 2, 9, 9, 4}, Shape{2, 3, 1, 13, 7}}) {
    CAPTURE(s.n, s.heads, s.queries, s.tokens, s.size);
    torch::manual_seed(3);
    const std::int64_t width = s.heads * s.size;
    const auto make = [&](std::int64_t rows) {
      return torch::randn({rows, width}, torch::kDouble);
    };
    std::vector<Tensor> inputs = {make(s.n * s.queries), make(s.n * s.tokens),
                                  make(s.n * s.tokens)};
    for (Tensor& input : inputs) input.requires_grad_(true);
    Tensor mask = torch::zeros({s.n, s.tokens}, torch::kDouble);
    mask[0].narrow(0, 1, s.tokens / 2).fill_(std::numeric_limits<double>::lowest());
    const std::vector<Tensor> along = {make(s.n * s.queries), make(s.n * s.tokens),
                                       make(s.n * s.tokens)};

    // A loss that is not linear in the output, so that the incoming gradient has a history as well.
    const auto gradients = [&](const auto& function, const std::vector<Tensor>& at, bool recorded) {
      const Tensor out = function(at[0], at[1], at[2]);
      return torch::autograd::grad({(out * out).sin().sum()}, at, {}, recorded, recorded);
    };
    const auto second = [&](const auto& function) {
      const auto first = gradients(function, inputs, true);
      Tensor slope = torch::zeros({}, torch::kDouble);
      for (int i = 0; i < 3; ++i) slope = slope + (first[i] * along[i]).sum();
      return torch::autograd::grad({slope}, inputs);
    };
    const auto fused = [&](const Tensor& query, const Tensor& key, const Tensor& value) {
      return attention(query, key, value, mask, s.heads, 0);
    };
    const auto plain = [&](const Tensor& query, const Tensor& key, const Tensor& value) {
      return definition(query, key, value, mask, s.heads);
    };

    const auto recorded = gradients(fused, inputs, true), fast = gradients(fused, inputs, false);
    const auto ours = second(fused), theirs = second(plain);
    const double step = 1e-5;
    std::vector<Tensor> ahead, behind;
    for (int i = 0; i < 3; ++i) {
      ahead.push_back((inputs[i].detach() + step * along[i]).requires_grad_(true));
      behind.push_back((inputs[i].detach() - step * along[i]).requires_grad_(true));
    }
    const auto after = gradients(fused, ahead, false), before = gradients(fused, behind, false);
    for (int i = 0; i < 3; ++i) {
      CAPTURE(i);
      CHECK(recorded[i].requires_grad());
      CHECK_FALSE(fast[i].requires_grad());
      CHECK(relative_error(recorded[i], fast[i]) < 1e-12);
      CHECK(relative_error(ours[i], theirs[i]) < 1e-11);
      CHECK(relative_error(ours[i], (after[i] - before[i]) / (2 * step)) < 1e-7);
    }
  }
}
