// HetLoRA's self-pruning: what it measures, what it adds to gradients, whole runs with it.
#include "fedrunner/rank_pruning.h"

#include <cmath>

#include "catch.h"
#include "fedrunner/client.h"
#include "fedrunner/ranked_runs.h"
#include "fedrunner/run_folders.h"
#include "fedrunner/tiny.h"
#include "peft/methods.h"
#include "strata/core/error.h"
#include "strata/fedrunner/run.h"

using namespace strata;
using namespace strata::fedrunner;
using Catch::Matchers::Contains;
using test::kMegabit;
using torch::Tensor;
namespace fs = std::filesystem;

namespace {

using Set = std::vector<std::string>;

const std::string kRun =
    "  strategies: [full]\n  rounds: 4\n  budget: 3\n"
    "  local: {steps: 3, batch_size: 3, learning_rate: 0.05}\n";
const Set kPruning = {"run.server.lora=hetlora", "run.server.rank_decay=0.7",
                      "run.server.rank_penalty=50"};

struct Runs : test::RankedRuns {
  Runs() : RankedRuns(kRun) {}
  nlohmann::json aggregation(const std::string& out, int round) const {
    return nlohmann::json::parse(
        test::slurp(dir / out / "rounds" / ("00" + std::to_string(round)) / "aggregation.json"));
  }
};

/// A model with pairs of rank 3, neither of whose factors is 0.
struct Pairs {
  Pairs() : model(make()) {
    torch::manual_seed(8);
    for (auto& [name, weight] : model.weights())
      if (name.find("lora_") != std::string::npos) weight.copy_(torch::randn(weight.sizes()));
  }
  static models::Model make() {
    auto shape = test::tiny_config();
    shape.peft.lora_rank = 3;
    shape.peft.lora_targets = {"intermediate.dense"};
    models::Model model = test::make_model(shape, 3);
    peft::set_units(model, "lora", models::Buffers::kFrozen);
    return model;
  }
  std::vector<UnitPair> all() const {
    return unit_pairs(model.blueprint(), {model.unit("lora.0"), model.unit("lora.1")});
  }

  models::Model model;
};

}  // namespace

TEST_CASE("the ranks that stay are a share of a client's, rounded down, one at least") {
  CHECK(pruned_rank(8, 0.5) == 4);
  CHECK(pruned_rank(7, 0.5) == 3);
  CHECK(pruned_rank(8, 0.99) == 7);
  CHECK(pruned_rank(100, 0.29) == 29);
  CHECK(pruned_rank(1, 0.5) == 1);
  const Pairs pairs;
  const FactorCuts cuts = pruning_cuts(pairs.all(), {{"lora.1", 2}}, 2);
  CHECK(cuts.size() == 2);  // of the other unit there are no more
  CHECK(cuts.at(pairs.all()[0].names.first).dim == 0);
  CHECK(cuts.at(pairs.all()[0].names.second).kept == 2);
  CHECK(pruning_cuts(pairs.all(), {}, 3).empty());
}

TEST_CASE("the last ranks' penalty is the sum of products of norms, and its gradient autograd's") {
  Pairs pairs;
  const auto all = pairs.all();
  const PruningWork asked{0.3, pruning_cuts(all, {}, 1)};
  const RankTails tails(pairs.model, all, asked);
  Tensor sum = torch::zeros({});
  std::vector<std::string> names;
  std::vector<Tensor> weights;
  for (const UnitPair& pair : all) {
    for (const std::string& name : {pair.names.first, pair.names.second}) {
      names.push_back(name);
      weights.push_back(pairs.model.weight(name).detach().clone().requires_grad_(true));
    }
    const std::size_t at = weights.size() - 2;
    sum = sum + weights[at].narrow(0, 1, 2).norm() * weights[at + 1].narrow(1, 1, 2).norm();
  }
  CHECK(tails.size() == Approx(sum.item<double>()));
  const auto expected = torch::autograd::grad({0.3 * sum}, weights);
  const GradientChange change = tails.penalty();
  for (std::size_t i = 0; i < names.size(); ++i) {
    CAPTURE(names[i]);
    Tensor gradient = torch::ones_like(weights[i]);
    change(names[i], pairs.model.weight(names[i]), gradient);
    CHECK((gradient - 1 - expected[i]).abs().max().item<double>() < 1e-5);
  }
  // Other weights have none of it, and a factor that is 0 no direction.
  Tensor other = torch::ones({2});
  change("classifier.bias", torch::ones({2}), other);
  CHECK(other.eq(1).all().item<bool>());
  pairs.model.weight(all[0].names.second).zero_();
  Tensor gradient = torch::ones_like(weights[1]);
  change(names[1], pairs.model.weight(names[1]), gradient);
  CHECK(gradient.eq(1).all().item<bool>());
  CHECK(RankTails(pairs.model, all, {0, asked.cuts}).penalty() == nullptr);
}

