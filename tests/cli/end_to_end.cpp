// The whole way as a user walks it, with the real programs on a tiny configuration: data, pretrain,
// inspect, score, plan, run (killed and resumed), report; then every kind of wrong input.
#include <signal.h>

#include <chrono>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "catch.h"
#include "command.h"
#include "strata/core/plan.h"
#include "strata/core/safetensors.h"
#include "strata/core/score_table.h"
#include "strata/fedrunner/event_file.h"
#include "strata/fedrunner/metrics.h"
#include "support/shards.h"
#include "tidy_csv.h"
#include "wrong_input.h"

using namespace strata;
using namespace strata::fedrunner;
using test::run_strata;
namespace fs = std::filesystem;

namespace {

const char* const kConfig = R"(version: 1
name: tiny
data:
  folder: data
  partition: modality
model:
  folder: foundation
  architecture: {hidden_size: 16, layers: 3, heads: 2, image_size: 32, patch_size: 8, max_text: 16}
pretrain:
  data: data/shapes
  vocabulary: [data]
  epochs: 1
  batch_size: 16
  learning_rate: 1.0e-3
units:
  selectable: blocks
  always: [head]
run:
  strategies: [f3ocus, random]
  seeds: [1]
  rounds: 3
  budget: 1
  score: {samples: 2, every: 2}
  local: {steps: 2, batch_size: 4, learning_rate: 1.0e-3}
  tensorboard: true
)";

/// Data and foundation, made once for all tests of this program.
const fs::path& workshop() {
  static const test::TempDir dir;
  static const bool made = [] {
    test::make_data_and_model(dir, kConfig, "20", "200", "foundation");
    return true;
  }();
  REQUIRE(made);
  return dir.path();
}

/// Every file of a run that must not depend on interruptions or time, by name.
std::map<std::string, std::string> reproducible_files(const fs::path& run) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(run)) {
    const std::string name = fs::relative(entry.path(), run).string();
    if (!entry.is_regular_file()) continue;
    if (name.find("rounds/") != std::string::npos ||
        entry.path().filename() == "model.safetensors" ||
        entry.path().filename() == "config.yaml" || entry.path().filename() == kEventFile)
      files[name] = test::slurp(entry.path());
    if (entry.path().filename() == "metrics.csv") {
      // The last two columns are measured.
      std::string rows;
      for (auto row : read_metrics(entry.path()).rows) {
        rows += std::to_string(row.round) + row.client + std::to_string(row.values[0]) +
                std::to_string(row.test_loss) + std::to_string(row.train_loss) +
                std::to_string(row.up_mbit) + std::to_string(row.down_mbit) + "\n";
      }
      files[name] = rows;
    }
  }
  return files;
}

}  // namespace

TEST_CASE("--version names the build, the BLAS, LibTorch and its devices") {
  const auto outcome = run_strata({"--version"}, workshop());
  CHECK(outcome.code == 0);
  for (const std::string part : {"strata 0.1.0", "LibTorch", "BLAS", "devices: cpu"})
    CHECK_THAT(outcome.out, Catch::Contains(part));
}

TEST_CASE("inspect prints every unit, and the head and blocks add up to the model") {
  const auto outcome = run_strata({"inspect", "foundation", "--json"}, workshop());
  REQUIRE(outcome.code == 0);
  const auto json = nlohmann::json::parse(outcome.out);
  std::int64_t parameters = 0;
  std::vector<std::string> names;
  for (const auto& unit : json["units"]) {
    names.push_back(unit["name"]);
    parameters += unit["parameters"].get<std::int64_t>();
  }
  CHECK(names == std::vector<std::string>{"embeddings", "block.0", "block.1", "block.2", "head"});
  std::int64_t stored = 0;
  const SafetensorsFile file(workshop() / "foundation/model.safetensors");
  for (const auto& tensor : file.tensors()) stored += tensor.element_count();
  CHECK(parameters == stored);
}

