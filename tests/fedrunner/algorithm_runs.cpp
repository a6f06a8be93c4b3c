// Whole runs under each algorithm (fedrunner/algorithms).

#include <algorithm>
#include <cstring>
#include <map>
#include <set>

#include "catch.h"
#include "core/console.h"
#include "core/document.h"
#include "experiment/server_section.h"
#include "fedrunner/run_folders.h"
#include "fedrunner/tiny_runs.h"
#include "strata/core/error.h"
#include "strata/core/safetensors.h"
#include "strata/fedrunner/metrics.h"
#include "strata/fedrunner/run.h"

using namespace strata;
using namespace strata::fedrunner;
using Catch::Matchers::Contains;
using test::below;
using test::Tensors;
using test::tensors_of;
namespace fs = std::filesystem;

namespace {

const std::string kRun =
    "  strategies: [full]\n  rounds: 4\n  budget: 3\n"
    "  local: {optimizer: sgd, steps: 3, batch_size: 3, learning_rate: 0.2}\n";
/// Every client trains another block in a round, and the head.
const std::vector<std::string> kSelected = {"run.strategies=[random]", "run.budget=1"};
/// Numbers of a block and of the head (tests/fedrunner/run.cpp counts them).
constexpr double kBlock = 3280, kHead = 1077, kMegabit = 32.0 / 1e6;

/// For feddat, which is of adapters: three blocks' (16 numbers wide, 4 in between) and the head.
const std::vector<std::string> kAdapters = {"model.peft={adapters: {reduction: 4}}",
                                            "units.scheme=adapter"};
constexpr double kAdapter = 2 * 4 * 16 + 4 + 16;

struct Stop {};

double farthest(const std::string& a, const std::string& b) {
  REQUIRE(a.size() == b.size());
  std::vector<float> x(a.size() / 4), y(x.size());
  std::memcpy(x.data(), a.data(), a.size());
  std::memcpy(y.data(), b.data(), b.size());
  double most = 0;
  for (std::size_t i = 0; i < x.size(); ++i)
    most = std::max(most, std::abs(static_cast<double>(x[i]) - static_cast<double>(y[i])));
  return most;
}

struct Fixture : test::TinyRuns {
  Fixture() : TinyRuns(kRun) {}

  void run(const std::string& out, const std::string& algorithm, std::vector<std::string> set = {},
           const RunOptions& options = {}) const {
    set.push_back("run.server.algorithm=" + algorithm);
    run_experiment(dir / "tiny.yaml", set, dir / out, tools, options);
  }
  /// Data with one client alone.
  std::string one_client() const {
    data::Manifest alone = test::write_tiny_data(dir / "alone");
    std::erase_if(alone.examples, [](const auto& example) { return example.client != "ct"; });
    data::write_manifest(alone);
    return "data.folder=" + (dir / "alone").string();
  }
  fs::path state_file(const std::string& out, int round = 4) const {
    return TinyRuns::state_file(out, round);
  }
  Tensors weights(const std::string& out) const {
    return tensors_of(dir / out / "model" / "model.safetensors");
  }
};

}  // namespace

TEST_CASE_METHOD(Fixture,
                 "under every algorithm a run resumes to the byte, side by side and by messages") {
  std::set<std::string> measured;
  const auto names = experiment::federated_algorithms().names();
  for (const auto& name : names) {
    INFO(name);
    auto set = kSelected;
    if (experiment::federated_algorithms().value(name) == experiment::FederatedAlgorithm::kFeddat)
      set.insert(set.end(), kAdapters.begin(), kAdapters.end());
    set.insert(set.end(), {"run.failures={dropout: 0.2, stragglers: 0.2, late: partial}",
                           "run.local.proximal=0.1"});
    run(name, name, set);
    for (const int last : {1, 2}) {
      const std::string out = name + "-stopped" + std::to_string(last);
      RunOptions stopping, resuming;
      stopping.after_round = [=](const fs::path&, int round) {
        if (round == last) throw Stop();
      };
      CHECK_THROWS_AS(run(out, name, set, stopping), Stop);
      resuming.resume = true;
      resuming.parallel = last;
      resuming.encode_messages = last == 2;
      run(out, name, set, resuming);
      test::check_same(dir / name, dir / out);
    }
    measured.insert(test::reproducible(dir / name / "metrics.csv"));
  }
  CHECK(measured.size() == names.size());
}

