// Whole runs under each rule of LoRA pairs (fedrunner/lora_rules).

#include <algorithm>
#include <cstring>
#include <set>

#include "catch.h"
#include "core/console.h"
#include "core/document.h"
#include "experiment/server_section.h"
#include "fedrunner/run_folders.h"
#include "fedrunner/streams.h"
#include "fedrunner/tiny_runs.h"
#include "models/drawn.h"
#include "strata/core/error.h"
#include "strata/core/safetensors.h"
#include "strata/fedrunner/metrics.h"
#include "strata/fedrunner/run.h"
#include "support/nf4_files.h"
#include "support/short_files.h"

using namespace strata;
using namespace strata::fedrunner;
using Catch::Matchers::Contains;
namespace fs = std::filesystem;

namespace {

const std::string kRun =
    "  strategies: [full]\n  rounds: 4\n  budget: 3\n"
    "  local: {steps: 3, batch_size: 3, learning_rate: 0.05}\n";
/// Beside a layer from 16 to 64 numbers: A has 32, B 128. Nothing else is trained.
const std::vector<std::string> kSet = {
    "model.peft={lora: {rank: 2, alpha: 4, targets: [intermediate.dense]}}",
    "units={scheme: lora, always: []}"};
constexpr double kMegabit = 32.0 / 1e6;  // of a number

struct Stop {};

struct Fixture : test::TinyRuns {
  Fixture() : TinyRuns(kRun) {}

  void run(const std::string& out, const std::string& rule, std::vector<std::string> set = {},
           const RunOptions& options = {}) const {
    set.insert(set.begin(), kSet.begin(), kSet.end());
    set.push_back("run.server.lora=" + rule);
    run_experiment(dir / "tiny.yaml", set, dir / out, tools, options);
  }
  models::Model model_of(const std::string& out) const {
    return peft::load_model(dir / out / "model");
  }
  /// What every run begins with: the foundation with the pairs of seed 1.
  models::Model beginning() const {
    auto model = peft::load_model(dir / "foundation");
    peft::add_methods(model, {peft::make_lora({2, 4, {"intermediate.dense"}})}, 1);
    return model;
  }
  Json aggregation(const std::string& out, int round) const {
    return load_json(dir / out / "rounds" / ("00" + std::to_string(round)) / "aggregation.json")
        .root;
  }
};

/// Of the weights whose names end so, how many have other bits in the second model.
int changed(const models::Model& before, const models::Model& after, const std::string& end) {
  int count = 0;
  for (const auto& [name, weight] : before.weights())
    count += name.ends_with(end) && !test::same_bits(weight, after.weight(name));
  return count;
}

int moved_a(const models::Model& before, const models::Model& after) {
  return changed(before, after, ".lora_A.weight");
}
int moved_b(const models::Model& before, const models::Model& after) {
  return changed(before, after, ".lora_B.weight");
}

}  // namespace

TEST_CASE_METHOD(Fixture,
                 "under every rule a run resumes to the byte, side by side and by messages") {
  std::set<std::string> pairs;
  const auto names = experiment::lora_averages().names();
  for (const auto& rule : names) {
    INFO(rule);
    run(rule, rule);
    for (const int last : {1, 2}) {
      const std::string out = rule + "-stopped" + std::to_string(last);
      RunOptions stopping, resuming;
      stopping.after_round = [=](const fs::path&, int round) {
        if (round == last) throw Stop();
      };
      CHECK_THROWS_AS(run(out, rule, {}, stopping), Stop);
      resuming.resume = true;
      resuming.parallel = last;
      resuming.encode_messages = last == 2;
      run(out, rule, {}, resuming);
      test::check_same(dir / rule, dir / out);
    }
    pairs.insert(test::slurp(dir / rule / "model" / "adapter_model.safetensors"));
  }
  CHECK(pairs.size() == names.size());
}

