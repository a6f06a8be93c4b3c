#include "peft/merge.h"

#include "catch.h"
#include "strata/core/error.h"
#include "support/error_text.h"
#include "support/peft_methods.h"
#include "support/tiny_model.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::models;
using Catch::Matchers::Contains;
using torch::Tensor;

namespace {

/// With matrices that are not as small as at first, where attention hardly asks for its keys.
Model wide_vit() {
  const torch::NoGradGuard no_grad;
  Model model = test::make_model(test::narrow_shape("vit"), 4);
  for (auto& [name, weight] : model.weights())
    if (weight.dim() == 2) weight.mul_(15);
  return model;
}

/// Gives whether the method folds.
bool check(Model model, const Batch& batch, const std::string& method) {
  CAPTURE(method);
  const Tensor before = model.forward(batch);
  test::add_method(model, method, 3, 0.1);
  if (!peft::methods_of(model.blueprint()).front()->folds()) {
    CHECK_THAT(test::input_error([&] { peft::merged(model, "model"); }),
               Contains("model: the model's ") && Contains("cannot be merged"));
    return false;
  }
  // A convolution before a BatchNorm has no bias for SSF's shift.
  if (method == "ssf:before_batch_norm=true") {
    CHECK_THAT(test::input_error([&] { peft::merged(model, "model"); }), Contains("has no bias"));
    return false;
  }
  const Tensor logits = model.forward(batch);
  // With nothing but the base's weights the test would see nothing.
  REQUIRE(test::largest_difference(logits, before) > 1e-4);
  const Model plain = peft::merged(model, "model");
  CHECK(plain.blueprint().attachments().empty());
  CHECK(plain.weights().size() < model.weights().size());
  CHECK(test::largest_difference(plain.forward(batch), logits) <= 1e-5);
  return true;
}

}  // namespace

TEST_CASE("a merged model computes what the model with its methods computes") {
  int folded = 0;
  const Model transformer = wide_vit();
  for (const std::string& method : test::transformer_methods())
    folded += check(transformer, test::vit_images(4), method);
  for (const bool bottleneck : {false, true}) {
    for (const std::string& method : test::resnet_methods())
      folded += check(test::tiny_resnet(bottleneck, 4), test::resnet_batch(4, 2), method);
  }
  CHECK(folded == 15 + 2 * static_cast<int>(test::resnet_methods().size() - 1));
}

TEST_CASE("several methods merge together, and the folder of it is a plain one") {
  Model model = test::make_model(test::narrow_shape("vit"), 4);
  for (const char* method : {"lora:rank=2,targets=query+fc2", "ssf", "ia3"})
    test::add_method(model, method, 5, 0.1);
  const Batch batch = test::vit_images(3);
  const Tensor logits = model.forward(batch);
  const test::TempDir folder;
  peft::save_model(peft::merged(model, "model"), folder.path());
  CHECK_FALSE(std::filesystem::exists(folder / "adapter_config.json"));
  const Model read = peft::load_model(folder.path());
  CHECK(read.blueprint().attachments().empty());
  CHECK(test::largest_difference(read.forward(batch), logits) <= 1e-5);
}

TEST_CASE("what has no place in a plain model is not merged") {
  test::ModelShape shape = test::narrow_shape("vit");
  const auto refused = [](const Model& model) {
    return test::input_error([&] { peft::merged(model, "model"); });
  };
  CHECK_THAT(refused(test::make_model(shape, 4)),
             Contains("model: the model has nothing to merge"));
  shape.qkv_bias = false;
  Model model = test::make_model(shape, 4);
  test::add_method(model, "ssf");
  CHECK_THAT(refused(model), Contains("attention.attention.query\" has no bias"));
}
