#include "models/rms_norm.h"

#include "catch.h"

using namespace strata::models;
using torch::Tensor;

namespace {

/// The definition, by operations that LibTorch differentiates any number of times.
Tensor definition(const Tensor& x, const Tensor& scale, double eps) {
  return x / (x * x).mean(-1, true).add(eps).sqrt() * scale;
}

}  // namespace

TEST_CASE("an RMSNorm and its gradients, the second ones too, are those of the definition") {
  torch::manual_seed(1);
  const Tensor x = torch::randn({3, 4, 7}, torch::kDouble).requires_grad_(true);
  const Tensor scale = torch::randn({7}, torch::kDouble).requires_grad_(true);
  const Tensor weight = torch::randn({3, 4, 7}, torch::kDouble);
  constexpr double kEps = 0.3;  // large enough to be seen
  const Tensor ours = rms_norm(x, scale, kEps), theirs = definition(x, scale, kEps);
  CHECK((ours - theirs).abs().max().item<double>() < 1e-13);
  const auto first = [&](const Tensor& y) {
    return torch::autograd::grad({((y * y).sin() * weight).sum()}, {x, scale}, {}, true, true);
  };
  const auto one = first(ours), other = first(theirs);
  const auto second = [&](const std::vector<Tensor>& gradients) {
    return torch::autograd::grad({gradients[0].square().sum() + gradients[1].square().sum()},
                                 {x, scale});
  };
  const auto twice = second(one), expected = second(other);
  for (int i = 0; i < 2; ++i) {
    CAPTURE(i);
    CHECK((one[i] - other[i]).abs().max().item<double>() < 1e-12);
    CHECK((twice[i] - expected[i]).abs().max().item<double>() < 1e-11);
  }
}

TEST_CASE("a frozen scale gets no gradient, and the input's stays what it is") {
  torch::manual_seed(2);
  const Tensor x = torch::randn({5, 6}, torch::kDouble).requires_grad_(true);
  const Tensor scale = torch::randn({6}, torch::kDouble);
  const Tensor found = torch::autograd::grad({rms_norm(x, scale, 1e-6).sin().sum()}, {x})[0];
  const Tensor expected = torch::autograd::grad({definition(x, scale, 1e-6).sin().sum()}, {x})[0];
  CHECK((found - expected).abs().max().item<double>() < 1e-12);
}
