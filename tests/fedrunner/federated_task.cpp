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
