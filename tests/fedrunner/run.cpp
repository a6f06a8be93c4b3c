#include "strata/fedrunner/run.h"

#include <map>
#include <set>
#include <sstream>

#include "catch.h"
#include "core/console.h"
#include "core/csv.h"
#include "fedrunner/tiny.h"
#include "models/device.h"
#include "strata/core/error.h"
#include "strata/core/safetensors.h"
#include "strata/core/score_table.h"
#include "strata/fedrunner/metrics.h"

using namespace strata;
using Catch::Matchers::Contains;
namespace fs = std::filesystem;

namespace {

const std::string kRun =
    "  strategies: [f3ocus]\n  rounds: 4\n  budget: 1\n  score: {samples: 4, every: 2}\n"
    "  local: {steps: 3, batch_size: 3, learning_rate: 0.01}\n";

struct Fixture {
  test::TempDir dir;
  RunTools tools = test::tiny_tools();

  Fixture() {
    set_quiet(true);
    test::write_tiny_data(dir / "data");
    test::write_tiny_foundation(dir / "foundation");
    dir.write("tiny.yaml", test::tiny_experiment(dir, kRun));
  }

  std::vector<RunSummary> run(const std::string& out, const std::vector<std::string>& set = {},
                              RunOptions options = {}) const {
    return run_experiment(dir / "tiny.yaml", set, dir / out, tools, options);
  }
};

struct Stop {};

/// metrics.csv without its last two columns, which are measured.
std::string reproducible(const fs::path& metrics) {
  std::istringstream in(test::slurp(metrics));
  std::string out;
  for (std::string line; std::getline(in, line);) {
    for (int i = 0; i < 2; ++i) line.erase(line.rfind(','));
    out += line + '\n';
  }
  return out;
}

/// Path → content of all that two equal runs must share.
std::map<std::string, std::string> contents(const fs::path& run) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(run)) {
    const auto name = fs::relative(entry.path(), run).string();
    if (!entry.is_regular_file() || name == "run.json" || name == "run.log") continue;
    files[name] = name == "metrics.csv" ? reproducible(entry.path()) : test::slurp(entry.path());
  }
  return files;
}

void check_same(const fs::path& a, const fs::path& b) {
  const auto left = contents(a), right = contents(b);
  for (const auto& [name, content] : left) {
    INFO(name);
    REQUIRE(right.count(name) == 1);
    CHECK((right.at(name) == content));
  }
  CHECK(left.size() == right.size());
}

const RoundMetrics& row_of(const std::vector<RoundMetrics>& rows, int round,
                           const std::string& client) {
  for (const auto& row : rows) {
    if (row.round == round && row.client == client) return row;
  }
  throw std::runtime_error("no row of " + client);
}

}  // namespace