TEST_CASE("scores feed the planner") {
  const auto score = run_strata({"score", "--model", "foundation", "--data", "data", "--samples",
                                 "2", "--threads", "1", "--out", "scores.json"},
                                workshop());
  INFO(score.err);
  REQUIRE(score.code == 0);
  const ScoreTable table = read_scores(workshop() / "scores.json");
  CHECK(table.clients.size() == 9);
  CHECK(table.units ==
        std::vector<std::string>{"embeddings", "block.0", "block.1", "block.2", "head"});
  CHECK(table.metric == "lntk");
  CHECK(table.samples == 2);
  for (int i = 0; i < table.client_count(); ++i) CHECK(table.scores.row(i).sum() == Approx(1));
  CHECK((table.raw.array() > 0).all());
  const auto plan = run_strata(
      {"plan", "--scores", "scores.json", "--budget", "2", "--out", "plan.json"}, workshop());
  REQUIRE(plan.code == 0);
  CHECK(read_plan(workshop() / "plan.json").gap.importance == Approx(0).margin(1e-9));
}

TEST_CASE("plan and run plan the same problem") {
  const fs::path& folder = workshop();
  const auto run =
      run_strata({"run", "tiny.yaml", "--out", "planned", "--threads", "1", "--set",
                  "run.strategies=[f3ocus]", "--set", "run.rounds=1", "--set", "units={}"},
                 folder);
  INFO(run.err);
  REQUIRE(run.code == 0);
  CHECK(run.err.find("warning") == std::string::npos);
  const auto first = nlohmann::json::parse(test::slurp(folder / "planned/rounds/001/plan.json"));
  // What the run scored, planned by hand.
  const auto plan = run_strata(
      {"plan", "--scores", "planned/rounds/001/scores.json", "--budget", "1", "--algorithm",
       first["algorithm"], "--seed", first["seed"].dump(), "--choose", first["choose"], "--json"},
      folder);
  INFO(plan.err);
  REQUIRE(plan.code == 0);
  CHECK(plan.err.find("warning") == std::string::npos);
  const auto again = nlohmann::json::parse(plan.out);
  for (const char* key : {"clients", "objectives", "front"}) {
    CAPTURE(key);
    CHECK(first.at(key) == again.at(key));
  }
  // Blocks compete and the head is always trained, in both.
  CHECK(first.at("always") == std::vector<std::string>{"head"});
  const auto score = run_strata({"score", "--model", "foundation", "--data", "data", "--samples",
                                 "2", "--threads", "1", "--out", "by-hand.json"},
                                folder);
  REQUIRE(score.code == 0);
  const auto hand =
      run_strata({"plan", "--scores", "by-hand.json", "--budget", "1", "--json"}, folder);
  CHECK(hand.err.find("warning") == std::string::npos);
  const auto by_hand = nlohmann::json::parse(hand.out);
  CHECK(by_hand.at("units") == first.at("units"));
  CHECK(by_hand.at("always") == first.at("always"));
}

namespace {

/// What `strata inspect` says of the foundation's units, which then stands in costs.json.
nlohmann::json unit_costs() {
  const auto inspect = run_strata({"inspect", "foundation", "--json"}, workshop());
  REQUIRE(inspect.code == 0);
  std::ofstream(workshop() / "costs.json") << inspect.out;
  return nlohmann::json::parse(inspect.out)["units"];
}

const nlohmann::json& named(const nlohmann::json& units, const std::string& name) {
  return *std::find_if(units.begin(), units.end(),
                       [&](const nlohmann::json& unit) { return unit["name"] == name; });
}

struct TwoPlans {
  nlohmann::json by_run, by_hand;
};

/// A round in which each client may spend so much, run into the folder `of`, and the plan that
/// `strata plan` makes of the round's scores and costs.json.
TwoPlans planned(const std::string& of, std::int64_t each_client) {
  const fs::path& folder = workshop();
  const std::string each = std::to_string(each_client);
  const auto run = run_strata({"run", "tiny.yaml", "--out", of, "--threads", "1", "--set",
                               "run.strategies=[f3ocus, roundrobin]", "--set", "run.rounds=1",
                               "--set", "run.budget={of: " + of + ", each: " + each + "}"},
                              folder);
  INFO(run.err);
  REQUIRE(run.code == 0);
  const fs::path round = fs::path(of) / "f3ocus-seed1/rounds/001";
  const auto by_run = nlohmann::json::parse(test::slurp(folder / round / "plan.json"));
  CHECK(by_run["algorithm"] == "prices");
  CHECK(by_run["budget"]["of"] == of);
  const auto plan = run_strata(
      {"plan", "--scores", (round / "scores.json").string(), "--budget", each, "--of", of,
       "--costs", "costs.json", "--algorithm", "prices", "--seed", by_run["seed"].dump(), "--json"},
      folder);
  INFO(plan.err);
  REQUIRE(plan.code == 0);
  return {by_run, nlohmann::json::parse(plan.out)};
}

std::string reported(const std::string& run) {
  const auto report = run_strata({"report", run}, workshop());
  INFO(report.err);
  REQUIRE(report.code == 0);
  return test::slurp(workshop() / run / "report.html");
}

}  // namespace