TEST_CASE_METHOD(Fixture, "clients without a usable update remember what they did, to the bit") {
  for (const std::string name : {"scaffold", "feddyn", "ditto", "feddat"}) {
    INFO(name);
    std::map<int, Tensors> memories;
    auto set = name == "feddat" ? kAdapters : std::vector<std::string>();
    set.insert(set.end(), {"run.rounds=6", "run.failures={dropout: 0.3, corruption: 0.2}"});
    RunOptions looking;
    looking.after_round = [&](const fs::path&, int round) {
      if (round > 0) memories[round] = below(tensors_of(state_file(name, round)), "memory/");
    };
    run(name, name, set, looking);
    int kept = 0, changed = 0;
    for (int round = 2; round <= 6; ++round) {
      const auto used =
          load_json(dir / name / "rounds" / ("00" + std::to_string(round)) / "aggregation.json")
              .root.at("clients")
              .get<std::set<std::string>>();
      for (const std::string client : {"ct", "mri", "oct"}) {
        const auto before = below(memories[round - 1], client + "/");
        const auto after = below(memories[round], client + "/");
        CHECK((before == after) == (used.count(client) == 0));
        (before == after ? kept : changed) += 1;
      }
    }
    CHECK(kept > 0);
    CHECK(changed > 0);
  }
}

TEST_CASE_METHOD(Fixture, "scaffold: of one client both variates are one, and it is FedAvg") {
  const std::string alone = one_client();
  run("scaffold", "scaffold", {alone});
  run("fedavg", "fedavg", {alone});
  const auto found = weights("scaffold");
  for (const auto& [name, bytes] : weights("fedavg")) {
    INFO(name);
    CHECK(farthest(found.at(name), bytes) < 1e-6);
  }
  const auto state = tensors_of(state_file("scaffold"));
  const auto control = below(state, "control/"), own = below(state, "memory/ct/");
  REQUIRE(control.size() > 30);
  REQUIRE(own.size() == control.size());
  double most = 0;
  for (const auto& [name, bytes] : control) {
    CHECK(farthest(bytes, own.at(name)) < 1e-7);
    most = std::max(most, farthest(bytes, std::string(bytes.size(), '\0')));
  }
  CHECK(most > 1e-2);
}

TEST_CASE_METHOD(Fixture, "scaffold: c is the mean of all clients' variates, by their samples") {
  for (const auto& [weights, parts] :
       {std::pair("samples", std::vector<double>{8.0 / 30, 10.0 / 30, 12.0 / 30}),
        std::pair("plain", std::vector<double>{1.0 / 3, 1.0 / 3, 1.0 / 3})}) {
    INFO(weights);
    auto set = kSelected;
    set.push_back("run.server.weights=" + std::string(weights));
    run(weights, "scaffold", set);
    const auto state = tensors_of(state_file(weights));
    int compared = 0;
    for (const auto& [name, bytes] : below(state, "control/")) {
      const std::size_t count = bytes.size() / 4;
      std::vector<double> sums(count, 0.0);
      std::size_t client = 0;
      for (const std::string who : {"ct", "mri", "oct"}) {
        const auto found = state.find("memory/" + who + "/" + name);
        const double part = parts[client++];
        if (found == state.end()) continue;  // it never trained this block: 0
        std::vector<float> own(count);
        std::memcpy(own.data(), found->second.data(), bytes.size());
        for (std::size_t i = 0; i < count; ++i) sums[i] += part * static_cast<double>(own[i]);
      }
      const std::vector<float> mean(sums.begin(), sums.end());
      const std::string expected(reinterpret_cast<const char*>(mean.data()), bytes.size());
      CHECK(farthest(bytes, expected) < 1e-6);
      ++compared;
    }
    CHECK(compared > 10);
  }
}

