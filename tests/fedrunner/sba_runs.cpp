// Stochastic block attention (docs/runs.md): in every round one block's attention travels.

#include <set>

#include "catch.h"
#include "fedrunner/run_folders.h"
#include "fedrunner/tiny_runs.h"
#include "strata/fedrunner/run.h"

using namespace strata;
using namespace strata::fedrunner;

namespace {

/// Four matrices from 16 to 16 numbers with biases, and the classifier of five answers.
constexpr double kAttention = 4 * (16 * 16 + 16), kClassifier = 5 * (32 + 1), kMegabit = 32 / 1e6;

}  // namespace

TEST_CASE("under sba a round sends the attention of one block, which alone it trains") {
  const test::TinyRuns tiny(
      "  strategies: [sba]\n  rounds: 6\n  budget: 1\n"
      "  local: {steps: 3, batch_size: 3, learning_rate: 0.05}\n  save: every\n");
  const auto weights = [&](const std::string& folder) {
    return test::tensors_of(tiny.dir / folder / "model.safetensors");
  };
  test::Tensors before = weights("foundation");
  std::set<std::string> trained;
  RunOptions looking;
  looking.after_round = [&](const std::filesystem::path&, int round) {
    if (round == 0) return;
    INFO("round " << round);
    const test::Tensors after = weights("out/model");
    std::set<std::string> blocks;
    for (const auto& [name, bytes] : after) {
      if (bytes == before.at(name)) continue;
      const auto at = name.find(".attention.");
      if (at == std::string::npos)
        CHECK(name.starts_with("classifier.3."));
      else
        blocks.insert(name.substr(0, at));
    }
    REQUIRE(blocks.size() == 1);
    trained.insert(*blocks.begin());
    before = after;
  };
  run_experiment(tiny.dir / "tiny.yaml",
                 {"units={scheme: attention+only, selectable: blocks, always: [head]}"},
                 tiny.dir / "out", tiny.tools, looking);
  CHECK(trained.size() > 1);
  for (int round = 1; round <= 6; ++round) {
    INFO("round " << round);
    for (const std::string client : {"ct", "mri", "oct"})
      CHECK(tiny.row("out", round, client).up_mbit ==
            Approx((kAttention + kClassifier) * kMegabit).epsilon(1e-12));
  }
}