TEST_CASE_METHOD(Fixture, "a run folder holds the whole run, and counts every bit sent") {
  const auto summaries = run("out");
  REQUIRE(summaries.size() == 1);
  CHECK(summaries[0].folder == dir / "out");
  const std::set<std::string> expected = {"config.yaml",
                                          "metrics.csv",
                                          "model/config.json",
                                          "model/model.safetensors",
                                          "model/preprocessor_config.json",
                                          "model/tokenizer_config.json",
                                          "model/vocab.txt",
                                          "rounds/001/plan.json",
                                          "rounds/001/scores.json",
                                          "rounds/002/plan.json",
                                          "rounds/003/plan.json",
                                          "rounds/003/scores.json",
                                          "rounds/004/plan.json",
                                          "state/round-004.safetensors",
                                          "state/state.json"};
  std::set<std::string> found;
  for (const auto& [name, content] : contents(dir / "out")) found.insert(name);
  CHECK(found == expected);
  CHECK_THAT(test::slurp(dir / "out" / "run.json"),
             Contains("\"status\": \"done\"") && Contains("\"rounds_done\": 4"));
  CHECK_THAT(test::slurp(dir / "out" / "run.log"),
             Contains("head: 3 clients (ct, mri, oct)") && Contains("untouched: block."));

  const auto rows = read_metrics(dir / "out" / "metrics.csv");
  CHECK(rows.size() == 5 * 5);
  // Weights by hand: a block has 3 · (16² + 16) for queries, keys and values, 16² + 16 behind them,
  // two LayerNorms of 2 · 16, 64 · 16 + 64 and 16 · 64 + 16; the head a LayerNorm of 2 · 16, the
  // pooler's 16² + 16, 32 · 16 + 32, a LayerNorm of 2 · 32 and 5 · 32 + 5.
  const double block = 32.0 * 3280 / 1e6, head = 32.0 * 1077 / 1e6, scores = 64.0 * 3 / 1e6;
  for (const std::string client : {"ct", "mri", "oct"}) {
    CHECK(row_of(rows, 0, client).up_mbit == 0);
    CHECK(row_of(rows, 1, client).up_mbit == Approx(block + head + scores).epsilon(1e-12));
    CHECK(row_of(rows, 2, client).up_mbit == Approx(block + head).epsilon(1e-12));
    CHECK(row_of(rows, 1, client).down_mbit == 0);
  }
  for (int round = 2; round <= 4; ++round) {
    const auto before =
        read_plan(dir / "out" / "rounds" / ("00" + std::to_string(round - 1)) / "plan.json");
    double changed = head;
    for (const int clients : usage(before.assignment)) changed += clients > 0 ? block : 0;
    CHECK(row_of(rows, round, "ct").down_mbit == Approx(changed).epsilon(1e-12));
    CHECK(row_of(rows, round, "all").down_mbit == Approx(3 * changed).epsilon(1e-12));
    CHECK(row_of(rows, round, "mean").down_mbit == Approx(changed).epsilon(1e-12));
  }
  // Aggregates: all clients have four test questions, so both accuracies agree; training losses are
  // weighted by 8, 10 and 12 samples.
  const auto& all = row_of(rows, 4, "all");
  CHECK(all.train_samples == 30);
  CHECK(all.test_samples == 12);
  CHECK(all.accuracy == Approx(row_of(rows, 4, "mean").accuracy));
  CHECK(all.train_loss ==
        Approx((8 * row_of(rows, 4, "ct").train_loss + 10 * row_of(rows, 4, "mri").train_loss +
                12 * row_of(rows, 4, "oct").train_loss) /
               30));
  const auto plan = read_plan(dir / "out" / "rounds" / "004" / "plan.json");
  CHECK(all.importance == plan.objectives.importance);
  CHECK(all.usage_variance == plan.objectives.usage_variance);
  CHECK(std::isnan(row_of(rows, 4, "ct").importance));
  // Round 4 plans on the scores of round 3.
  CHECK(plan.scores_digest == digest(read_scores(dir / "out" / "rounds" / "003" / "scores.json")));
  for (const auto& [key, value] : plan.provenance) CHECK(key == "strata");

  CHECK(summaries[0].final_accuracy == all.accuracy);
  CHECK(summaries[0].foundation_accuracy == row_of(rows, 0, "all").accuracy);
  CHECK(summaries[0].up_mbit_per_round == Approx(3 * (block + head + scores / 2)).epsilon(1e-12));

  // The model in the folder is the one that was measured last.
  const auto global = Transformer::load(dir / "out" / "model");
  const auto state = test::slurp(dir / "out" / "state" / "state.json");
  CHECK_THAT(state, Contains("round-004.safetensors"));
  CHECK(global.fingerprint() != Transformer::load(dir / "foundation").fingerprint());
}

TEST_CASE_METHOD(Fixture, "units that nobody trained keep the foundation's bits") {
  run("out", {"run.rounds=1", "units.always=[]"});
  const auto plan = read_plan(dir / "out" / "rounds" / "001" / "plan.json");
  const auto counts = usage(plan.assignment);
  const auto before = Transformer::load(dir / "foundation"),
             after = Transformer::load(dir / "out" / "model");
  for (const auto& unit : after.units()) {
    const auto place = std::find(plan.units.begin(), plan.units.end(), unit.name);
    const bool trained = place != plan.units.end() &&
                         counts[static_cast<std::size_t>(place - plan.units.begin())] > 0;
    bool same = true;
    for (const auto& name : unit.parameters)
      same = same && test::same_bits(before.weight(name), after.weight(name));
    INFO(unit.name);
    CHECK(same == !trained);
  }
}

