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
      return attention(query, key, value, mask, Heads{s.heads});
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

TEST_CASE("grouped heads, masks for each query and scales of one's own are the definition's") {
  struct Case {
    std::int64_t heads, keys, queries, tokens;
    bool by_head, learned;
    double scale;
  };
  for (const Case& c : {Case{4, 2, 5, 5, false, false, 0}, Case{6, 1, 3, 7, false, false, 0.4},
                        Case{2, 2, 4, 4, true, true, 1}, Case{3, 3, 1, 6, false, false, 0}}) {
    CAPTURE(c.heads, c.keys, c.queries, c.tokens);
    torch::manual_seed(4);
    constexpr std::int64_t kSamples = 2, kSize = 4;
    const auto make = [&](std::int64_t tokens, std::int64_t heads) {
      return torch::randn({kSamples * tokens, heads * kSize}, torch::kDouble).requires_grad_(true);
    };
    const Tensor query = make(c.queries, c.heads), key = make(c.tokens, c.keys);
    const Tensor value = make(c.tokens, c.keys);
    Tensor mask =
        torch::randn({kSamples, c.by_head ? c.heads : 1, c.queries, c.tokens}, torch::kDouble);
    mask.select(3, 0).fill_(std::numeric_limits<double>::lowest());
    mask.set_requires_grad(c.learned);
    const auto split = [&](const Tensor& x, std::int64_t heads) {
      return x.view({kSamples, -1, heads, kSize})
          .transpose(1, 2)
          .repeat_interleave(c.heads / heads, 1);
    };
    const double scale = c.scale > 0 ? c.scale : 1 / std::sqrt(double{kSize});
    const auto definition_of = [&] {
      const Tensor scores =
          torch::matmul(split(query, c.heads), split(key, c.keys).transpose(2, 3)) * scale + mask;
      return torch::matmul(torch::softmax(scores, -1), split(value, c.keys))
          .transpose(1, 2)
          .reshape({-1, c.heads * kSize});
    };
    std::vector<Tensor> inputs = {query, key, value};
    if (c.learned) inputs.push_back(mask);
    const Tensor ours = attention(query, key, value, mask, Heads{c.heads, c.keys, c.scale}),
                 theirs = definition_of();
    CHECK(relative_error(ours, theirs) < 1e-12);
    const auto first = [&](const Tensor& out) {
      return torch::autograd::grad({(out * out).sin().sum()}, inputs, {}, true, true);
    };
    // Without a graph of the gradients, and with one.
    const auto fast = torch::autograd::grad({(ours * ours).sin().sum()}, inputs, {}, true);
    const auto one = first(ours), other = first(theirs);
    const auto second = [&](const std::vector<Tensor>& gradients) {
      Tensor slope = torch::zeros({}, torch::kDouble);
      for (const Tensor& gradient : gradients) slope = slope + gradient.sin().sum();
      return torch::autograd::grad({slope}, inputs);
    };
    const auto twice = second(one), expected = second(other);
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      CAPTURE(i);
      CHECK((one[i] - other[i]).abs().max().item<double>() < 1e-11);
      CHECK((twice[i] - expected[i]).abs().max().item<double>() < 1e-10);
    }
    for (std::size_t i = 0; i < inputs.size(); ++i)
      CHECK((fast[i] - other[i]).abs().max().item<double>() < 1e-11);
  }
}