TEST_CASE_METHOD(Runs, "clients whose last ranks shrink go on without them, and send no more") {
  const std::vector<std::string> clients = {"ct", "mri", "oct"};
  run("out", kPruning);
  // B begins as 0, so that nothing can have shrunk in the first round.
  CHECK_FALSE(aggregation("out", 1).contains("ranks"));
  for (const std::string& client : clients)
    CHECK(row("out", 1, client).up_mbit == Approx(3 * 3 * (16 + 64) * kMegabit).epsilon(1e-12));
  // 3 · 0.7 is 2 ranks, then 1, at which a client stays.
  int last = 3;
  for (const int round : {2, 3, 4}) {
    const auto ranks = aggregation("out", round).at("ranks");
    const int rank = ranks.at("ct").get<int>();
    CHECK(rank <= last);
    CHECK(row("out", round, "ct").up_mbit ==
          Approx(3 * rank * (16 + 64) * kMegabit).epsilon(1e-12));
    // What it receives is as large as what it had until then.
    CHECK(row("out", round, "ct").down_mbit ==
          Approx(3 * last * (16 + 64) * kMegabit).epsilon(1e-12));
    last = rank;
  }
  CHECK(last == 1);
  // Without the penalty other weights come of the same rounds.
  run("free", {kPruning[0], kPruning[1]});
  run("never", {kPruning[0]});
  CHECK(test::slurp(dir / "out" / "model" / "adapter_model.safetensors") !=
        test::slurp(dir / "free" / "model" / "adapter_model.safetensors"));
  CHECK_FALSE(aggregation("never", 4).contains("ranks"));
}

TEST_CASE_METHOD(Runs, "runs that prune resume to the byte, by messages, side by side") {
  struct Stop {};
  for (const std::string ranks : {"run.ranks={ct: 1, mri: 2, oct: 3}", "run.ranks=2"}) {
    INFO(ranks);
    Set set = kPruning;
    set.push_back(ranks);
    const std::string out = std::to_string(ranks.size());
    run(out, set);
    for (const int last : {2, 3}) {
      const std::string stopped = out + "-stopped" + std::to_string(last);
      RunOptions stopping, resuming;
      stopping.after_round = [=](const fs::path&, int round) {
        if (round == last) throw Stop();
      };
      CHECK_THROWS_AS(run(stopped, set, stopping), Stop);
      resuming.resume = true;
      resuming.parallel = 2;
      resuming.encode_messages = last == 2;
      run(stopped, set, resuming);
      test::check_same(dir / out, dir / stopped);
    }
  }
}

TEST_CASE_METHOD(Runs, "self-pruning is HetLoRA's alone, of ranks that are no plan's") {
  CHECK_THAT(refusal({"run.server.rank_decay=0.5"}),
             Contains("run.server.rank_decay: ranks are pruned with lora hetlora alone, found "
                      "factors"));
  CHECK_THAT(refusal({"run.server.lora=hetlora", "run.server.rank_penalty=1"}),
             Contains("run.server.rank_penalty: "));
  CHECK_THAT(refusal({"run.server.lora=hetlora", "run.server.rank_decay=0"}),
             Contains("run.server.rank_decay: "));
}