TEST_CASE("budgets of memory: plan and run plan the same, and the report says them") {
  const auto block = named(unit_costs(), "block.0");
  const double cost =
      12 * block["parameters"].get<double>() + block["activation_bytes"].get<double>();
  const auto plans = planned("memory", static_cast<std::int64_t>(1.5 * cost));
  for (const char* key : {"clients", "objectives", "front", "budget"}) {
    CAPTURE(key);
    CHECK(plans.by_run.at(key) == plans.by_hand.at(key));
  }
  CHECK_THAT(reported("memory"), Catch::Contains("B of memory per client and round"));
}

TEST_CASE(
    "budgets of bytes and of FLOPs: a run spends them as plan does, and the report says them") {
  const auto units = unit_costs();
  const auto cost = [&](const std::string& of, const std::string& unit) {
    const auto& found = named(units, unit);
    return of == "bytes" ? found["bytes"].get<std::int64_t>()
                         : std::llround(3 * found["forward_flops"].get<double>());
  };
  const std::string of = GENERATE(std::string("bytes"), std::string("flops"));
  CAPTURE(of);
  const std::int64_t each = cost(of, "block.0") * 3 / 2;
  const auto plans = planned(of, each);
  for (const char* key : {"clients", "budget"}) {
    CAPTURE(key);
    CHECK(plans.by_run.at(key) == plans.by_hand.at(key));
  }
  // scores.json has fifteen digits, of which the run's own scores have more.
  REQUIRE(plans.by_run["front"].size() == plans.by_hand["front"].size());
  for (std::size_t i = 0; i < plans.by_run["front"].size(); ++i) {
    CHECK(plans.by_run["front"][i]["importance"].get<double>() ==
          Approx(plans.by_hand["front"][i]["importance"].get<double>()).epsilon(1e-12));
    CHECK(plans.by_run["front"][i]["usage_variance"] ==
          plans.by_hand["front"][i]["usage_variance"]);
  }
  for (const char* strategy : {"f3ocus", "roundrobin"}) {
    const Plan plan =
        read_plan(workshop() / of / (strategy + std::string("-seed1")) / "rounds/001/plan.json");
    CHECK(plan.counted == of);
    for (std::size_t i = 0; i < plan.clients.size(); ++i) {
      std::int64_t spent = 0;
      for (const std::string& unit : plan.units_of(static_cast<int>(i))) spent += cost(of, unit);
      CHECK(spent > 0);
      CHECK(spent <= each);
      CHECK(plan.used[i] == spent);
    }
  }
  CHECK_THAT(reported(of), Catch::Contains(of == "bytes" ? "kB per client and round"
                                                         : "MFLOP per client and round"));
}

TEST_CASE("a run in which units of several kinds compete on other scales says so") {
  const fs::path& folder = workshop();
  const auto run = run_strata(
      {"run", "tiny.yaml", "--out", "scales", "--threads", "1", "--set", "run.strategies=[f3ocus]",
       "--set", "run.rounds=1", "--set", "units={selectable: [\"block.*\", head]}"},
      folder);
  INFO(run.err);
  REQUIRE(run.code == 0);
  CHECK_THAT(run.err, Catch::Contains("units of different kinds compete on different scales") &&
                          Catch::Contains("of the role head") &&
                          Catch::Contains("; units.selectable says which compete"));
}