TEST_CASE_METHOD(Fixture, "the same seed gives the same bytes, another seed others") {
  run("a");
  run("b");
  check_same(dir / "a", dir / "b");
  run("c", {"run.seeds=[2]"});
  CHECK(test::slurp(dir / "a" / "model" / "model.safetensors") !=
        test::slurp(dir / "c" / "model" / "model.safetensors"));
}

TEST_CASE_METHOD(Fixture, "a resumed run ends like an uninterrupted one, byte for byte") {
  run("whole");
  RunOptions stopping;
  stopping.after_round = [](const fs::path&, int round) {
    if (round == 2) throw Stop();
  };
  CHECK_THROWS_AS(run("stopped", {}, stopping), Stop);
  CHECK_THAT(test::slurp(dir / "stopped" / "run.json"),
             Contains("\"status\": \"running\"") && Contains("\"rounds_done\": 2"));
  RunOptions resuming;
  resuming.resume = true;
  run("stopped", {}, resuming);
  check_same(dir / "whole", dir / "stopped");

  // Killed inside round 3, with its scores already written.
  int plans = 0;
  auto planner = tools.plan;
  tools.plan = [&](const PlanningProblem& problem, const PlanRequest& request) {
    if (++plans == 3) throw Stop();
    return planner(problem, request);
  };
  CHECK_THROWS_AS(run("killed"), Stop);
  CHECK(fs::exists(dir / "killed" / "rounds" / "003" / "scores.json"));
  tools.plan = planner;
  run("killed", {}, resuming);
  check_same(dir / "whole", dir / "killed");

  // A finished run is left as it is; --resume on an empty folder starts.
  run("killed", {}, resuming);
  check_same(dir / "whole", dir / "killed");
  run("fresh", {}, resuming);
  check_same(dir / "whole", dir / "fresh");
}

TEST_CASE_METHOD(Fixture, "metrics.csv of a round that was not completed is measured again") {
  run("whole");
  RunOptions stopping;
  stopping.after_round = [](const fs::path&, int round) {
    if (round == 3) throw Stop();
  };
  CHECK_THROWS_AS(run("killed", {}, stopping), Stop);
  // As if the machine had gone down between metrics.csv and the state of round 3.
  const auto metrics = test::slurp(dir / "killed" / "metrics.csv");
  stopping.after_round = [](const fs::path&, int round) {
    if (round == 2) throw Stop();
  };
  CHECK_THROWS_AS(run("two", {}, stopping), Stop);
  dir.write("two/metrics.csv", metrics);
  RunOptions resuming;
  resuming.resume = true;
  run("two", {}, resuming);
  check_same(dir / "whole", dir / "two");
}

TEST_CASE_METHOD(Fixture, "several strategies and seeds make one folder each") {
  const auto summaries =
      run("out", {"run.strategies=[f3ocus, random, full]", "run.seeds=[1, 2]", "run.rounds=2"});
  REQUIRE(summaries.size() == 6);
  for (const std::string strategy : {"f3ocus", "random", "full"}) {
    for (const std::string seed : {"1", "2"}) {
      const auto folder = dir / "out" / (strategy + "-seed" + seed);
      CHECK(fs::exists(folder / "config.yaml"));
      CHECK(fs::exists(folder / "rounds" / "001" / "scores.json") == (strategy == "f3ocus"));
      const auto first = read_plan(folder / "rounds" / "001" / "plan.json");
      const auto second = read_plan(folder / "rounds" / "002" / "plan.json");
      CHECK(first.assignment.cast<int>().sum() == (strategy == "full" ? 9 : 3));
      if (strategy == "random") CHECK(first.seed != second.seed);
      const auto rows = read_metrics(folder / "metrics.csv");
      CHECK(std::isnan(row_of(rows, 1, "all").importance) == (strategy != "f3ocus"));
    }
  }
  // A pair run alone gives the same bytes as within the experiment.
  run("alone", {"run.strategies=[random]", "run.seeds=[2]", "run.rounds=2"});
  check_same(dir / "alone", dir / "out" / "random-seed2");
}

