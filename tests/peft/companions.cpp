// Two sets of a method's weights in one pass (models::Companions).

#include "support/companions.h"
#include "catch.h"
#include "peft/methods.h"
#include "strata/core/error.h"
#include "support/peft_methods.h"

using namespace strata;
using Catch::Matchers::Contains;
using models::Model;
using models::Weights;
using torch::Tensor;

namespace {

/// A ViT with these methods, whose fresh weights are of the size of others and none is 0.
Model model_with(const std::vector<std::string>& methods, std::uint64_t seed) {
  Model model = test::make_model(test::narrow_shape("vit"), 3);
  peft::add_methods(model, peft::parse_methods(methods, "test"), seed);
  torch::manual_seed(seed);
  for (const auto& parameter : test::added_parameters(model))
    model.weight(parameter.name).add_(0.3 * torch::randn(parameter.shape));
  return model;
}

Weights added_weights(const Model& model) {
  Weights weights;
  for (const auto& parameter : test::added_parameters(model))
    weights[parameter.name] = model.weight(parameter.name).clone();
  return weights;
}

void check_close(const Tensor& found, const Tensor& expected) {
  CHECK((found - expected).abs().max().item<double>() < 1e-5);
}

}  // namespace

TEST_CASE("with companions a method's layers act by the mean of two, and have half the gradient") {
  const std::string lora = "lora:rank=2,targets=query";
  for (const auto& [narrow, wide] :
       {std::pair("adapters:reduction=4", "adapters:reduction=2"),
        std::pair("adapters:reduction=4,placement=houlsby",
                  "adapters:reduction=2,placement=houlsby"),
        std::pair("adaptformer:bottleneck=3,dropout=0", "adaptformer:bottleneck=6,dropout=0")}) {
    INFO(narrow);
    Model model = model_with({lora, narrow}, 5);
    Model one = model_with({lora, wide}, 5);
    Weights companions = added_weights(model_with({narrow}, 6)), leaves;
    for (const auto& [name, companion] : companions) {
      leaves[name] = model.weight(name).clone().requires_grad_();
      one.weight(name) = test::side_by_side(leaves[name], companion, one.weight(name).sizes());
      model.weight(name).requires_grad_();
    }
    for (const auto& [name, weight] : added_weights(model))
      if (!companions.count(name)) one.weight(name) = weight;  // LoRA's, which acts once
    const auto batch = test::vit_images(3);
    const Tensor alone = model.forward(batch).detach();
    const Model plain = model;
    model.set_companions(companions);
    const Tensor both = model.forward(batch), expected = one.forward(batch);
    check_close(both, expected);
    CHECK((both - alone).abs().max().item<double>() > 1e-2);
    both.square().sum().backward();
    expected.square().sum().backward();
    double sum = 0;
    for (const auto& [name, leaf] : leaves) {
      INFO(name);
      sum += leaf.grad().norm().item<double>();
      const Tensor gradient = model.weight(name).grad();
      CHECK((gradient - leaf.grad()).norm().item<double>() <=
            1e-4 * leaf.grad().norm().item<double>());
    }
    CHECK(sum > 1e-2);
    // A copy made before has none, and none is what is left of an empty set.
    CHECK(torch::equal(plain.forward(batch), alone));
    model.set_companions({});
    CHECK(torch::equal(model.forward(batch), alone));
  }
}

TEST_CASE("companions that are the weights themselves change no bit, nor do those of no layer") {
  Model model = model_with({"adapters:reduction=4"}, 5);
  const auto batch = test::vit_images(3);
  const Tensor alone = model.forward(batch);
  Weights own = added_weights(model);
  model.set_companions(own);
  CHECK(torch::equal(model.forward(batch), alone));
  // What has no companion stands for its own.
  model.set_companions({*own.begin()});
  CHECK(torch::equal(model.forward(batch), alone));
  CHECK_THROWS_WITH(model.set_companions({{"classifier.weight", torch::zeros({2, 8})}}),
                    Contains("\"classifier.weight\" is the architecture's own"));
  CHECK_THROWS_AS(model.set_companions({{"classifier.wieght", torch::zeros({2, 8})}}), InputError);
}

TEST_CASE("with companions a pass draws dropout for each of the two") {
  Model model = model_with({"adaptformer:bottleneck=4,dropout=0.5"}, 5);
  const auto batch = test::vit_images(3);
  Weights own = added_weights(model);
  const auto drawn = [&](bool twice) {
    at::Generator generator = at::detail::createCPUGenerator(7);
    model.set_companions(twice ? own : Weights());
    return model.forward(batch, generator);
  };
  CHECK(torch::equal(drawn(true), drawn(true)));
  CHECK((drawn(true) - drawn(false)).abs().max().item<double>() > 1e-3);
}

TEST_CASE("the parameters that may have companions are those of bottlenecks") {
  for (const std::string& method : test::transformer_methods()) {
    INFO(method);
    const Model model = model_with({method}, 5);
    std::set<std::string> added;
    for (const auto& parameter : test::added_parameters(model)) added.insert(parameter.name);
    const auto found = peft::companion_parameters(model.blueprint());
    CHECK((found == (method.starts_with("adapt") ? added : std::set<std::string>())));
  }
}
