// PromptFL's setting (docs/runs.md): prompts are trained and averaged, and all else is frozen.

#include "catch.h"
#include "fedrunner/run_folders.h"
#include "fedrunner/tiny_runs.h"
#include "strata/fedrunner/run.h"

using namespace strata;
using namespace strata::fedrunner;

TEST_CASE("a run over prompts alone trains, sends and averages them, and nothing else") {
  const test::TinyRuns tiny(
      "  strategies: [full]\n  rounds: 2\n  budget: 1\n"
      "  local: {steps: 3, batch_size: 3, learning_rate: 0.05}\n");
  const auto run = [&](const std::string& out, const std::string& prompts) {
    run_experiment(tiny.dir / "tiny.yaml",
                   {"model.peft={prompts: " + prompts + "}",
                    "units={scheme: prompt, selectable: [prompt], always: []}"},
                   tiny.dir / out, tiny.tools, {});
    return test::tensors_of(tiny.state_file(out, 2));
  };
  const auto vectors = run("vectors", "{length: 5}");
  REQUIRE(vectors.size() == 1);
  CHECK(vectors.begin()->first == "prompt_embeddings");
  CHECK(tiny.row("vectors", 2, "ct").up_mbit == Approx(5 * 16 * 32 / 1e6).epsilon(1e-12));

  const auto network = run("network", "{length: 5, hidden: 3}");
  CHECK(network.size() == 5);  // the vectors, and two layers with biases
  const double numbers = 5 * 16 + 3 * 16 + 3 + 16 * 3 + 16;
  CHECK(tiny.row("network", 2, "ct").up_mbit == Approx(numbers * 32 / 1e6).epsilon(1e-12));
  // Saved and read again with the folder of the model, whose base is the foundation's.
  for (const std::string out : {"vectors", "network"})
    CHECK(test::slurp(tiny.dir / out / "model" / "model.safetensors") ==
          test::slurp(tiny.dir / "foundation" / "model.safetensors"));
  const auto saved =
      test::tensors_of(tiny.dir / "network" / "model" / "strata_adapters.safetensors");
  for (const auto& [name, bytes] : network) CHECK(saved.at(name) == bytes);
}