TEST_CASE("every algorithm runs with a personal head, resumes, and is reported on") {
  const fs::path& folder = workshop();
  const auto set = [](const std::string& out, const std::string& algorithm,
                      const std::vector<std::string>& further) {
    std::vector<std::string> arguments = {"run", "tiny.yaml", "--out", out, "--threads", "1"};
    arguments.insert(arguments.end(), further.begin(), further.end());
    for (const std::string& value :
         {std::string("run.strategies=[random]"), std::string("run.local.optimizer=sgd"),
          std::string("units.personal=[head]"), "run.server.algorithm=" + algorithm})
      arguments.insert(arguments.end(), {"--set", value});
    if (algorithm == "feddat") {
      arguments.insert(arguments.end(), {"--set", "model.peft={adapters: {reduction: 8}}", "--set",
                                         "units.scheme=adapter"});
    }
    return arguments;
  };
  std::map<std::string, double> sent;
  for (const std::string algorithm : {"fedavg", "scaffold", "feddyn", "ditto", "feddat"}) {
    const std::string resumed = algorithm + "-resumed";
    const std::vector<std::vector<std::string>> commands = {
        set(algorithm, algorithm, {"--set", "run.rounds=2"}),
        set(resumed, algorithm, {"--set", "run.rounds=1"}),
        set(resumed, algorithm, {"--set", "run.rounds=2", "--resume", "--parallel", "2"}),
        {"report", algorithm}};
    for (const auto& command : commands) {
      const auto outcome = run_strata(command, folder);
      INFO(algorithm << ": " << outcome.err);
      REQUIRE(outcome.code == 0);
    }
    CHECK((reproducible_files(folder / algorithm) == reproducible_files(folder / resumed)));
    for (const auto& row : read_metrics(folder / algorithm / "metrics.csv").rows)
      if (row.round == 2 && row.client == "all") sent[algorithm] = row.up_mbit;
  }
  CHECK(sent["fedavg"] > 0);
  CHECK(sent["scaffold"] == Approx(2 * sent["fedavg"]));
  CHECK(sent["feddyn"] == Approx(sent["fedavg"]));
  CHECK(sent["ditto"] == Approx(sent["fedavg"]));
}

TEST_CASE("a run with planned ranks: plans, PEFT's files, the report, resumed to the byte") {
  const fs::path& folder = workshop();
  const auto set = [](const std::string& out, const std::string& rounds) {
    return std::vector<std::string>{
        "run",       "tiny.yaml",
        "--out",     out,
        "--threads", "1",
        "--set",     "run.strategies=[f3ocus]",
        "--set",     rounds,
        "--set",     "run.ranks=plan",
        "--set",     "run.budget=5",
        "--set",     "run.plan.algorithm=exact",
        "--set",     "units.scheme=lora",
        "--set",     "model.peft={lora: {rank: 4, alpha: 8, targets: [query]}}"};
  };
  auto again = set("ranked-again", "run.rounds=2");
  again.emplace_back("--resume");
  for (const auto& command : {set("ranked", "run.rounds=2"), set("ranked-again", "run.rounds=1"),
                              again, std::vector<std::string>{"report", "ranked"}}) {
    const auto outcome = run_strata(command, folder);
    INFO(outcome.err);
    REQUIRE(outcome.code == 0);
  }
  CHECK((reproducible_files(folder / "ranked") == reproducible_files(folder / "ranked-again")));
  const Plan plan = read_plan(folder / "ranked/rounds/001/plan.json");
  CHECK(plan.ranks == 4);
  CHECK(plan.gap.known);
  for (std::size_t i = 0; i < plan.clients.size(); ++i) {
    CHECK(plan.used[i] == 5);
    const auto config = nlohmann::json::parse(
        test::slurp(folder / "ranked/rounds/001" / plan.clients[i] / "adapter_config.json"));
    CHECK(config["r"] == 4);
    CHECK(config["lora_alpha"] == 8);
    std::size_t parts = 0;
    for (Eigen::Index l = 0; l < plan.assignment.cols(); ++l) {
      const int rank = plan.assignment(static_cast<Eigen::Index>(i), l);
      parts += rank > 0 && rank < 4;
    }
    CHECK((config.contains("rank_pattern") ? config["rank_pattern"].size() : 0) == parts);
  }
  CHECK_THAT(test::slurp(folder / "ranked/report.html"),
             Catch::Contains("5 ranks per client and round"));
}

