// What becomes of BatchNorm's running statistics in runs.

#include <set>

#include "catch.h"
#include "fedrunner/four_rounds.h"
#include "strata/core/safetensors.h"
#include "strata/fedrunner/metrics.h"

using namespace strata;
using namespace strata::data;
using namespace strata::fedrunner;
using namespace strata::models;
using Catch::Matchers::Contains;
using strata::test::row_of;
using strata::test::Stop;
namespace fs = std::filesystem;

namespace {

using Fixture = strata::test::FourRounds;

}  // namespace

namespace {

/// The Fixture's data for a small ResNet.
struct ResnetFixture : Fixture {
  ResnetFixture() {
    Model made = test::tiny_resnet(false, 5);
    made.relabel(test::tiny_config().labels, 5);
    peft::save_model(made, dir / "resnet");
  }
  void run(const std::string& out, const std::string& buffers, std::vector<std::string> set = {},
           RunOptions options = {}) const {
    set.insert(set.begin(), {"model.folder=" + (dir / "resnet").string(), "run.rounds=3",
                             "units={always: [head], buffers: " + buffers + "}",
                             "run.strategies=[full]", "run.local.batch_size=4"});
    Fixture::run(out, set, options);
  }
  /// Of the statistics of a run's model, how many are not the foundation's.
  int moved(const std::string& out) const {
    const Model before = peft::load_model(dir / "resnet"),
                after = peft::load_model(dir / out / "model");
    int moved = 0;
    for (const Parameter& buffer : before.blueprint().buffers())
      moved += !buffer.counter &&
               !test::same_bits(before.weight(buffer.name), after.weight(buffer.name));
    return moved;
  }
  double up(const std::string& out) const {
    return row_of(read_metrics(dir / out / "metrics.csv").rows, 1, "all").up_mbit;
  }
};

}  // namespace

TEST_CASE_METHOD(
    ResnetFixture,
    "statistics are averaged, frozen, or kept by each client, and resume to the byte") {
  run("average", "average");
  run("frozen", "frozen");
  run("local", "local");
  CHECK(moved("average") > 0);
  CHECK(moved("frozen") == 0);
  CHECK(moved("local") == 0);
  // γ and β are as many numbers as the statistics: what is sent beside the rest.
  CHECK(up("average") > up("frozen"));
  CHECK(up("frozen") - up("local") == Approx(up("average") - up("frozen")));
  // Their models differ from the first evaluation after a round.
  const auto loss = [&](const std::string& out) {
    return row_of(read_metrics(dir / out / "metrics.csv").rows, 3, "all").test_loss;
  };
  CHECK(loss("average") != loss("local"));
  CHECK(loss("average") != loss("frozen"));

  for (const std::string buffers : {"average", "local"}) {
    RunOptions stopping;
    stopping.after_round = [](const fs::path&, int round) {
      if (round == 2) throw Stop();
    };
    CHECK_THROWS_AS(run("again", buffers, {}, stopping), Stop);
    RunOptions resuming;
    resuming.resume = true;
    resuming.parallel = 2;
    run("again", buffers, {}, resuming);
    test::check_same(dir / buffers, dir / "again");
    fs::remove_all(dir / "again");
  }
  const SafetensorsFile state(dir / "local" / "state" / "round-003.safetensors");
  std::set<std::string> owners;
  for (const auto& entry : state.tensors())
    if (entry.name.rfind("local/", 0) == 0)
      owners.insert(entry.name.substr(6, entry.name.rfind('/') - 6));
  CHECK(owners == std::set<std::string>{"ct", "mri", "oct"});
}

TEST_CASE_METHOD(ResnetFixture,
                 "no algorithm is about statistics, but ditto's clients have theirs") {
  const auto with = [&](const std::string& out, const std::string& algorithm,
                        const std::string& buffers, const RunOptions& options = {}) {
    run(out, buffers, {"run.local.optimizer=sgd", "run.server.algorithm=" + algorithm}, options);
  };
  for (const std::string buffers : {"average", "frozen", "local"}) with(buffers, "fedavg", buffers);
  // Variates are of what is trained and sent: the statistics travel once.
  with("scaffold", "scaffold", "average");
  CHECK(up("scaffold") == Approx(up("average") + up("frozen")));
  with("kept", "scaffold", "local");
  CHECK(up("kept") == Approx(2 * up("local")));
  CHECK(moved("kept") == 0);
  const auto statistics = [&](const std::string& out, const std::string& kind) {
    const SafetensorsFile state(dir / out / "state" / "round-003.safetensors");
    int found = 0;
    for (const auto& entry : state.tensors())
      found += entry.name.starts_with(kind) && entry.name.ends_with(".running_mean");
    return found;
  };
  CHECK(statistics("scaffold", "control/") + statistics("scaffold", "memory/") == 0);
  with("ditto", "ditto", "average");
  CHECK(statistics("ditto", "memory/") > 0);
  CHECK((test::slurp(dir / "ditto" / "model" / "model.safetensors") ==
         test::slurp(dir / "average" / "model" / "model.safetensors")));
  RunOptions stopping, resuming;
  stopping.after_round = [](const fs::path&, int round) {
    if (round == 2) throw Stop();
  };
  CHECK_THROWS_AS(with("again", "ditto", "average", stopping), Stop);
  resuming.resume = true;
  resuming.parallel = 2;
  with("again", "ditto", "average", resuming);
  test::check_same(dir / "ditto", dir / "again");
}
