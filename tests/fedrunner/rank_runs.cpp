// Whole runs whose clients have LoRA pairs of different ranks.

#include <cmath>
#include <set>

#include "catch.h"
#include "experiment/server_section.h"
#include "fedrunner/lora_rules/lora_rule.h"
#include "fedrunner/ranked_runs.h"
#include "fedrunner/run_folders.h"
#include "strata/core/error.h"
#include "strata/core/safetensors.h"
#include "strata/fedrunner/run.h"

using namespace strata;
using namespace strata::fedrunner;
using Catch::Matchers::Contains;
using test::kMegabit;
namespace fs = std::filesystem;

namespace {

using Set = std::vector<std::string>;

const std::string kRun =
    "  strategies: [full]\n  rounds: 3\n  budget: 3\n"
    "  local: {steps: 3, batch_size: 3, learning_rate: 0.05}\n";
const std::string kMixed = "run.ranks={ct: 1, mri: 2, oct: 3}";

struct Stop {};

struct Fixture : test::RankedRuns {
  Fixture() : RankedRuns(kRun) {}
};

std::vector<std::string> rules() {
  std::vector<std::string> names;
  for (const auto& name : experiment::lora_averages().names())
    if (lora_rule(experiment::lora_averages().value(name)).any_ranks) names.push_back(name);
  return names;
}

}  // namespace

TEST_CASE_METHOD(Fixture, "with mixed ranks a run resumes to the byte, side by side, by messages") {
  std::set<std::string> models;
  for (const auto& rule : rules()) {
    INFO(rule);
    const Set set = {kMixed, "run.server.lora=" + rule};
    run(rule, set);
    for (const int last : {1, 2}) {
      const std::string out = rule + "-stopped" + std::to_string(last);
      RunOptions stopping, resuming;
      stopping.after_round = [=](const fs::path&, int round) {
        if (round == last) throw Stop();
      };
      CHECK_THROWS_AS(run(out, set, stopping), Stop);
      resuming.resume = true;
      resuming.parallel = last;
      resuming.encode_messages = last == 2;
      run(out, set, resuming);
      test::check_same(dir / rule, dir / out);
    }
    models.insert(test::slurp(dir / rule / "model" / "adapter_model.safetensors"));
  }
  CHECK(rules() == Set{"factors", "product", "fedsa", "flora", "hetlora"});
  CHECK(models.size() == 5);
}

TEST_CASE_METHOD(Fixture, "bytes are of each client's own rows and columns") {
  for (const auto& rule : rules()) {
    INFO(rule);
    run(rule, {kMixed, "run.server.lora=" + rule, "run.rounds=2"});
    double rank = 0;
    for (const std::string client : {"ct", "mri", "oct"}) {
      ++rank;
      const double sent = rank * (rule == "fedsa" ? 16 : 16 + 64);
      const double received = rule == "flora" ? 16 * 64 : sent;
      CHECK(row(rule, 1, client).up_mbit == Approx(3 * sent * kMegabit).epsilon(1e-12));
      CHECK(row(rule, 1, client).down_mbit == 0);
      CHECK(row(rule, 2, client).up_mbit == Approx(3 * sent * kMegabit).epsilon(1e-12));
      CHECK(row(rule, 2, client).down_mbit == Approx(3 * received * kMegabit).epsilon(1e-12));
    }
  }
}

TEST_CASE_METHOD(Fixture, "ranks that are the pairs' own change nothing but the configuration") {
  run("plain", {"run.server.lora=factors"});
  run("ranked", {"run.server.lora=factors", "run.ranks=3"});
  auto plain = test::contents(dir / "plain"), ranked = test::contents(dir / "ranked");
  CHECK_THAT(ranked.at("config.yaml"), Contains("ranks: 3"));
  CHECK_THAT(plain.at("config.yaml"), !Contains("ranks"));
  plain.erase("config.yaml");
  ranked.erase("config.yaml");
  CHECK((plain == ranked));
}

TEST_CASE_METHOD(Fixture,
                 "rows and columns that no client has keep the bits that they began with") {
  run("start", {"run.rounds=1", "run.local.learning_rate=0"});
  run("out", {"run.ranks={each: 1, clients: {mri: 2}}"});
  const auto before = test::tensors_of(state_file("start", 1));
  const auto after = test::tensors_of(state_file("out", 3));
  int pairs = 0;
  for (const auto& [name, bytes] : after) {
    if (!name.ends_with("lora_A.weight")) continue;
    ++pairs;
    const std::size_t line = 16 * sizeof(float);
    for (const std::size_t r : {0u, 1u, 2u}) {
      INFO(name << " " << r);
      CHECK((bytes.substr(r * line, line) == before.at(name).substr(r * line, line)) == (r == 2));
    }
  }
  CHECK(pairs == 3);
}