TEST_CASE_METHOD(Fixture, "adapters are added, trained, sent, saved and resumed; nothing else is") {
  const std::vector<std::string> set = {
      "model.peft={adapters: {reduction: 4}, prompts: {length: 2}}", "units.scheme=adapter+prompt"};
  run("whole", set);
  const auto before = Transformer::load(dir / "foundation");
  const auto after = Transformer::load(dir / "whole" / "model");
  CHECK(after.config().peft.adapter_reduction == 4);
  for (const auto& unit : before.units()) {
    if (unit.name == "head") continue;
    for (const auto& name : unit.parameters) {
      INFO(name);
      CHECK(test::same_bits(before.weight(name), after.weight(name)));
    }
  }
  // Fresh weights are those of the run's seed; what nobody trained still has them.
  auto fresh = Transformer::load(dir / "foundation");
  fresh.add_peft(after.config().peft, 1);
  fresh.set_units("adapter+prompt");
  std::set<std::string> trained;
  for (int round = 1; round <= 4; ++round) {
    const auto plan =
        read_plan(dir / "whole" / "rounds" / ("00" + std::to_string(round)) / "plan.json");
    CHECK(plan.units == std::vector<std::string>{"prompt", "adapter.0", "adapter.1", "adapter.2"});
    for (int client = 0; client < 3; ++client) {
      for (const auto& unit : plan.units_of(client)) trained.insert(unit);
    }
  }
  for (const auto& unit : fresh.units()) {
    if (unit.name == "embeddings" || unit.name == "head") continue;
    INFO(unit.name);
    bool same = true;
    for (const auto& name : unit.parameters)
      same = same && test::same_bits(fresh.weight(name), after.weight(name));
    CHECK(same == (trained.count(unit.name) == 0));
  }

  // An adapter by hand: 16 · 4 + 4 down, 4 · 16 + 16 up; two prompt vectors of 16; head as above.
  const auto plan = read_plan(dir / "whole" / "rounds" / "002" / "plan.json");
  const auto rows = read_metrics(dir / "whole" / "metrics.csv");
  for (int client = 0; client < 3; ++client) {
    double weights = 1077;
    for (const auto& unit : plan.units_of(client)) weights += unit == "prompt" ? 32 : 148;
    CHECK(row_of(rows, 2, plan.clients[static_cast<std::size_t>(client)]).up_mbit ==
          Approx(32 * weights / 1e6).epsilon(1e-12));
  }
  std::int64_t stored = 0;
  const SafetensorsFile state(dir / "whole" / "state" / "round-004.safetensors");
  for (const auto& tensor : state.tensors()) stored += tensor.element_count();
  CHECK(stored == 3 * 148 + 32 + 1077);

  RunOptions stopping, resuming;
  stopping.after_round = [](const fs::path&, int round) {
    if (round == 2) throw Stop();
  };
  resuming.resume = true;
  CHECK_THROWS_AS(run("stopped", set, stopping), Stop);
  run("stopped", set, resuming);
  check_same(dir / "whole", dir / "stopped");
  auto other = set;
  other[0] = "model.peft={adapters: {reduction: 2}, prompts: {length: 2}}";
  CHECK_THROWS_WITH(run("stopped", other, resuming),
                    Contains("differs in model.peft.adapters.reduction"));

  // Several seeds in one experiment give what each gives alone: no run sees another's weights.
  auto seeds = set;
  seeds.push_back("run.seeds=[2, 1]");
  run("both", seeds);
  check_same(dir / "whole", dir / "both" / "f3ocus-seed1");
  CHECK(test::slurp(dir / "both" / "f3ocus-seed2" / "model" / "adapter_model.safetensors") !=
        test::slurp(dir / "whole" / "model" / "adapter_model.safetensors"));
}

TEST_CASE_METHOD(Fixture, "clients get the files that the plan's adapters need, every round") {
  std::vector<std::string> asked;
  tools.client_files = [&](const Plan& plan, const fs::path& folder, const fs::path& peft) {
    CHECK(fs::exists(peft));
    asked.push_back(folder.filename().string());
    return std::vector<std::pair<fs::path, std::string>>{
        {folder / "ct" / "adapter_config.json", plan.units.front()}};
  };
  run("out", {"model.peft={lora: {rank: 2}}", "units.scheme=lora", "run.rounds=2"});
  CHECK(asked == std::vector<std::string>{"001", "002"});
  CHECK(test::slurp(dir / "out" / "rounds" / "002" / "ct" / "adapter_config.json") == "lora.0");
  asked.clear();
  run("norms", {"units.scheme=layernorm", "run.rounds=1"});
  CHECK(asked.empty());
}

