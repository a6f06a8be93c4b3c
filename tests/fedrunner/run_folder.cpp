#include "fedrunner/run_folder.h"
#include "catch.h"
#include "fedrunner/tiny.h"
#include "strata/core/error.h"

using namespace strata;
using namespace strata::fedrunner;
using Catch::Matchers::Contains;
using test::same_bits;

TEST_CASE("a state on disk has what every client keeps to itself") {
  const test::TempDir dir;
  RunState state;
  state.round = 3;
  state.weights = {{"norm.weight", torch::tensor({1.0f, 2.0f})},
                   {"head.bias", torch::tensor({3.0f})}};
  state.local["site/ct"]["norm.weight"] = torch::tensor({4.0f, 5.0f});
  state.local["mri"]["norm.weight"] = torch::tensor({6.0f, 7.0f});
  write_state(dir.path(), state);
  const auto back = read_state(dir.path(), state.weights);
  REQUIRE(back);
  CHECK(back->local.size() == 2);
  CHECK(same_bits(back->local.at("site/ct").at("norm.weight"), torch::tensor({4.0f, 5.0f})));
  CHECK(same_bits(back->local.at("mri").at("norm.weight"), torch::tensor({6.0f, 7.0f})));
  CHECK(same_bits(back->weights.at("norm.weight"), state.weights.at("norm.weight")));

  const ModelState other = {{"head.bias", torch::tensor({3.0f})}};
  CHECK_THROWS_WITH(read_state(dir.path(), other),
                    Contains("norm.weight is of no weight of the run"));
}