TEST_CASE_METHOD(Fixture, "ffa: A is what the seed drew; B alone is trained, sent and kept") {
  run("out", "ffa");
  const auto before = beginning(), after = model_of("out");
  CHECK(moved_a(before, after) == 0);
  CHECK(moved_b(before, after) == 3);
  CHECK(changed(before, after, "") == 3);
  CHECK(row("out", 1, "ct").up_mbit == Approx(3 * 128 * kMegabit).epsilon(1e-12));
  CHECK(row("out", 1, "ct").down_mbit == 0);
  CHECK(row("out", 2, "ct").down_mbit == Approx(3 * 128 * kMegabit).epsilon(1e-12));
  const SafetensorsFile state(dir / "out" / "state" / "round-004.safetensors");
  CHECK(state.tensors().size() == 3);
  for (const auto& entry : state.tensors()) CHECK(entry.name.ends_with(".lora_B.weight"));
  CHECK(aggregation("out", 2).count("lora") == 0);
}

TEST_CASE_METHOD(Fixture, "pairs of units that are always trained go by the rule, too") {
  const std::string units = "units={scheme: lora, selectable: [lora.0], always: [lora.1, lora.2]}";
  run("ffa", "ffa", {units, "run.budget=1"});
  CHECK(moved_a(beginning(), model_of("ffa")) == 0);
  CHECK(moved_b(beginning(), model_of("ffa")) == 3);
  CHECK(row("ffa", 1, "ct").up_mbit == Approx(3 * 128 * kMegabit).epsilon(1e-12));
  run("fedsa", "fedsa", {units, "run.budget=1"});
  CHECK(moved_a(beginning(), model_of("fedsa")) == 3);
  CHECK(moved_b(beginning(), model_of("fedsa")) == 0);
  CHECK(row("fedsa", 1, "ct").up_mbit == Approx(3 * 32 * kMegabit).epsilon(1e-12));
}

TEST_CASE_METHOD(Fixture, "rolora: by turns B and A are trained, sent and received") {
  std::vector<models::Model> models = {beginning()};
  RunOptions looking;
  looking.after_round = [&](const fs::path&, int round) {
    if (round > 0) models.push_back(model_of("out"));
  };
  run("out", "rolora", {"run.save=every"}, looking);
  REQUIRE(models.size() == 5);
  for (const std::size_t round : {1u, 2u, 3u, 4u}) {
    INFO(round);
    const bool odd = round % 2 == 1;
    CHECK(moved_a(models[round - 1], models[round]) == (odd ? 0 : 3));
    CHECK(moved_b(models[round - 1], models[round]) == (odd ? 3 : 0));
    CHECK(changed(models[round - 1], models[round], "") == 3);
    const auto mri = row("out", static_cast<int>(round), "mri");
    CHECK(mri.up_mbit == Approx(3 * (odd ? 128 : 32) * kMegabit).epsilon(1e-12));
    const double received = round == 1 ? 0 : odd ? 32 : 128;
    CHECK(mri.down_mbit == Approx(3 * received * kMegabit).epsilon(1e-12));
    CHECK(aggregation("out", static_cast<int>(round)).count("lora") == 0);
  }
}

TEST_CASE_METHOD(Fixture,
                 "fedsa: A is everybody's, each client keeps its B and is measured by it") {
  run("out", "fedsa");
  const auto before = beginning(), after = model_of("out");
  CHECK(moved_a(before, after) == 3);
  CHECK(moved_b(before, after) == 0);
  CHECK(row("out", 1, "oct").up_mbit == Approx(3 * 32 * kMegabit).epsilon(1e-12));
  CHECK(row("out", 2, "oct").down_mbit == Approx(3 * 32 * kMegabit).epsilon(1e-12));
  // Without its own B, which is 0 in the global model, a client would have the foundation's loss.
  for (const std::string client : {"ct", "mri", "oct"})
    CHECK(row("out", 4, client).test_loss != row("out", 0, client).test_loss);
  const SafetensorsFile state(dir / "out" / "state" / "round-004.safetensors");
  std::set<std::string> own;
  for (const auto& entry : state.tensors()) {
    if (!entry.name.starts_with("local/")) continue;
    CHECK(entry.name.ends_with(".lora_B.weight"));
    const auto bytes = state.bytes(entry);
    own.emplace(bytes.begin(), bytes.end());
  }
  CHECK(own.size() == 9);  // three clients' B of three layers, none like another
}