TEST_CASE_METHOD(Fixture, "the runner's own strategies: head, dropout, roundrobin") {
  run("out", {"run.strategies=[head, dropout, roundrobin]", "run.budget=2", "run.rounds=3",
              "run.plan={every: 3}", "units.always=[]"});
  const auto plan = [&](const std::string& strategy, int round) {
    return read_plan(dir / "out" / (strategy + "-seed1") / "rounds" /
                     ("00" + std::to_string(round)) / "plan.json");
  };
  CHECK(plan("head", 1).assignment.cast<int>().sum() == 0);
  const auto before = Transformer::load(dir / "foundation"),
             after = Transformer::load(dir / "out" / "head-seed1" / "model");
  for (const auto& unit : before.units()) {
    bool same = true;
    for (const auto& name : unit.parameters)
      same = same && test::same_bits(before.weight(name), after.weight(name));
    INFO(unit.name);
    CHECK(same == (unit.name != "head"));
  }
  // Dropout draws in every round, whatever plan.every says.
  std::set<std::string> drawn;
  for (int round = 1; round <= 3; ++round) {
    const auto found = plan("dropout", round);
    CHECK((found.assignment.cast<int>().rowwise().sum().array() == 2).all());
    std::string text;
    for (int client = 0; client < 3; ++client) {
      for (const auto& unit : found.units_of(client)) text += unit;
    }
    drawn.insert(text);
  }
  CHECK(drawn.size() > 1);
  CHECK((plan("roundrobin", 1).assignment == plan("roundrobin", 3).assignment));
  CHECK_FALSE(fs::exists(dir / "out" / "dropout-seed1" / "rounds" / "001" / "scores.json"));

  // Six units dealt to three clients are two rounds of three units: every round uses each twice,
  // and over three rounds every client has trained every unit twice.
  run("rr", {"run.strategies=[roundrobin]", "run.budget=2", "run.rounds=3"});
  Eigen::MatrixXi sum = Eigen::MatrixXi::Zero(3, 3);
  for (int round = 1; round <= 3; ++round) {
    const auto found =
        read_plan(dir / "rr" / "rounds" / ("00" + std::to_string(round)) / "plan.json");
    for (const int clients : usage(found.assignment)) CHECK(clients == 2);
    sum += found.assignment.cast<int>();
  }
  CHECK((sum.array() == 2).all());
}

TEST_CASE_METHOD(Fixture, "with plan.every the last plan stays in force, also after a resume") {
  const std::vector<std::string> set = {"run.plan={every: 2}", "run.score={samples: 4}"};
  run("whole", set);
  const auto plan = [&](int round) {
    return test::slurp(dir / "whole" / "rounds" / ("00" + std::to_string(round)) / "plan.json");
  };
  CHECK((plan(1) == plan(2)));
  CHECK((plan(3) == plan(4)));
  CHECK((plan(1) != plan(3)));
  const auto rows = read_metrics(dir / "whole" / "metrics.csv");
  CHECK(row_of(rows, 1, "all").importance == row_of(rows, 2, "all").importance);
  RunOptions stopping, resuming;
  stopping.after_round = [](const fs::path&, int round) {
    if (round == 3) throw Stop();
  };
  resuming.resume = true;
  CHECK_THROWS_AS(run("stopped", set, stopping), Stop);
  run("stopped", set, resuming);
  check_same(dir / "whole", dir / "stopped");
}

TEST_CASE_METHOD(Fixture, "rounds that are not evaluated leave their accuracies empty") {
  run("out", {"run.evaluate_every=3"});
  const auto rows = read_metrics(dir / "out" / "metrics.csv");
  for (int round = 0; round <= 4; ++round) {
    const bool evaluated = round == 0 || round == 3 || round == 4;
    CHECK(std::isnan(row_of(rows, round, "all").accuracy) == !evaluated);
    CHECK(std::isnan(row_of(rows, round, "ct").test_loss) == !evaluated);
    CHECK(std::isnan(row_of(rows, round, "ct").train_loss) == (round == 0));
  }
}