TEST_CASE("a run with least cohorts: plans and updates keep them, and the report reads it") {
  const fs::path& folder = workshop();
  for (const auto& command :
       {std::vector<std::string>{"run", "tiny.yaml", "--out", "cohorts", "--threads", "1", "--set",
                                 "run.strategies=[f3ocus]", "--set", "run.rounds=3", "--set",
                                 "run.plan.least_cohort=2", "--set", "run.failures={dropout: 0.4}"},
        std::vector<std::string>{"report", "cohorts"}}) {
    const auto outcome = run_strata(command, folder);
    INFO(outcome.err);
    REQUIRE(outcome.code == 0);
  }
  for (const std::string round : {"001", "002", "003"}) {
    const fs::path rounds = folder / "cohorts/rounds" / round;
    for (const int clients : usage(read_plan(rounds / "plan.json").assignment)) CHECK(clients != 1);
    const auto log = nlohmann::json::parse(test::slurp(rounds / "aggregation.json"));
    for (const auto& unit : log["units"]) CHECK(unit["clients"].size() != 1);
  }
}

TEST_CASE("a run over adapters writes what PEFT, the scorer and the report read") {
  const fs::path& folder = workshop();
  const auto run = run_strata(
      {"run", "tiny.yaml", "--out", "adapted", "--threads", "1", "--set", "run.strategies=[f3ocus]",
       "--set", "run.rounds=1", "--set", "units.scheme=adapter+lora", "--set",
       "model.peft={adapters: {reduction: 4}, lora: {rank: 2, alpha: 4, targets: [query]}}"},
      folder);
  INFO(run.err);
  REQUIRE(run.code == 0);
  // Nothing warns of the head, which has no layer.
  CHECK(run.err.find("warning") == std::string::npos);
  const Plan plan = read_plan(folder / "adapted/rounds/001/plan.json");
  for (std::size_t client = 0; client < plan.clients.size(); ++client) {
    const auto file = folder / "adapted/rounds/001" / plan.clients[client] / "adapter_config.json";
    const auto config = nlohmann::json::parse(test::slurp(file));
    CHECK(config["r"] == 2);
    CHECK(config["lora_alpha"] == 4);
    CHECK(config["target_modules"] == std::vector<std::string>{"query"});
    // The model's own says inference_mode, with which PEFT would train nothing.
    CHECK(config["inference_mode"] == false);
    CHECK(config["layers_pattern"] == std::vector<std::string>{"layer"});
    CHECK(config["modules_to_save"].is_null());
    CHECK_FALSE(config.contains("strata"));
    REQUIRE(config["layers_to_transform"].size() == 1);
    CHECK("adapter+lora." + config["layers_to_transform"][0].dump() ==
          plan.units_of(static_cast<int>(client)).front());
  }
  // What transformers would hand to PEFT is PEFT's; our adapters are beside it.
  const auto global =
      nlohmann::json::parse(test::slurp(folder / "adapted/model/adapter_config.json"));
  CHECK(global["peft_type"] == "LORA");
  CHECK_FALSE(global.contains("strata"));
  CHECK(nlohmann::json::parse(test::slurp(folder / "adapted/model/strata_adapters.json")) ==
        nlohmann::json{{"version", 1}, {"adapter_reduction", 4}, {"prompt_length", 0}});
  const auto score = run_strata(
      {"score", "--model", "adapted/model", "--data", "data", "--client", "ct", "--scheme",
       "adapter+lora", "--samples", "2", "--threads", "1", "--out", "adapted.json"},
      folder);
  INFO(score.err);
  CHECK(score.code == 0);
  const auto report = run_strata({"report", "adapted"}, folder);
  INFO(report.err);
  CHECK(report.code == 0);
  const auto costs = run_strata({"inspect", "adapted/model", "--scheme", "adapter+lora", "--json",
                                 "--cost", "adapted/rounds/001/plan.json", "--always", "head"},
                                folder);
  INFO(costs.err);
  REQUIRE(costs.code == 0);
  // What the table promises is what the clients sent, but for the scores, 64 bits a unit.
  const auto rows = read_metrics(folder / "adapted/metrics.csv").rows;
  for (const auto& cost : nlohmann::json::parse(costs.out)["costs"]) {
    if (cost["kind"] != "client") continue;
    const auto row = std::find_if(rows.begin(), rows.end(), [&](const RoundMetrics& metrics) {
      return metrics.round == 1 && metrics.client == cost["name"];
    });
    REQUIRE(row != rows.end());
    CHECK(row->up_mbit == Approx(cost["mbit"].get<double>() + 64.0 * 3 / 1e6).epsilon(1e-12));
  }
}

