#include "fedrunner/federated_task.h"

#include "catch.h"
#include "fedrunner/tiny.h"

using namespace strata;
using namespace strata::fedrunner;

using Names = std::vector<std::string>;

TEST_CASE("a run trains what plans choose from and what is always trained, from bottom to top") {
  const auto model = test::make_model(test::tiny_config(), 3);
  const SelectedUnits selected{{model.unit("block.2"), model.unit("block.0")},
                               {model.unit("embeddings")}};
  const auto units = units_of_run(selected, {.name = "topk"}, model);
  CHECK(units.selectable == Names{"block.2", "block.0"});
  CHECK(units.always == Names{"embeddings"});
  CHECK(strata::names_of(units.all) == Names{"embeddings", "block.0", "block.2"});
  std::set<std::string> weights;
  for (const auto& unit : units.all) weights.insert(unit.parameters.begin(), unit.parameters.end());
  CHECK(units.weights == weights);
  CHECK(weights.count("classifier.3.bias") == 0);
}

TEST_CASE("what the rule of LoRA pairs changes beside the units is the run's, too") {
  auto shape = test::tiny_config();
  shape.peft.lora_rank = 2;
  auto model = test::make_model(shape, 3);
  peft::set_units(model, "lora", models::Buffers::kFrozen);
  const SelectedUnits selected{{model.unit("lora.0"), model.unit("lora.2")}, {}};
  const auto own = units_of_run(selected, {.name = "topk"}, model).weights;
  CHECK(own.size() == 8);
  CHECK(units_of_run(selected, {.name = "topk"}, model, LoraAverage::kFair).weights == own);
  for (const LoraAverage rule : {LoraAverage::kFedex, LoraAverage::kFlora}) {
    const auto all = units_of_run(selected, {.name = "topk"}, model, rule).weights;
    CHECK(all.size() == 12);
    int bases = 0;
    for (const auto& name : all)
      bases += name.ends_with(".query.weight") || name.ends_with(".value.weight");
    CHECK(bases == 4);
  }
}

TEST_CASE("the strategy that plans nothing trains the head where nothing else is always trained") {
  const auto model = test::make_model(test::tiny_config(), 3);
  const Strategy none{.name = "head", .own = OwnAlgorithm::kNone};
  const Unit block = model.unit("block.0"), head = model.unit("head");
  auto units = units_of_run({{block}, {}}, none, model);
  CHECK(units.always == Names{"head"});
  CHECK(strata::names_of(units.all) == Names{"block.0", "head"});
  CHECK(units.weights.count("classifier.3.bias") == 1);
  // It is there already, or something else is.
  units = units_of_run({{block, head}, {}}, none, model);
  CHECK(units.always == Names{"head"});
  CHECK(strata::names_of(units.all) == Names{"block.0", "head"});
  CHECK(units_of_run({{head}, {block}}, none, model).always == Names{"block.0"});
  CHECK(units_of_run({{block}, {}}, {.name = "topk"}, model).always.empty());
}