TEST_CASE_METHOD(Fixture, "fedex and flora change the base, which is kept, received and saved") {
  // A base of 64 × 16 beside each pair; flora's pairs need not be received.
  constexpr int kBase = 64 * 16, kPair = 128 + 32;
  const std::string base = "intermediate.dense.weight";
  for (const auto& [rule, received] :
       {std::pair("fedex", kBase + kPair), std::pair("flora", kBase)}) {
    INFO(rule);
    run(rule, rule);
    const auto before = beginning(), after = model_of(rule);
    CHECK(changed(before, after, base) == 3);
    CHECK(moved_a(before, after) == 3);
    CHECK(changed(before, after, "") == (rule == std::string("fedex") ? 9 : 6));
    CHECK(row(rule, 1, "ct").up_mbit == Approx(3 * kPair * kMegabit).epsilon(1e-12));
    CHECK(row(rule, 1, "ct").down_mbit == 0);
    CHECK(row(rule, 2, "ct").down_mbit == Approx(3 * received * kMegabit).epsilon(1e-12));
    CHECK(aggregation(rule, 2).count("lora") == 0);
    // The model that is saved is the state.
    const SafetensorsFile state(dir / rule / "state" / "round-004.safetensors");
    CHECK(state.tensors().size() == 9);
    for (const auto& entry : state.tensors()) {
      const auto& weight = after.weight(entry.name);
      CHECK(std::memcmp(state.bytes(entry).data(), weight.data_ptr(), weight.nbytes()) == 0);
    }
  }
  const auto after = model_of("flora");
  for (const auto& [name, weight] : after.weights()) {
    if (name.ends_with(".lora_B.weight")) CHECK(weight.abs().max().item<float>() == 0);
    if (!name.ends_with(".lora_A.weight")) continue;
    const auto drawn =
        models::drawn(after.blueprint().parameter(name), stream(1, Purpose::kLora, 4));
    CHECK(test::same_bits(weight, drawn));
  }
}

TEST_CASE_METHOD(Fixture,
                 "after one round fedex and flora are the same model, factors is another") {
  for (const std::string rule : {"fedex", "flora", "factors"}) run(rule, rule, {"run.rounds=1"});
  const auto effective = [&](const std::string& rule, const std::string& layer) {
    const auto model = model_of(rule);
    return model.weight(layer + ".weight").to(torch::kDouble) +
           2 * torch::matmul(model.weight(layer + ".lora_B.weight").to(torch::kDouble),
                             model.weight(layer + ".lora_A.weight").to(torch::kDouble));
  };
  int layers = 0;
  const auto before = beginning();
  for (const auto& [name, weight] : before.weights()) {
    if (!name.ends_with("intermediate.dense.lora_A.weight")) continue;
    ++layers;
    const std::string layer = name.substr(0, name.size() - std::string(".lora_A.weight").size());
    const auto exact = effective("fedex", layer);
    const double apart = (exact - effective("factors", layer)).norm().item<double>();
    CHECK((exact - effective("flora", layer)).norm().item<double>() < 1e-6);
    CHECK(apart > 1e-4);
  }
  CHECK(layers == 3);
  CHECK(row("fedex", 1, "all").test_loss == Approx(row("flora", 1, "all").test_loss).epsilon(1e-5));
  CHECK(row("fedex", 1, "all").test_loss != row("factors", 1, "all").test_loss);
}

TEST_CASE_METHOD(Fixture, "of a foundation in bfloat16 the bases that change become float32") {
  test::copy_rounded(dir / "foundation", dir / "short", Dtype::kBF16, false);
  for (const char* file : {"vocab.txt", "tokenizer_config.json", "preprocessor_config.json"})
    fs::copy_file(dir / "foundation" / file, dir / "short" / file);
  run("out", "flora", {"model.folder=" + (dir / "short").string(), "run.rounds=2"});
  const SafetensorsFile file(dir / "out" / "model" / "model.safetensors");
  int wide = 0;
  for (const auto& entry : file.tensors()) {
    wide += entry.dtype == Dtype::kF32;
    CHECK((entry.dtype == Dtype::kF32) == entry.name.ends_with("intermediate.dense.weight"));
  }
  CHECK(wide == 3);
}

