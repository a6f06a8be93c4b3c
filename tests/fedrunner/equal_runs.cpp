// Runs that must end with the same bytes.

#include <torch/optim/adamw.h>

#include <numeric>

#include "catch.h"
#include "core/document.h"
#include "fedrunner/four_rounds.h"
#include "models/device.h"
#include "models/thread_count.h"
#include "strata/core/error.h"
#include "strata/core/random.h"
#include "strata/core/safetensors.h"
#include "strata/core/score_table.h"
#include "strata/fedrunner/metrics.h"
#include "support/short_files.h"

using namespace strata;
using namespace strata::data;
using namespace strata::fedrunner;
using namespace strata::models;
using Catch::Matchers::Contains;
using strata::test::row_of;
namespace fs = std::filesystem;

namespace {

using Fixture = strata::test::FourRounds;

/// Leaves only what belongs to one client in the data set, under the names `clients`.
void keep_client(const test::TempDir& dir, const std::string& client,
                 const std::vector<std::string>& clients) {
  const auto manifest = load_data(dir / "data");
  Manifest kept = manifest;
  kept.examples.clear();
  for (const auto& name : clients) {
    for (auto example : manifest.examples) {
      if (example.client != client) continue;
      example.client = name;
      kept.examples.push_back(example);
    }
  }
  write_manifest(kept);
}

}  // namespace

TEST_CASE_METHOD(Fixture, "a cache of images changes no byte of a run") {
  run("a", {"run.rounds=1"});
  const std::string cache = "data.cache=" + (dir / "cache").string();
  for (const std::string out : {"b", "c"}) {
    run(out, {"run.rounds=1", cache});
    test::check_same(dir / "a", dir / out);
  }
  CHECK_FALSE(fs::is_empty(dir / "cache"));
  // The cache is no part of what a run is: another, or none, resumes it.
  RunOptions resume;
  resume.resume = true;
  CHECK_NOTHROW(run("b", {"run.rounds=1"}, resume));
}

TEST_CASE_METHOD(Fixture, "the same seed gives the same bytes, another seed others") {
  run("a");
  run("b");
  test::check_same(dir / "a", dir / "b");
  run("c", {"run.seeds=[2]"});
  CHECK(test::slurp(dir / "a" / "model" / "model.safetensors") !=
        test::slurp(dir / "c" / "model" / "model.safetensors"));
}

TEST_CASE_METHOD(Fixture, "F3OCUS with one client and every unit is AdamW, bit for bit") {
  keep_client(dir, "ct", {"ct"});
  run("out", {"units={selectable: [embeddings, block.0, block.1, block.2, head], always: []}",
              "run.budget=5", "run.rounds=2", "run.local.clip_norm=0"});

  auto plain = peft::load_model(dir / "foundation");
  const auto data = load_data(dir / "data");
  const test::Answers train = test::answers(data, test::examples_of(data, "ct", "train"),
                                            test::tiny_config(), test::tiny_tokenizer());
  plain.train_only({"embeddings", "block.0", "block.1", "block.2", "head"});
  std::vector<torch::Tensor> weights;
  for (const auto& unit : plain.units()) {
    for (const auto& weight : plain.weights_of(unit)) weights.push_back(weight);
  }
  for (const std::uint64_t round : {1, 2}) {
    // A round's AdamW starts afresh.
    torch::optim::AdamW optimizer(weights, torch::optim::AdamWOptions(0.01).weight_decay(0.01));
    Random random(derive_seed(derive_seed(derive_seed(1, "train"), {round}), "ct"));
    std::vector<std::int64_t> order(8);
    std::iota(order.begin(), order.end(), std::int64_t{0});
    random.shuffle(order);
    for (const auto& [begin, end] : std::vector<std::pair<int, int>>{{0, 3}, {3, 6}, {6, 8}}) {
      const auto batch = train->batch({order.begin() + begin, order.begin() + end}, torch::kCPU);
      optimizer.zero_grad();
      torch::cross_entropy_loss(plain.forward(batch), batch.labels).backward();
      optimizer.step();
    }
  }
  const auto trained = peft::load_model(dir / "out" / "model");
  for (const auto& [name, weight] : trained.weights()) {
    INFO(name);
    CHECK(test::same_bits(weight, plain.weight(name)));
  }
}

