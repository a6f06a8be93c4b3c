#include "strata/fedrunner/benchmark.h"

#include "catch.h"
#include "core/console.h"
#include "core/document.h"
#include "fedrunner/run_folders.h"
#include "fedrunner/tiny_runs.h"
#include "strata/core/error.h"
#include "strata/fedrunner/metrics.h"

using namespace strata;
using namespace strata::fedrunner;
using Catch::Matchers::Contains;
namespace fs = std::filesystem;

namespace {

const std::string kBenchmark =
    "benchmark:\n"
    "  fractions: [1, 0.5]\n"
    "  backbones: {vilt: {}}\n"
    "  methods:\n"
    "    full: {run: {strategies: [full]}}\n"
    "    lora: {model: {peft: {lora: {rank: 2}}}, units: {scheme: lora+only}, "
    "run: {strategies: [full], local: {learning_rate: [0.01, 0.1]}}}\n";

struct Fixture : test::TinyRuns {
  Fixture() { write(kBenchmark); }

  void write(const std::string& benchmark) const {
    dir.write("tiny.yaml",
              test::tiny_experiment(dir,
                                    "  strategies: [head]\n  rounds: 2\n  budget: 1\n"
                                    "  seeds: [4, 5]\n  local: {steps: 3, batch_size: 3, "
                                    "learning_rate: 0.01}\n") +
                  benchmark);
  }

  BenchmarkResults run(const std::string& out, const std::vector<std::string>& set = {},
                       RunOptions options = {}) const {
    return run_benchmark(dir / "tiny.yaml", set, dir / out, tools, options);
  }

  BenchmarkResults resume(const std::string& out, const std::vector<std::string>& set = {}) const {
    RunOptions options;
    options.resume = true;
    return run(out, set, options);
  }

  std::string json(const std::string& out) const {
    Json root = load_json(dir / out / "benchmark.json").root;
    for (Json& cell : root["cells"])
      for (Json& one : cell["runs"]) one["seconds"] = 0;  // measured
    return root.dump();
  }
};

struct Stop {};

}  // namespace

TEST_CASE_METHOD(Fixture, "a cell has the scores of its runs, whose folders are whole") {
  const auto results = run("out");
  REQUIRE(results.cells.size() == 4);
  CHECK(results.score == "accuracy");
  CHECK(results.synthetic);
  for (const BenchmarkCell& cell : results.cells) {
    REQUIRE(cell.runs.size() == 2);
    for (const BenchmarkRun& run : cell.runs) {
      const fs::path folder = dir / "out" / cell.folder / ("full-seed" + std::to_string(run.seed));
      const auto table = read_metrics(folder / "metrics.csv");
      double up = 0, score = 0, start = 0;
      for (const auto& row : table.rows) {
        if (row.client != kAllRow) continue;
        up += row.up_mbit;
        score = row.values.front();
        if (row.round == 0) start = row.values.front();
      }
      CHECK(run.score == score);
      CHECK(run.start == start);
      CHECK(run.up_mbit == Approx(up / 2));
      CHECK(fs::exists(folder / "model" / "model.safetensors"));
    }
  }
  // LoRA of rank 2 on query and value of three blocks of width 16, and the head.
  const Json lora = load_json(dir / "out/cells/vilt/lora/1/full-seed4/run.json").root;
  std::int64_t parameters = 0;
  for (const auto& [unit, cost] : lora.at("unit_costs").items())
    parameters += cost.at("parameters").get<std::int64_t>();
  CHECK(results.cells[2].trained_parameters == parameters);
  CHECK(results.cells[2].trained_parameters < results.cells[0].trained_parameters);
  CHECK(results.cells[0].learning_rate == 0.01);
  CHECK(fs::exists(dir / "out/cells/vilt/lora/0.5/learning_rates.json"));
  CHECK(
      read_metrics(dir / "out/cells/vilt/full/0.5/full-seed4/metrics.csv").rows[0].train_samples ==
      4);
}

TEST_CASE_METHOD(Fixture,
                 "a benchmark that was interrupted ends with the bytes of one that was not") {
  run("whole");
  int rounds = 0;
  RunOptions options;
  options.after_round = [&](const fs::path&, int) {
    if (++rounds == 9) throw Stop();
  };
  CHECK_THROWS_AS(run("parts", {}, options), Stop);
  CHECK(read_benchmark(dir / "parts").cells.size() < 4);
  resume("parts");
  CHECK(json("parts") == json("whole"));
  test::check_same(dir / "whole/cells", dir / "parts/cells");
}

TEST_CASE_METHOD(Fixture, "what is done is not done again, and seeds and methods may be added") {
  run("out", {"run.seeds=[4]"});
  const fs::path model = dir / "out/cells/vilt/full/1/model/model.safetensors";
  REQUIRE(fs::exists(model));
  fs::remove(model);
  resume("out", {"run.seeds=[4]"});
  CHECK_FALSE(fs::exists(model));  // its cell was left alone
  write(kBenchmark + "    head: {}\n");
  const auto more = resume("out");
  CHECK(more.cells.size() == 6);
  for (const auto& cell : more.cells) CHECK(cell.runs.size() == 2);
  write(kBenchmark + "    head: {}\n");
  run("fresh");
  CHECK(json("out") == json("fresh"));
}

TEST_CASE_METHOD(Fixture,
                 "a cell whose folder was removed is made anew, and fewer seeds may be asked for") {
  run("out");
  run("whole");
  fs::remove_all(dir / "out/cells/vilt/full/1");
  fs::remove_all(dir / "out/cells/vilt/lora/0.5/full-seed5");
  resume("out");
  CHECK(json("out") == json("whole"));
  test::check_same(dir / "whole/cells", dir / "out/cells");
  resume("out", {"run.seeds=[5]"});
  test::check_same(dir / "whole/cells", dir / "out/cells");
}

TEST_CASE_METHOD(Fixture, "training that does not stay finite is a failure, and the rest goes on") {
  const auto results = run("out", {"run.local.learning_rate=10", "run.local.weight_decay=10",
                                   "run.rounds=3", "benchmark.fractions=[1]"});
  REQUIRE(results.cells.size() == 2);
  CHECK_THAT(results.cells[0].failure, Contains("no client's training stayed finite"));
  CHECK(results.cells[0].runs.empty());
  CHECK(results.cells[1].failure.empty());
  CHECK(results.cells[1].runs.size() == 2);
  CHECK_THAT(resume("out", {"run.local.learning_rate=10", "run.local.weight_decay=10",
                            "run.rounds=3", "benchmark.fractions=[1]"})
                 .cells[0]
                 .failure,
             Contains("finite"));
}

TEST_CASE_METHOD(Fixture, "a benchmark says what is wrong before it writes anything") {
  write(kBenchmark + "    tsa: {model: {peft: {tsa: {}}}, units: {scheme: tsa+only}}\n");
  CHECK_THROWS_WITH(run("out"), Contains("tsa of vilt"));
  CHECK_FALSE(fs::exists(dir / "out"));
  write(kBenchmark);
  run("out", {"run.seeds=[4]", "benchmark.fractions=[1]"});
  CHECK_THROWS_WITH(run("out"), Contains("already holds a benchmark; --resume continues it"));
  CHECK_THROWS_WITH(
      resume("out", {"run.rounds=3"}),
      Contains("the folder holds full of vilt with 100 % with another configuration"));
  write("benchmark: {backbones: {vilt: {}}, methods: {head: {}}}\n");
  CHECK_THROWS_WITH(resume("out"), Contains("full of vilt with 100 %, which is no longer there"));
}
