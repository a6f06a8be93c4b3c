#include "peft/norm.h"

#include <set>

#include "catch.h"
#include "support/tiny_model.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::models;
using Catch::Matchers::Contains;

namespace {

std::int64_t count(const Blueprint& blueprint) {
  const peft::MethodType norm = peft::norm_type();
  std::int64_t number = 0;
  for (const Layer& layer : blueprint.layers()) {
    for (const Parameter& parameter : layer.parameters)
      if (norm.trains(layer, parameter)) number += parameter.numel();
  }
  return number;
}

}  // namespace

TEST_CASE("norm trains γ and β of every normalisation layer, and nothing else") {
  ResnetConfig resnet50;
  resnet50.labels = {"a", "b", "c"};
  CHECK(count(Blueprint(make_resnet(resnet50))) == 53120);
  // Two LayerNorms in each of twelve blocks, and the head's; ViLT's text has one, too, and its
  // classifier one of twice the width.
  test::ModelShape shape;
  shape.labels = {"a", "b"};
  CHECK(count(shape.blueprint()) == 2 * 768 * (2 * 12 + 1 + 1) + 2 * 1536);
  shape.model_type = "vit";
  CHECK(count(shape.blueprint()) == 2 * 768 * (2 * 12 + 1));

  const Blueprint tiny = test::tiny_resnet(true, 1).blueprint();
  const std::vector<Unit> units = peft::scheme_units(tiny, "norm", models::Buffers::kFrozen);
  REQUIRE(units.size() == 5);
  CHECK(units[1].name == "norm.0");
  // Eight channels out of a first layer of 2, 2 and 8, and the shortcut's 8.
  CHECK(units[1].parameter_count == 2 * (2 + 2 + 8 + 8));
  for (const std::string& name : units[1].parameters) {
    INFO(name);
    CHECK(name.find(".normalization.") != std::string::npos);
    CHECK(name.find("running") == std::string::npos);
  }
  CHECK_THROWS_WITH(peft::scheme_units(tiny, "block+norm", models::Buffers::kFrozen),
                    Contains("\"block\" holds what \"norm\" would add"));
}

TEST_CASE(
    "of a transformer, norm and layernorm are the same weights; of a ResNet only norm has any") {
  for (const std::string type : {"vilt", "vit"}) {
    const Blueprint blueprint = test::narrow_shape(type).blueprint();
    const auto norm = peft::scheme_units(blueprint, "norm", models::Buffers::kFrozen);
    const auto layernorm = peft::scheme_units(blueprint, "layernorm", models::Buffers::kFrozen);
    REQUIRE(norm.size() == layernorm.size());
    for (std::size_t i = 0; i < norm.size(); ++i)
      CHECK(norm[i].parameters == layernorm[i].parameters);
  }
  CHECK_THROWS_WITH(peft::scheme_units(test::tiny_resnet(false, 1).blueprint(), "layernorm",
                                       models::Buffers::kFrozen),
                    Contains("the model has no LayerNorms"));
}