TEST_CASE_METHOD(Fixture, "identical clients are one client, bit for bit") {
  // Clients draw their batches apart, so their examples are all the same one.
  auto data = load_data(dir / "data");
  std::vector<Example> train, rest;
  for (const auto& example : data.examples) {
    if (example.client != "ct") continue;
    (example.split == "train" ? train : rest).push_back(example);
  }
  data.examples = rest;
  for (int i = 0; i < 5; ++i) data.examples.push_back(train.front());
  write_manifest(data);
  const std::vector<std::string> set = {"run.strategies=[full]", "run.rounds=3",
                                        "run.local.batch_size=2"};
  run("one", set);
  keep_client(dir, "ct", {"first", "second", "third"});
  run("three", set);
  const auto one = peft::load_model(dir / "one" / "model"),
             three = peft::load_model(dir / "three" / "model");
  CHECK(one.fingerprint() == three.fingerprint());
  CHECK(one.fingerprint() != peft::load_model(dir / "foundation").fingerprint());
}

TEST_CASE_METHOD(Fixture, "clients side by side give the same bytes as one after another") {
  // With dropout, which has to come from each client's own stream.
  auto config = test::tiny_config();
  config.hidden_dropout_prob = config.attention_probs_dropout_prob = 0.2;
  peft::save_model(test::make_model(config, 3), dir / "foundation");
  run("serial");
  RunOptions parallel;
  parallel.parallel = 3;
  run("parallel", {}, parallel);
  test::check_same(dir / "serial", dir / "parallel");
  CHECK(row_of(read_metrics(dir / "serial" / "metrics.csv").rows, 1, "ct").peak_memory_mib > 0);
  CHECK(std::isnan(
      row_of(read_metrics(dir / "parallel" / "metrics.csv").rows, 1, "ct").peak_memory_mib));
  CHECK(std::isnan(
      row_of(read_metrics(dir / "parallel" / "metrics.csv").rows, 1, "all").peak_memory_mib));
  // Left to the machine, clients share the cores as long as they don't each fill them.
  RunOptions by_cores;
  by_cores.parallel = 0;
  run("by_cores", {}, by_cores);
  test::check_same(dir / "serial", dir / "by_cores");
  CHECK(std::isnan(
            row_of(read_metrics(dir / "by_cores" / "metrics.csv").rows, 1, "ct").peak_memory_mib) ==
        core_count() > 1);
  by_cores.threads = 1;
  run("given", {}, by_cores);
  CHECK(row_of(read_metrics(dir / "given" / "metrics.csv").rows, 1, "ct").peak_memory_mib > 0);
  // The first client's error is the one reported, whoever fails first.
  auto scorer = tools.score;
  tools.score = [](const Model&, const tasks::Dataset& data, const std::vector<std::string>&,
                   const ScoreRequest&) -> std::vector<double> {
    throw WorkError("client with " + std::to_string(data.size()) + " samples");
  };
  CHECK_THROWS_WITH(run("failed", {}, parallel), "round 1, client ct: client with 8 samples");
}

TEST_CASE_METHOD(Fixture, "a run whose messages go through their bytes leaves the same folder") {
  // Everything that a message can carry: late, spoiled and missing updates, adapters, schedules.
  const std::vector<std::string> set = {
      "run.strategies=[f3ocus, dropout]",
      "run.failures={dropout: 0.2, stragglers: 0.3, late: partial, corruption: 0.2}",
      "run.local={steps: 3, batch_size: 3, learning_rate: 0.01, schedule: cosine, proximal: 0.1}",
      "model.peft={adapters: {reduction: 4}, lora: {rank: 2}}",
      "units.scheme=adapter+lora",
      "run.score={samples: 4}"};
  run("shared", set);
  RunOptions encoded;
  encoded.encode_messages = true;
  run("encoded", set, encoded);
  test::check_same(dir / "shared", dir / "encoded");
  encoded.parallel = 2;
  run("parallel", set, encoded);
  test::check_same(dir / "shared", dir / "parallel");
}

TEST_CASE_METHOD(Fixture,
                 "of a foundation in bfloat16 the state is float32, as of the same numbers") {
  for (const bool widened : {false, true}) {
    const fs::path folder = dir / (widened ? "wide" : "short");
    test::copy_rounded(dir / "foundation", folder, Dtype::kBF16, widened);
    for (const char* file : {"vocab.txt", "tokenizer_config.json", "preprocessor_config.json"})
      fs::copy_file(dir / "foundation" / file, folder / file);
    run(widened ? "of_wide" : "of_short", {"model.folder=" + folder.string()});
  }
  auto found = test::contents(dir / "of_short"), expected = test::contents(dir / "of_wide");
  CHECK(found.size() == expected.size());
  for (const auto& [name, content] : expected) {
    // The folder's name, and the base's bytes in their own type.
    if (name == "config.yaml" || name.rfind("model/", 0) == 0) continue;
    INFO(name);
    CHECK((found[name] == content));
  }
}