TEST_CASE_METHOD(Fixture, "the cosine schedule lowers the learning rate from round to round") {
  const auto weights = [&](const std::string& rounds, const std::string& schedule) {
    const std::string out = schedule + rounds;
    run(out, {"run.rounds=" + rounds, "run.local.schedule=" + schedule});
    return test::slurp(dir / out / "model" / "model.safetensors");
  };
  CHECK((weights("1", "cosine") == weights("1", "constant")));
  CHECK((weights("2", "cosine") != weights("2", "constant")));
  CHECK(
      test::error_of([&] { run("out", {"run.local.schedule=cosinus"}); }) ==
      (dir / "tiny.yaml").string() +
          ": run.local.schedule: \"cosinus\" is not one of \"constant\", \"cosine\" (did you mean "
          "\"cosine\"?)");
}

TEST_CASE_METHOD(Fixture, "a folder that holds a run is refused, and nothing is written") {
  run("out", {"run.rounds=1"});
  const auto before = contents(dir / "out");
  RunOptions resuming;
  resuming.resume = true;
  CHECK_THROWS_WITH(run("out", {"run.rounds=1"}), Contains("already holds this run; --resume"));
  CHECK_THROWS_WITH(run("out", {"run.rounds=2"}, resuming),
                    Contains("the folder holds another run, which differs in run.rounds"));
  CHECK_THROWS_WITH(run("out", {"run.rounds=1", "run.local.learning_rate=0.02"}, resuming),
                    Contains("differs in run.local.learning_rate"));
  CHECK_THROWS_WITH(run("out", {"run.rounds=1", "run.seeds=[1, 2]"}, resuming),
                    Contains("the folder holds a single run"));
  CHECK((contents(dir / "out") == before));

  // Resuming on a changed foundation would silently mix two runs.
  Transformer(test::tiny_config(), 99).save(dir / "foundation");
  CHECK_THROWS_WITH(run("out", {"run.rounds=1"}, resuming),
                    Contains("the run started from another foundation than"));
}

TEST_CASE_METHOD(Fixture, "wrong input is refused before anything is written") {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"run.budget=4", "run.budget: the client \"ct\" has a budget of 4 units, but only 3 are"},
      {"run.budget={ct: 1, mri: 1, oct: 9}", "the client \"oct\" has a budget of 9 units"},
      {"units.always=[block.1]", "units.always: \"block.1\" is selectable, too"},
      {"units.selectable=[block.7]", "the model has no unit \"block.7\""},
      {"units.scheme=adapter", "units.scheme: unit scheme \"adapter\": the model has no adapters"},
      {"model.peft={lora: {rank: 17}}", "model.peft: lora_rank: found 17"},
      {"model.folder=nowhere",
       "model.folder: nowhere holds no model (no config.json); strata "
       "pretrain"},
      {"data.folder=nowhere", "nowhere"}};
  for (const auto& [set, message] : cases) {
    INFO(set);
    CHECK_THROWS_WITH(run("out", {set}), Contains(message));
    CHECK_THROWS_AS(run("out", {set}), InputError);
    CHECK_FALSE(fs::exists(dir / "out"));
  }
  CHECK_THROWS_WITH(run("out", {"run.budget={ct: 0, mri: 0, oct: 0}", "units.always=[]"}),
                    Contains("no client would train anything"));
  auto manifest = test::slurp(dir / "data" / "manifest.jsonl");
  for (std::size_t at; (at = manifest.find("\"ct\"")) != std::string::npos;)
    manifest.replace(at, 4, "\"c/t\"");
  dir.write("data/manifest.jsonl", manifest);
  CHECK_THROWS_WITH(run("out", {"model.peft={lora: {}}", "units.scheme=lora"}),
                    Contains("the client \"c/t\" cannot name a folder"));
  RunOptions options;
  options.device = "tpu";
  CHECK_THROWS_AS(run("out", {}, options), InputError);
  CHECK_FALSE(fs::exists(dir / "out"));
}

TEST_CASE_METHOD(Fixture, "a client without budget neither trains nor sends weights") {
  run("out", {"run.budget={ct: 0, mri: 2, oct: 3}", "units.always=[]", "run.rounds=1"});
  const auto rows = read_metrics(dir / "out" / "metrics.csv");
  const auto& ct = row_of(rows, 1, "ct");
  CHECK(std::isnan(ct.train_loss));
  CHECK(ct.up_mbit == Approx(64.0 * 3 / 1e6).epsilon(1e-12));
  CHECK_FALSE(std::isnan(ct.accuracy));
}
