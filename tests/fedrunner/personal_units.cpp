// Whole runs with `units.personal` (FedPer).

#include <algorithm>
#include <set>

#include "catch.h"
#include "core/console.h"
#include "core/document.h"
#include "fedrunner/run_folders.h"
#include "fedrunner/tiny_runs.h"
#include "strata/core/error.h"
#include "strata/core/safetensors.h"
#include "strata/fedrunner/metrics.h"
#include "strata/fedrunner/run.h"

using namespace strata;
using namespace strata::fedrunner;
using Catch::Matchers::Contains;
namespace fs = std::filesystem;

namespace {

const std::string kRun =
    "  strategies: [full]\n  rounds: 3\n  budget: 3\n"
    "  local: {steps: 3, batch_size: 3, learning_rate: 0.05}\n";
const std::string kPersonalHead = "units.personal=[head]";
/// Numbers of a block and of the head (tests/fedrunner/run.cpp counts them).
constexpr double kBlock = 3280, kHead = 1077, kMegabit = 32.0 / 1e6;

struct Stop {};

struct Fixture : test::TinyRuns {
  Fixture() : TinyRuns(kRun) {}

  void run(const std::string& out, const std::vector<std::string>& set,
           const RunOptions& options = {}) const {
    run_experiment(dir / "tiny.yaml", set, dir / out, tools, options);
  }
  /// The bytes of a round's state whose names begin so, by the rest of their names.
  test::Tensors state(const std::string& out, const std::string& begin, int round = 3) const {
    return test::below(test::tensors_of(state_file(out, round)), begin);
  }
};

}  // namespace

TEST_CASE_METHOD(Fixture, "a personal head stays with each client, and is not in what is sent") {
  run("shared", {});
  run("out", {kPersonalHead});
  const auto before = peft::load_model(dir / "foundation");
  const auto after = peft::load_model(dir / "out" / "model");
  const auto& head = before.unit("head").parameters;
  for (const auto& [name, weight] : before.weights()) {
    INFO(name);
    const bool own = std::find(head.begin(), head.end(), name) != head.end();
    if (own) CHECK(test::same_bits(weight, after.weight(name)));
    if (name.find("intermediate.dense.weight") != std::string::npos)
      CHECK_FALSE(test::same_bits(weight, after.weight(name)));
  }
  for (const auto& [out, numbers] :
       {std::pair("shared", 3 * kBlock + kHead), std::pair("out", 3 * kBlock)}) {
    INFO(out);
    CHECK(row(out, 1, "ct").up_mbit == Approx(numbers * kMegabit).epsilon(1e-12));
    CHECK(row(out, 1, "ct").down_mbit == 0);
    CHECK(row(out, 2, "mri").down_mbit == Approx(numbers * kMegabit).epsilon(1e-12));
  }
  const auto ct = state("out", "local/ct/"), mri = state("out", "local/mri/");
  REQUIRE(ct.size() == head.size());
  for (const auto& [name, bytes] : ct) {
    INFO(name);
    CHECK(bytes != mri.at(name));
    CHECK(bytes != state("out", "").at(name));
  }
}

TEST_CASE_METHOD(Fixture, "what is personal alone is what the client would have trained alone") {
  data::Manifest alone = test::write_tiny_data(dir / "alone");
  std::erase_if(alone.examples, [](const auto& example) { return example.client != "ct"; });
  data::write_manifest(alone);
  run("all", {kPersonalHead, "run.strategies=[head]"});
  run("one", {"data.folder=" + (dir / "alone").string(), "run.strategies=[head]"});
  const auto own = state("all", "local/ct/");
  CHECK(own.size() > 3);
  for (const auto& [name, bytes] : own) CHECK((bytes == state("one", "").at(name)));
  for (const int round : {1, 2, 3}) {
    CHECK(row("all", round, "ct").test_loss == row("one", round, "ct").test_loss);
    CHECK(row("all", round, "ct").up_mbit == 0);
  }
  CHECK(row("all", 3, "ct").test_loss != row("all", 0, "ct").test_loss);
}

TEST_CASE_METHOD(Fixture, "with personal units a run resumes to the byte") {
  run("whole", {kPersonalHead});
  for (const int last : {1, 2}) {
    const std::string out = "stopped" + std::to_string(last);
    RunOptions stopping, resuming;
    stopping.after_round = [=](const fs::path&, int round) {
      if (round == last) throw Stop();
    };
    CHECK_THROWS_AS(run(out, {kPersonalHead}, stopping), Stop);
    resuming.resume = true;
    resuming.parallel = last;
    resuming.encode_messages = last == 2;
    run(out, {kPersonalHead}, resuming);
    test::check_same(dir / "whole", dir / out);
  }
}