TEST_CASE("a run that is killed and resumed ends as the undisturbed one, and the report shows it") {
  const fs::path& folder = workshop();
  const auto whole = run_strata({"run", "tiny.yaml", "--out", "whole", "--threads", "1"}, folder);
  INFO(whole.err);
  REQUIRE(whole.code == 0);
  CHECK_THAT(whole.out, Catch::Contains("f3ocus") && Catch::Contains("random"));
  // No terminal, no progress bar.
  CHECK(whole.err.find('\r') == std::string::npos);

  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    if (::chdir(folder.c_str()) != 0) _exit(125);
    const int null = ::open("/dev/null", O_RDWR);
    ::dup2(null, 1);
    ::dup2(null, 2);
    const std::string program = test::strata_program().string();
    ::execl(program.c_str(), program.c_str(), "run", "tiny.yaml", "--out", "killed", "--threads",
            "1", nullptr);
    _exit(126);
  }
  const auto second_plan = folder / "killed/f3ocus-seed1/rounds/002/plan.json";
  int status = 0;
  for (int i = 0; i < 6000 && !fs::exists(second_plan); ++i) {
    if (::waitpid(child, &status, WNOHANG) != 0) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  ::kill(child, SIGKILL);
  ::waitpid(child, &status, 0);
  REQUIRE(fs::exists(second_plan));

  const auto refused =
      run_strata({"run", "tiny.yaml", "--out", "killed", "--threads", "1"}, folder);
  CHECK(refused.code == 2);
  CHECK_THAT(refused.err, Catch::Contains("--resume"));
  const auto resumed = run_strata(
      {"run", "tiny.yaml", "--out", "killed", "--threads", "1", "--resume", "--parallel", "2"},
      folder);
  INFO(resumed.err);
  REQUIRE(resumed.code == 0);
  const auto expected = reproducible_files(folder / "whole"),
             found = reproducible_files(folder / "killed");
  REQUIRE(expected.size() > 8);
  REQUIRE(expected.size() == found.size());
  for (const auto& [name, bytes] : expected) {
    CAPTURE(name);
    REQUIRE(found.count(name) == 1);
    CHECK((found.at(name) == bytes));
  }
  REQUIRE(expected.count("random-seed1/" + std::string(kEventFile)) == 1);
  for (const char* run : {"f3ocus-seed1", "random-seed1"})
    CHECK((expected.at(fs::path(run) / kEventFile) ==
           event_file(read_metrics(folder / "whole" / run / "metrics.csv"))));
  test::check_all_tidy(folder / "whole", 4);

  const auto report = run_strata({"report", "whole"}, folder);
  INFO(report.err);
  REQUIRE(report.code == 0);
  CHECK_THAT(test::slurp(folder / "whole/report.html"),
             Catch::Contains("</html>") && Catch::Contains("f3ocus"));
  const auto single = run_strata({"report", "whole/f3ocus-seed1"}, folder);
  CHECK(single.code == 0);
}

TEST_CASE(
    "a run on images of many shapes, of a model that transformers 5 saved, begins at transformers' "
    "losses") {
  // tests/reference/vilt_sizes.py: no vocab.txt, no preprocessor_config.json, mixed sizes.
  const fs::path source = fs::path(STRATA_SOURCE_DIR) / "tests/reference/vilt_sizes";
  const test::TempDir dir;
  fs::copy(source, dir / "vilt", fs::copy_options::recursive);
  dir.write("sizes.yaml", R"(version: 1
name: sizes
data: {folder: vilt, partition: modality, cache: cache}
model: {folder: vilt}
units: {selectable: blocks, always: [head]}
run:
  strategies: [f3ocus]
  seeds: [1]
  rounds: 1
  budget: 1
  score: {samples: 4, every: 1}
  local: {steps: 2, batch_size: 4, learning_rate: 1.0e-3}
)");
  const auto outcome =
      run_strata({"run", "sizes.yaml", "--out", "runs", "--threads", "1"}, dir.path());
  INFO(outcome.err);
  REQUIRE(outcome.code == 0);
  nlohmann::json record;
  std::ifstream(source / "recorded.json") >> record;
  fs::path run;
  for (const auto& entry : fs::recursive_directory_iterator(dir / "runs"))
    if (entry.path().filename() == "metrics.csv") run = entry.path().parent_path();
  REQUIRE_FALSE(run.empty());
  int clients = 0;
  for (const auto& row : read_metrics(run / "metrics.csv").rows) {
    if (row.round != 0 || !record["clients"].contains(row.client)) continue;
    const auto& expected = record["clients"][row.client];
    INFO(row.client);
    CHECK(std::abs(row.test_loss - expected["loss"].get<double>()) < 2e-6);
    CHECK(std::abs(row.values[0] - expected["accuracy"].get<double>()) < 1e-7);
    ++clients;
  }
  CHECK(clients == 2);
  // What is saved says what was computed.
  nlohmann::json read, saved;
  std::ifstream(source / "processor_config.json") >> read;
  std::ifstream(run / "model/preprocessor_config.json") >> saved;
  CHECK(read["image_processor"] == saved);
  CHECK(fs::exists(run / "model/vocab.txt"));

  // Kernels, and gradients of one sample at a time beside those of five.
  const auto scores = [&](const std::string& metric, const std::string& memory) {
    const auto scored = run_strata(
        {"score", "--model", "vilt", "--data", "vilt", "--client", "a", "--samples", "5",
         "--metric", metric, "--memory", memory, "--threads", "1", "--out", metric + memory},
        dir.path());
    INFO(scored.err);
    REQUIRE(scored.code == 0);
    return read_scores(dir / (metric + memory)).raw;
  };
  CHECK((scores("lntk", "1GiB").array() > 0).all());
  const auto at_once = scores("snip", "1GiB"), divided = scores("snip", "700KiB");
  CHECK(((at_once - divided).array().abs() < 1e-5 * at_once.array()).all());
}