TEST_CASE_METHOD(Fixture,
                 "feddyn with a small alpha goes twice as far as FedAvg in its first round") {
  const std::vector<std::string> set = {"run.rounds=1", "run.local.weight_decay=0"};
  run("fedavg", "fedavg", set);
  auto small = set;
  small.push_back("run.server.alpha=1e-6");
  run("feddyn", "feddyn", small);
  const auto begin = tensors_of(dir / "foundation" / "model.safetensors");
  const auto fedavg = weights("fedavg"), feddyn = weights("feddyn");
  double most = 0;
  for (const auto& [name, bytes] : fedavg) {
    INFO(name);
    const std::size_t count = bytes.size() / 4;
    std::vector<float> x(count), y(count);
    std::memcpy(x.data(), begin.at(name).data(), bytes.size());
    std::memcpy(y.data(), bytes.data(), bytes.size());
    for (std::size_t i = 0; i < count; ++i) y[i] = 2 * y[i] - x[i];
    const std::string expected(reinterpret_cast<const char*>(y.data()), bytes.size());
    CHECK(farthest(feddyn.at(name), expected) < 1e-5);
    most = std::max(most, farthest(feddyn.at(name), bytes));
  }
  CHECK(most > 1e-3);
}

TEST_CASE_METHOD(Fixture, "ditto: the global model is FedAvg's; free of it, clients train alone") {
  run("fedavg", "fedavg");
  run("ditto", "ditto");
  run("free", "ditto", {"run.server.lambda=0"});
  CHECK((weights("ditto") == weights("fedavg")));
  CHECK((weights("free") == weights("fedavg")));
  // All that is trained is personal.
  run("alone", "fedavg",
      {"run.strategies=[head]", "run.budget=1",
       "units={selectable: [embeddings], personal: ['block.*', head]}"});
  const std::string everything = "memory/oct/";
  CHECK((below(tensors_of(state_file("free")), everything) ==
         below(tensors_of(state_file("alone")), "local/oct/")));
  for (const std::string client : {"ct", "mri", "oct"}) {
    for (const int round : {1, 4})
      CHECK(row("free", round, client).test_loss == row("alone", round, client).test_loss);
    CHECK(row("ditto", 4, client).test_loss != row("free", 4, client).test_loss);
    CHECK(row("ditto", 4, client).test_loss != row("fedavg", 4, client).test_loss);
    CHECK(row("ditto", 4, client).train_loss == row("fedavg", 4, client).train_loss);
  }
}

TEST_CASE_METHOD(
    Fixture, "feddat: what travels is as much as FedAvg's, and own adapters stay with clients") {
  run("fedavg", "fedavg", kAdapters);
  run("feddat", "feddat", kAdapters);
  for (const int round : {1, 2}) {
    for (const std::string client : {"ct", "mri", "oct"}) {
      CHECK(row("feddat", round, client).up_mbit == row("fedavg", round, client).up_mbit);
      CHECK(row("feddat", round, client).down_mbit == row("fedavg", round, client).down_mbit);
    }
  }
  CHECK(row("feddat", 1, "mri").up_mbit ==
        Approx((3 * kAdapter + kHead) * kMegabit).epsilon(1e-12));
  const auto state = tensors_of(state_file("feddat"));
  std::map<std::string, Tensors> own;
  for (const std::string client : {"ct", "mri", "oct"}) {
    own[client] = below(state, "memory/" + client + "/");
    CHECK(own[client].size() == 3 * 4);
    for (const auto& [name, bytes] : own[client]) {
      CHECK_THAT(name, Contains(".adapters."));
      CHECK(state.count(name) == 1);
      CHECK(state.at(name) != bytes);
    }
  }
  CHECK((own["ct"] != own["mri"]));
  // Before anything is trained there is one set.
  CHECK(row("feddat", 0, "ct").test_loss == row("fedavg", 0, "ct").test_loss);
}