TEST_CASE_METHOD(Fixture, "a pair of one client alone is sorted for those that get a part of it") {
  // One unit a client and round, so that some pair is one client's.
  const Set set = {"run.server.lora=product", "run.strategies=[roundrobin]", "run.budget=1",
                   "run.rounds=1"};
  run("whole", set);
  run("cut", {set[0], set[1], set[2], set[3], "run.ranks={each: 3, clients: {ct: 2}}"});
  const auto dot = [](const std::string& bytes, std::size_t i, std::size_t k) {
    const auto* a = reinterpret_cast<const float*>(bytes.data());
    double sum = 0;
    for (std::size_t x = 0; x < 16; ++x) sum += a[16 * i + x] * a[16 * k + x];
    return std::abs(sum);
  };
  int sorted = 0, as_it_is = 0;
  for (const auto& [out, count] : {std::pair("cut", &sorted), std::pair("whole", &as_it_is)}) {
    for (const auto& [name, bytes] : test::tensors_of(state_file(out, 1)))
      if (name.ends_with("lora_A.weight")) *count += dot(bytes, 0, 1) < 1e-5 * dot(bytes, 0, 0);
  }
  CHECK(sorted == 3);
  CHECK(as_it_is == 0);
}

TEST_CASE_METHOD(Fixture, "what a client keeps of a pair is of its rank, and 0 beyond") {
  run("out", {kMixed, "run.server.lora=fedsa"});
  const auto own = test::below(test::tensors_of(state_file("out", 3)), "local/");
  CHECK(own.size() == 9);
  for (const auto& [name, bytes] : own) {
    INFO(name);
    const std::size_t rank = name.starts_with("ct/") ? 1 : name.starts_with("mri/") ? 2 : 3;
    REQUIRE(bytes.size() == 64 * 3 * sizeof(float));
    const auto* b = reinterpret_cast<const float*>(bytes.data());
    for (std::size_t i = 0; i < 64 * 3; ++i)
      if (i % 3 >= rank) CHECK(b[i] == 0);
    CHECK(b[0] != 0);
  }
}

TEST_CASE_METHOD(Fixture, "clients may have ranks of their own where units are scored, too") {
  const Set set = {kMixed, "run.strategies=[topk]", "run.budget=1"};
  run("out", set);
  RunOptions encoded;
  encoded.encode_messages = true;
  run("encoded", set, encoded);
  test::check_same(dir / "out", dir / "encoded");
  // A unit of rank 2, and three scores.
  CHECK(row("out", 1, "mri").up_mbit ==
        Approx(2 * (16 + 64) * kMegabit + 3 * 64 / 1e6).epsilon(1e-12));
}

TEST_CASE_METHOD(Fixture, "an outlier is told by the rows and columns that it has sent") {
  // Whole pairs differ from the global ones by 0 padding as much as by training.
  run("out", {kMixed, "run.server.outlier_ratio=1.5", "run.local.learning_rate=0.0001"});
  CHECK_THAT(test::slurp(dir / "out" / "run.log"), !Contains("is refused"));
}

TEST_CASE_METHOD(Fixture, "ranks that the experiment cannot have are refused, nothing is written") {
  CHECK_THAT(refusal({"run.ranks={ct: 1, mir: 2, oct: 3}"}),
             Contains("run.ranks.mir: there is no client \"mir\" (did you mean \"mri\"?)"));
  CHECK_THAT(refusal({"run.ranks={ct: 1, oct: 3}"}),
             Contains("run.ranks: no rank for the client \"mri\""));
  CHECK_THAT(refusal({"run.ranks={each: 1, clients: {oct: 4}}"}),
             Contains("run.ranks.clients.oct: client \"oct\": a rank of 4, but the model's LoRA "
                      "pairs have 3; allowed is 1 to 3"));
  CHECK_THAT(refusal({"run.ranks=0"}), Contains("run.ranks: "));
  CHECK_THAT(refusal({"run.ranks={}"}), Contains("run.ranks: no client has a rank"));
  CHECK_THAT(
      refusal({"run.ranks=1", "model.peft={prompts: {length: 2}}", "units={scheme: prompt}"}),
      Contains("run.ranks: ranks are of LoRA pairs, which the model does not have"));
  CHECK_THAT(refusal({"run.ranks=1", "model.peft={lora: {rank: 2, dora: true}}"}),
             Contains("run.ranks: ranks are of pairs that are added to a weight, which \"") &&
                 Contains("lora_A.weight\" and its like are not"));
  for (const std::string rule : {"ffa", "rolora", "fair", "fedex"}) {
    CHECK_THAT(refusal({"run.ranks=1", "run.server.lora=" + rule}),
               Contains("run.ranks: ranks of clients do not go with run.server.lora " + rule +
                        "; they go with factors, product, fedsa, flora and hetlora"));
  }
  for (const std::string algorithm : {"feddyn", "ditto"}) {
    CHECK_THAT(refusal({"run.ranks=1", "run.server.algorithm=" + algorithm}),
               Contains("run.ranks: ranks of clients go with run.server.algorithm fedavg alone"));
  }
}
