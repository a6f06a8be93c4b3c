// Where methods start: most change nothing, the others little.

#include <set>

#include "catch.h"
#include "support/peft_methods.h"
#include "support/tiny_model.h"

using namespace strata;
using namespace strata::models;
using torch::Tensor;

namespace {

Model vit(std::int64_t blocks) {
  test::ModelShape shape = test::narrow_shape("vit");
  shape.num_hidden_layers = blocks;
  return test::make_model(shape, 4);
}

Model fresh(Model model, const std::string& method) {
  peft::add_methods(model, {peft::parse_method(method, "--peft")}, 1);
  return model;
}

/// Those that are not the foundation at first: prompts are tokens that attention reads, TSA begins
/// at 10⁻⁴ of the identity, SSF and adapters at small random numbers.
bool changes_at_first(const std::string& method) {
  static const std::set<std::string> names = {"prompts", "tsa", "ssf", "adapters"};
  return names.count(method.substr(0, method.find(':'))) > 0;
}

void check_logits(const Model& base, const Batch& batch, const std::vector<std::string>& methods) {
  const Tensor logits = base.forward(batch);
  for (const std::string& method : methods) {
    CAPTURE(method);
    const double moved = test::largest_difference(fresh(base, method).forward(batch), logits);
    // DoRA divides its magnitudes by norms that are the same, which rounds.
    const double tolerance = method.find("dora=true") == std::string::npos ? 1e-6 : 1e-5;
    if (changes_at_first(method))
      CHECK(moved > 0);
    else
      CHECK(moved <= tolerance);
  }
}

/// All numbers that the method adds under names with this end.
Tensor numbers(const Model& model, const std::string& end) {
  std::vector<Tensor> found;
  for (const Parameter& parameter : test::added_parameters(model)) {
    const std::string& name = parameter.name;
    if (name.size() >= end.size() && name.compare(name.size() - end.size(), end.size(), end) == 0)
      found.push_back(model.weight(name).flatten());
  }
  return torch::cat(found);
}

void check_spread(const Tensor& values, double mean, double deviation) {
  REQUIRE(values.numel() > 700);
  CHECK(values.mean().item<double>() == Approx(mean).margin(0.005));
  CHECK(values.std().item<double>() == Approx(deviation).margin(0.004));
}

}  // namespace

TEST_CASE("a fresh method changes no logit, but for prompts, TSA, SSF and adapters") {
  const torch::NoGradGuard no_grad;
  check_logits(vit(2), test::vit_images(3), test::transformer_methods());
  check_logits(test::tiny_resnet(true, 5), test::resnet_batch(3, 2), test::resnet_methods());
}

TEST_CASE("SSF, adapters and prompts start at normal numbers of deviation 0.02") {
  const Model ssf = fresh(vit(12), "ssf");
  check_spread(numbers(ssf, ".ssf_scale"), 1, 0.02);
  check_spread(numbers(ssf, ".ssf_shift"), 0, 0.02);
  for (const std::string placement : {"pfeiffer", "houlsby"}) {
    CAPTURE(placement);
    const Model adapters = fresh(vit(12), "adapters:reduction=2,placement=" + placement);
    check_spread(numbers(adapters, ".weight"), 0, 0.02);
    CHECK(numbers(adapters, ".bias").abs().max().item<double>() == 0);
  }
  check_spread(numbers(fresh(vit(1), "prompts:length=400"), "prompt_embeddings"), 0, 0.02);
}