TEST_CASE_METHOD(Fixture, "feddat: what is sent without distillation and a head is FedAvg's") {
  auto set = kAdapters;
  set.insert(set.end(), {"units.always=[]", "run.strategies=[random]", "run.budget=1"});
  run("fedavg", "fedavg", set);
  set.insert(set.end(), {"run.server.distill_local=0", "run.server.distill_shared=0"});
  run("feddat", "feddat", set);
  CHECK((weights("feddat") == weights("fedavg")));
  CHECK((tensors_of(dir / "feddat" / "model" / "strata_adapters.safetensors") ==
         tensors_of(dir / "fedavg" / "model" / "strata_adapters.safetensors")));
  for (const std::string client : {"ct", "mri", "oct"}) {
    CHECK(row("feddat", 4, client).train_loss == row("fedavg", 4, client).train_loss);
    CHECK(row("feddat", 4, client).test_loss != row("fedavg", 4, client).test_loss);
  }
  set.back() = "run.server.distill_shared=1";
  run("taught", "feddat", set);
  CHECK_FALSE((tensors_of(dir / "taught" / "model" / "strata_adapters.safetensors") ==
               tensors_of(dir / "fedavg" / "model" / "strata_adapters.safetensors")));
}

TEST_CASE_METHOD(Fixture, "feddat: a personal unit's adapters are there once") {
  auto set = kAdapters;
  set.insert(set.end(), {"units.selectable=[adapter.0, adapter.1]",
                         "units.personal=[adapter.2, head]", "run.rounds=1", "run.budget=2"});
  run("feddat", "feddat", set);
  const auto state = tensors_of(state_file("feddat", 1));
  CHECK(below(state, "memory/ct/").size() == 2 * 4);
  CHECK(below(state, "local/ct/").count("classifier.3.bias") == 1);
  CHECK(row("feddat", 1, "ct").up_mbit == Approx(2 * kAdapter * kMegabit).epsilon(1e-12));
}

TEST_CASE_METHOD(Fixture, "scaffold's variates double what travels; the others send no more") {
  for (const auto& [name, times] : {std::pair("fedavg", 1), std::pair("scaffold", 2),
                                    std::pair("feddyn", 1), std::pair("ditto", 1)}) {
    INFO(name);
    run(name, name, {"run.rounds=2"});
    const double numbers = times * (3 * kBlock + kHead);
    CHECK(row(name, 1, "mri").up_mbit == Approx(numbers * kMegabit).epsilon(1e-12));
    CHECK(row(name, 1, "mri").down_mbit == 0);
    CHECK(row(name, 2, "mri").down_mbit == Approx(numbers * kMegabit).epsilon(1e-12));
    auto set = kSelected;
    set.push_back("run.rounds=1");
    const std::string selected = std::string(name) + "-selected";
    run(selected, name, set);
    CHECK(row(selected, 1, "mri").up_mbit ==
          Approx(times * (kBlock + kHead) * kMegabit).epsilon(1e-12));
  }
  // In the first round there is nothing yet to correct by.
  CHECK(row("scaffold", 1, "ct").test_loss == row("fedavg", 1, "ct").test_loss);
  CHECK(row("scaffold", 2, "ct").test_loss != row("fedavg", 2, "ct").test_loss);
}

TEST_CASE_METHOD(Fixture, "what clients keep to themselves is no part of scaffold") {
  const std::string lora = "model.peft={lora: {rank: 2, alpha: 4, targets: [intermediate.dense]}}";
  run("fedsa", "scaffold",
      {lora, "units={scheme: lora, always: []}", "run.server.lora=fedsa", "run.rounds=2"});
  const auto state = tensors_of(state_file("fedsa", 2));
  CHECK(below(state, "control/").size() == 3);
  for (const auto& [name, bytes] : below(state, "memory/ct/"))
    CHECK(name.ends_with(".lora_A.weight"));
  // A has 32 numbers.
  CHECK(row("fedsa", 1, "ct").up_mbit == Approx(2 * 3 * 32 * kMegabit).epsilon(1e-12));
  run("personal", "scaffold", {"units.personal=[head]", "run.rounds=2"});
  const auto personal = tensors_of(state_file("personal", 2));
  CHECK(below(personal, "control/").count("classifier.3.bias") == 0);
  CHECK(below(personal, "memory/ct/").count("classifier.3.bias") == 0);
  CHECK(below(personal, "local/ct/").count("classifier.3.bias") == 1);
  CHECK(row("personal", 1, "ct").up_mbit == Approx(2 * 3 * kBlock * kMegabit).epsilon(1e-12));
}