TEST_CASE_METHOD(Fixture, "a client whose update is not used keeps the head that it had") {
  std::map<int, std::map<std::string, std::string>> heads;
  RunOptions looking;
  looking.after_round = [&](const fs::path&, int round) {
    if (round > 0) heads[round] = state("out", "local/", round);
  };
  run("out", {kPersonalHead, "run.rounds=5", "run.failures={dropout: 0.3, corruption: 0.2}"},
      looking);
  int kept = 0;
  for (int round = 1; round <= 5; ++round) {
    const auto used =
        load_json(dir / "out" / "rounds" / ("00" + std::to_string(round)) / "aggregation.json")
            .root.at("clients")
            .get<std::set<std::string>>();
    for (const std::string client : {"ct", "mri", "oct"}) {
      const std::string bias = client + "/classifier.3.bias";
      CHECK((heads[round][bias] == heads[round - 1][bias]) == (used.count(client) == 0));
      kept += used.count(client) == 0;
    }
  }
  CHECK(kept > 0);
}

TEST_CASE_METHOD(Fixture, "pairs of a personal unit stay with the client under every rule") {
  const std::vector<std::string> lora = {
      "model.peft={lora: {rank: 2, alpha: 4, targets: [intermediate.dense]}}",
      "units={scheme: lora, selectable: [lora.0, lora.1], always: [], personal: [lora.2]}",
      "run.rounds=3", "run.budget=2"};
  // What is sent and what is received of one of the others: A has 32 numbers, B 128, the weight
  // beside them 64 × 16.
  const std::vector<std::tuple<std::string, double, double>> rules = {
      {"factors", 160, 160}, {"ffa", 128, 128},          {"rolora", 128, 128},
      {"fedsa", 32, 32},     {"fedex", 160, 160 + 1024}, {"flora", 160, 1024}};
  for (const auto& [rule, sent, received] : rules) {
    INFO(rule);
    auto set = lora;
    set.push_back("run.server.lora=" + rule);
    run(rule, set);
    CHECK(row(rule, 1, "oct").up_mbit == Approx(2 * sent * kMegabit).epsilon(1e-12));
    CHECK(row(rule, 2, "oct").down_mbit == Approx(2 * received * kMegabit).epsilon(1e-12));
    int own = 0;
    for (const auto& [name, bytes] : state(rule, "local/oct/"))
      own += name.find("layer.2.") != std::string::npos;
    CHECK(own == (rule == "ffa" ? 1 : 2));
  }
}

TEST_CASE_METHOD(Fixture, "under fedsa with a personal head A alone is shared: B and head stay") {
  run("out", {"model.peft={lora: {rank: 2, alpha: 4, targets: [intermediate.dense]}}",
              "units={scheme: lora, personal: [head]}", "run.server.lora=fedsa"});
  const auto before = peft::load_model(dir / "foundation");
  const auto after = peft::load_model(dir / "out" / "model");
  const auto& head = before.unit("head").parameters;
  for (const std::string& name : head)
    CHECK(test::same_bits(before.weight(name), after.weight(name)));
  for (const int round : {1, 2}) {
    CHECK(row("out", round, "ct").up_mbit == Approx(3 * 32 * kMegabit).epsilon(1e-12));
    CHECK(row("out", round, "ct").down_mbit ==
          Approx((round - 1) * 3 * 32 * kMegabit).epsilon(1e-12));
  }
  const auto ct = state("out", "local/ct/"), mri = state("out", "local/mri/");
  std::size_t pairs = 0;
  for (const auto& [name, bytes] : ct) {
    INFO(name);
    CHECK(bytes != mri.at(name));
    if (name.ends_with(".lora_B.weight")) {
      ++pairs;
      CHECK(after.weight(name).abs().max().item<float>() == 0);
    } else {
      CHECK(std::find(head.begin(), head.end(), name) != head.end());
    }
  }
  CHECK(pairs == 3);
  CHECK(ct.size() == 3 + head.size());
}

TEST_CASE_METHOD(Fixture, "personal units that cannot be are refused, and nothing is written") {
  CHECK_THROWS_WITH(run("out", {"units.personal=[heda]"}),
                    Contains("units.personal: the model has no unit \"heda\" (did you mean "
                             "\"head\"?)"));
  CHECK_THROWS_WITH(run("out", {"units.personal=[block.1]"}),
                    Contains("units.personal: \"block.1\" is selectable, too"));
  CHECK_THROWS_AS(run("out", {"units.personal=[head, head]"}), InputError);
  CHECK_FALSE(fs::exists(dir / "out"));
}