TEST_CASE("a shard that is cut off or lacks is refused in one line, with nothing written") {
  const fs::path& folder = workshop();
  for (const std::string model : {"sharded", "cut_shard", "lost_shard"}) {
    fs::copy(folder / "foundation", folder / model, fs::copy_options::recursive);
    fs::remove(folder / model / "model.safetensors");
    test::write_shards(folder / "foundation/model.safetensors", folder / model);
  }
  CHECK(run_strata({"inspect", "sharded"}, folder).code == 0);
  const std::string left = std::to_string(test::cut_off(folder / "cut_shard" / test::kSecondShard));
  fs::remove(folder / "lost_shard" / test::kSecondShard);
  const std::map<std::string, std::vector<std::string>> said = {
      {"cut_shard",
       {"cut_shard/" + test::kSecondShard + ": tensor \"",
        "leave the file's " + left + " bytes of data"}},
      {"lost_shard",
       {"lost_shard/" + test::kShardIndex + ": weight_map.",
        "the shard \"" + test::kSecondShard + "\" is not in the folder"}}};
  for (const auto& [model, parts] : said) {
    const std::vector<std::vector<std::string>> commands = {
        {"inspect", model},
        {"evaluate", model, "--data", "data", "--predictions", "p.jsonl"},
        {"score", "--model", model, "--data", "data", "--samples", "2", "--out", "s.json"},
        {"run", "tiny.yaml", "--out", "none", "--set", "model.folder=" + model}};
    for (const auto& command : commands) test::check_refused(command, folder, parts);
  }
}