TEST_CASE_METHOD(Fixture, "a damaged memory is no state") {
  run("out", "feddyn", {"run.rounds=1"});
  const auto text = test::slurp(state_file("out", 1));
  auto spoiled = text;
  const auto place = spoiled.find("memory/ct/classifier.3.bias");
  REQUIRE(place != std::string::npos);
  spoiled[place + std::string("memory/ct/c").size()] = 'x';
  dir.write("out/state/round-001.safetensors", spoiled);
  RunOptions resuming;
  resuming.resume = true;
  CHECK_THROWS_WITH(run("out", "feddyn", {"run.rounds=2"}, resuming),
                    Contains("memory/ct/cxassifier.3.bias is of no weight of the run"));
}

TEST_CASE_METHOD(Fixture, "an algorithm that the experiment cannot have is refused by name") {
  const auto error = [&](const std::string& algorithm, const std::vector<std::string>& set) {
    return test::error_of([&] { run("out", algorithm, set); });
  };
  CHECK_THAT(error("scafold", {}), Contains("run.server.algorithm: \"scafold\" is not one of") &&
                                       Contains("did you mean \"scaffold\""));
  CHECK_THAT(error("scaffold", {"run.local.optimizer=adamw"}),
             Contains("run.server.algorithm: scaffold goes with run.local.optimizer sgd alone"));
  CHECK_THAT(
      error("feddyn", {"run.server.learning_rate=0.5"}),
      Contains("run.server.algorithm: feddyn goes with optimizer average and learning_rate 1 "
               "alone"));
  CHECK_THAT(error("feddyn", {"run.server.alpha=0"}), Contains("run.server.alpha: "));
  for (const std::string algorithm : {"scaffold", "feddyn", "ditto"}) {
    CHECK_THAT(error(algorithm, {"run.server.lora=flora"}),
               Contains("run.server.algorithm: " + algorithm + " goes with rules of LoRA pairs") &&
                   Contains("flora does not"));
  }
  const std::string adapters = "run.server.algorithm: feddat is of adapters, and no unit that";
  CHECK_THAT(error("feddat", {}), Contains(adapters) && Contains("model.peft.adapters adds them"));
  CHECK_THAT(error("feddat", {kAdapters[0], "units.scheme=block"}), Contains(adapters));
  CHECK_THAT(error("feddat", {kAdapters[0], kAdapters[1], "units.personal=['adapter.*']",
                              "units.selectable=[embeddings]", "run.budget=1"}),
             Contains(adapters));
  CHECK_THAT(error("feddat", {kAdapters[0], kAdapters[1], "run.server.temperature=0"}),
             Contains("run.server.temperature: "));
  CHECK_FALSE(fs::exists(dir / "out"));
}

TEST_CASE_METHOD(Fixture, "feddat is of tasks that choose one label") {
  data::Manifest several = test::write_tiny_data(dir / "several");
  several.multi_label = true;
  several.classes = test::tiny_config().labels;
  for (auto& example : several.examples) {
    example.labels = {example.answers.front()};
    example.question.clear();
    example.answers.clear();
  }
  data::write_manifest(several);
  auto set = kAdapters;
  set.push_back("data.folder=" + (dir / "several").string());
  CHECK_THAT(test::error_of([&] { run("out", "feddat", set); }),
             Contains("run.server.algorithm: feddat distils a distribution over labels, and an "
                      "example of these data may have several"));
  CHECK_FALSE(fs::exists(dir / "out"));
}