TEST_CASE_METHOD(Fixture, "a base in 4 bits cannot grow, and its foundation is refused by name") {
  test::copy_as_nf4(dir / "foundation", dir / "packed", dir / "plain", "intermediate.dense.weight");
  for (const char* file : {"vocab.txt", "tokenizer_config.json"})
    fs::copy_file(dir / "foundation" / file, dir / "packed" / file);
  const std::string folder = "model.folder=" + (dir / "packed").string();
  for (const std::string rule : {"fedex", "flora"}) {
    CHECK_THROWS_WITH(run("out", rule, {folder}),
                      Contains("run.server.lora: " + rule + " changes the weights beside which") &&
                          Contains("is stored in 4 bits (NF4)"));
    CHECK_THROWS_AS(run("out", rule, {folder}), InputError);
    CHECK_FALSE(fs::exists(dir / "out"));
  }
  CHECK_NOTHROW(run("ffa", "ffa", {folder, "run.rounds=1"}));
}

TEST_CASE_METHOD(Fixture, "aggregation.json and the log say what a rule has lost") {
  for (const auto& [rule, measure] : {std::pair("factors", "drift"), std::pair("product", "cut"),
                                      std::pair("fair", "drift"), std::pair("hetlora", "drift")}) {
    run(rule, rule);
    for (const int round : {1, 2}) {
      INFO(rule << round);
      const Json lora = aggregation(rule, round)["lora"];
      CHECK(lora["rule"].get<std::string>() == rule);
      CHECK(lora["measure"].get<std::string>() == measure);
      REQUIRE(lora["pairs"].size() == 3);
      double sum = 0, most = 0;
      for (const auto& [pair, loss] : lora["pairs"].items()) {
        CHECK(pair.ends_with("intermediate.dense.weight"));
        CHECK(loss.get<double>() > 0);
        CHECK(loss.get<double>() < 1);
        sum += loss.get<double>();
        most = std::max(most, loss.get<double>());
      }
      CHECK(lora["mean"].get<double>() == Approx(sum / 3));
      CHECK(lora["worst"] == most);
      CHECK(lora["pairs"][lora["worst_pair"].get<std::string>()] == most);
    }
    CHECK_THAT(test::slurp(dir / rule / "run.log"),
               Contains("round 2: LoRA " + std::string(rule) + ": " + measure + " "));
  }
}

TEST_CASE_METHOD(Fixture,
                 "a rule that the experiment cannot have is refused, and nothing written") {
  CHECK_THROWS_WITH(run("out", "rollora"), Contains("run.server.lora: ") &&
                                               Contains("\"rollora\"") &&
                                               Contains("did you mean \"rolora\""));
  for (const std::string rule :
       {"product", "ffa", "rolora", "fedsa", "fair", "fedex", "flora", "hetlora"}) {
    CHECK_THROWS_WITH(
        run_experiment(dir / "tiny.yaml", {"run.server.lora=" + rule}, dir / "out", tools, {}),
        Contains("run.server.lora: " + rule + " is of LoRA pairs, which the model does not have"));
  }
  // Neither a product of prompts nor DoRA is something that is added to a weight.
  for (const std::string rule : {"fedex", "flora"}) {
    for (const std::string method :
         {"{lora: {rank: 2, dora: true}}", "{prompts: {length: 3, rank: 2}}"}) {
      CHECK_THROWS_WITH(
          run_experiment(dir / "tiny.yaml", {"run.server.lora=" + rule, "model.peft=" + method},
                         dir / "out", tools, {}),
          Contains("run.server.lora: " + rule + " changes the weights beside which") &&
              Contains("are not added to one"));
    }
  }
  CHECK_FALSE(fs::exists(dir / "out"));
}