TEST_CASE("wrong input is refused in one line, with nothing written") {
  const fs::path& folder = workshop();
  const auto copy = [&](const std::string& from, const std::string& to) {
    fs::copy(folder / from, folder / to,
             fs::copy_options::recursive | fs::copy_options::overwrite_existing);
  };
  const auto rewrite = [&](const std::string& name, const std::string& content) {
    std::ofstream(folder / name, std::ios::binary) << content;
  };
  const auto score = [](const std::string& model, const std::string& data) {
    return std::vector<std::string>{"score",     "--model", model,   "--data", data,
                                    "--samples", "2",       "--out", "s.json"};
  };

  const std::string weights = test::slurp(folder / "foundation/model.safetensors");
  copy("foundation", "truncated");
  rewrite("truncated/model.safetensors", weights.substr(0, weights.size() - 4));
  test::check_refused(score("truncated", "data"), folder, {"truncated/model.safetensors"});
  test::check_refused({"inspect", "truncated"}, folder, {"truncated/model.safetensors"});
  copy("foundation", "lying");
  std::string lie = weights;
  const auto shape = lie.find("\"shape\":[");
  REQUIRE(shape != std::string::npos);
  lie[shape + 9] = lie[shape + 9] == '9' ? '8' : '9';
  rewrite("lying/model.safetensors", lie);
  test::check_refused(score("lying", "data"), folder, {"lying/model.safetensors", "tensor"});
  test::check_refused({"inspect", "lying"}, folder, {"lying/model.safetensors", "tensor"});

  const std::string manifest = test::slurp(folder / "data/manifest.jsonl");
  copy("data", "no-json");
  rewrite("no-json/manifest.jsonl", manifest + "{\"image\":\n");
  const auto lines = std::to_string(1 + std::count(manifest.begin(), manifest.end(), '\n'));
  test::check_refused(score("foundation", "no-json"), folder, {"no-json/manifest.jsonl:" + lines});
  copy("data", "no-image");
  fs::remove(folder / "no-image/images/ct/0001.png");
  test::check_refused(score("foundation", "no-image"), folder,
                      {"no-image/manifest.jsonl:", "images/ct/0001.png"});
  copy("data", "no-answer");
  std::string unknown = manifest;
  const auto answer = unknown.find("\"answers\":[\"yes\"]");
  REQUIRE(answer != std::string::npos);
  unknown.replace(answer, 17, "\"answers\":[\"yeti\"]");
  rewrite("no-answer/manifest.jsonl", unknown);
  test::check_refused({"run", "tiny.yaml", "--out", "o", "--set", "data.folder=no-answer"}, folder,
                      {"\"yeti\"", "yes"});

  const auto run = [&](const std::string& set) {
    return std::vector<std::string>{"run", "tiny.yaml", "--out", "o", "--set", set};
  };
  test::check_refused(run("run.budget=4"), folder, {"budget", "4", "3"});
  test::check_refused(run("run.roundz=4"), folder,
                      {"run.roundz: unknown key (did you mean \"rounds\"?)"});
  test::check_refused(run("run.rounds=-1"), folder, {"run.rounds", "-1"});
  test::check_refused(run("run.strategies=[f3ocos]"), folder, {"f3ocos", "f3ocus"});
  test::check_refused(run("model.folder=nowhere"), folder, {"nowhere"});
  test::check_refused(run("units.always=[haed]"), folder, {"haed", "head"});
  test::check_refused(run("units.personal=[haed]"), folder,
                      {"units.personal: the model has no unit \"haed\" (did you mean \"head\"?)"});
  test::check_refused(run("units.personal=[block.0]"), folder,
                      {"units.personal: \"block.0\" is selectable, too"});
  test::check_refused(run("run.server.algorithm=scafold"), folder,
                      {"run.server.algorithm: \"scafold\" is not one of", "\"scaffold\""});
  test::check_refused(run("run.server.algorithm=scaffold"), folder,
                      {"run.server.algorithm: scaffold goes with run.local.optimizer sgd alone"});
  test::check_refused(run("run.server={algorithm: feddyn, optimizer: momentum}"), folder,
                      {"run.server.algorithm: feddyn goes with optimizer average and"});
  test::check_refused(run("run.server.algorithm=feddat"), folder,
                      {"run.server.algorithm: feddat is of adapters, and no unit that clients"});
  test::check_refused(run("run.local.optimizer=sdg"), folder,
                      {"run.local.optimizer: \"sdg\" is not one of", "\"sgd\""});
  rewrite("typo.yaml", std::string(kConfig) + "evaluate: 3\n");
  test::check_refused({"run", "typo.yaml", "--out", "o"}, folder, {"typo.yaml:", "evaluate"});
  test::check_refused({"run", "tiny.yaml", "--out", "data"}, folder,
                      {"data: the folder is not empty"});
  test::check_refused({"pretrain", "tiny.yaml", "--out", "foundation"}, folder, {"foundation"});
  test::check_refused(
      {"score", "--model", "foundation", "--data", "data", "--out", "s.json", "--client", "cat"},
      folder, {"\"cat\"", "did you mean \"ct\"?"});
  test::check_refused(
      {"score", "--model", "foundation", "--data", "data", "--out", "s.json", "--metric", "lmtk"},
      folder, {"did you mean \"lntk\"?"});
  test::check_refused({"report", "data"}, folder, {"data"});
  const auto device = run_strata(
      {"score", "--model", "foundation", "--data", "data", "--out", "s.json", "--device", "tpu"},
      folder);
  CHECK(device.code == 2);
  CHECK_THAT(device.err, Catch::Contains("tpu"));
}
