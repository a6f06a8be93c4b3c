#include "fedrunner/learning_rates.h"

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

struct Fixture : test::TinyRuns {
  std::vector<RunSummary> run(const std::string& out, const std::string& rate,
                              const std::vector<std::string>& set = {},
                              RunOptions options = {}) const {
    dir.write("tiny.yaml",
              test::tiny_experiment(dir,
                                    "  strategies: [full, head]\n  rounds: 2\n  budget: 1\n"
                                    "  seeds: [4, 5]\n  local: {steps: 3, batch_size: 3, "
                                    "learning_rate: " +
                                        rate + "}\n"));
    return run_experiment(dir / "tiny.yaml", set, dir / out, tools, options);
  }

  Json choices(const std::string& out) const {
    return load_json(dir / out / "learning_rates.json").root.at("strategies");
  }
};

std::int64_t tested(const fs::path& run) {
  for (const auto& row : read_metrics(run / "metrics.csv").rows)
    if (row.client == kAllRow) return row.test_samples;
  return 0;
}

struct Stop {};

}  // namespace

TEST_CASE_METHOD(Fixture, "every strategy gets the rate whose trial ended best") {
  const auto summaries = run("out", "[0.05, 0.0001, 0.002]");
  const Json found = choices("out");
  REQUIRE(found.size() == 2);
  for (std::size_t s = 0; s < 2; ++s) {
    const Json& trials = found[s].at("trials");
    REQUIRE(trials.size() == 3);
    CHECK(trials[0].at("learning_rate") == 0.0001);  // ascending
    const Json* best = &trials[0];
    for (const Json& trial : trials) {
      const auto table =
          read_metrics(dir / "out" / trial.at("folder").get<std::string>() / "metrics.csv");
      const RoundMetrics& last = table.rows[table.rows.size() - 2];  // of all clients
      CHECK(last.round == 2);
      CHECK(trial.at("accuracy") == last.values.front());
      CHECK(trial.at("loss") == last.test_loss);
      const auto place = [](const Json& one) {
        return std::pair(-one.at("accuracy").get<double>(), one.at("loss").get<double>());
      };
      if (place(trial) < place(*best)) best = &trial;
    }
    CHECK(found[s].at("learning_rate") == best->at("learning_rate"));
    CHECK(found[s].at("by") == "accuracy");
    // The runs of both seeds have it, and train as if it had stood in their file.
    for (std::size_t k = 0; k < 2; ++k) {
      CHECK(summaries[2 * s + k].learning_rate == found[s].at("learning_rate"));
      const Json config = load_yaml(summaries[2 * s + k].folder / "config.yaml").root;
      CHECK(config.at("run").at("local").at("learning_rate") == found[s].at("learning_rate"));
    }
  }
  const std::string full = found[0].at("learning_rate").dump();
  run("alone", full, {"run.strategies=[full]"});
  test::check_same(dir / "out" / "full-seed4", dir / "alone" / "full-seed4");
}

TEST_CASE_METHOD(Fixture, "trials see no test example, and runs every training example") {
  run("out", "[0.01, 0.02]");
  // 4, 5 and 6 images with two questions: one image of each client is held out.
  for (const char* trial : {"full-0.01", "full-0.02", "head-0.01", "head-0.02"}) {
    const fs::path folder = dir / "out" / "trials" / trial;
    CHECK(tested(folder) == 6);
    CHECK_FALSE(fs::exists(folder / "model"));
    const Json config = load_yaml(folder / "config.yaml").root;
    CHECK(config.at("data").at("evaluate_on") == "validation");
    CHECK(config.at("run").at("seeds") == Json({4}));
  }
  const auto rows = read_metrics(dir / "out" / "full-seed4" / "metrics.csv").rows;
  CHECK(rows[0].test_samples == 4);
  CHECK(rows[0].train_samples == 8);
  CHECK(read_metrics(dir / "out/trials/full-0.01/metrics.csv").rows[0].train_samples == 6);
}

TEST_CASE_METHOD(Fixture, "a search that was interrupted ends with the bytes of one that was not") {
  const std::string rates = "{from: 0.001, to: 0.1, trials: 3, by: closed_accuracy}";
  run("whole", rates);
  CHECK(choices("whole")[0].at("by") == "closed_accuracy");
  CHECK(fs::exists(dir / "whole/trials/full-0.01"));  // the middle of the grid
  // Stopped in the first run, when all trials are done; then a trial is lost, and half of another.
  RunOptions options;
  options.after_round = [](const fs::path&, int round) {
    if (round == 1) throw Stop();
  };
  CHECK_THROWS_AS(run("parts", rates, {}, options), Stop);
  fs::remove_all(dir / "parts/trials/head-0.1");
  fs::remove(dir / "parts/learning_rates.json");
  options = {};
  options.resume = true;
  run("parts", rates, {}, options);
  test::check_same(dir / "whole", dir / "parts");
  run("parts", rates, {}, options);  // nothing is left to do
  test::check_same(dir / "whole", dir / "parts");
}

TEST_CASE_METHOD(Fixture, "a strategy keeps a rate of its own, and a diverged trial has lost") {
  const auto own =
      run("own", "[0.01, 0.02]", {"run.strategies=[{name: head, learning_rate: 0.5}, full]"});
  CHECK(own[0].learning_rate == 0.5);
  CHECK(choices("own").size() == 1);
  CHECK(choices("own")[0].at("strategy") == "full");
  const Json kept = load_yaml(dir / "own/experiment.yaml").root.at("run");
  CHECK(kept.at("strategies")[0].at("learning_rate") == 0.5);
  CHECK_FALSE(kept.at("strategies")[1].contains("learning_rate"));
  CHECK(kept.at("local").at("learning_rate") == Json({0.01, 0.02}));

  // Without bounds on gradients: weights of 1e30 give no finite loss.
  const std::vector<std::string> wild = {"run.strategies=[full]", "run.local.weight_decay=10",
                                         "run.rounds=3"};
  const auto best = run("wild", "[0.01, 10]", wild);
  CHECK(best[0].learning_rate == 0.01);
  CHECK(choices("wild")[0].at("trials")[1].at("accuracy").is_null());
}

TEST_CASE_METHOD(Fixture, "a search says what is wrong before it writes anything") {
  CHECK_THROWS_WITH(run("out", "{values: [0.1, 0.2], by: accurcy}"),
                    Contains("run.local.learning_rate.by: unknown name \"accurcy\" (did you mean "
                             "\"accuracy\"?)"));
  CHECK_FALSE(fs::exists(dir / "out"));
  CHECK_THROWS_WITH(run("out", "[0.1, 0.2]", {"data.fraction=0.01"}),
                    Contains("no client has two images for training"));
  CHECK_FALSE(fs::exists(dir / "out"));
  run("plain", "0.1", {"run.strategies=[full]"});
  RunOptions options;
  options.resume = true;
  CHECK_THROWS_WITH(run("plain", "[0.1, 0.2]", {"run.strategies=[full]"}, options),
                    Contains("whose learning rate was not chosen by trials"));
  CHECK_THROWS_WITH(run("plain", "[0.1, 0.2]", {"run.strategies=[full]"}),
                    Contains("choose another --out"));
  CHECK_FALSE(fs::exists(dir / "plain/trials"));
}
