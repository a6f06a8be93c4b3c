#include "strata/fedrunner/pretrain.h"

#include "catch.h"
#include "core/console.h"
#include "core/document.h"
#include "fedrunner/tiny.h"
#include "models/thread_count.h"
#include "strata/core/error.h"

using namespace strata;
using namespace strata::data;
using namespace strata::fedrunner;
using namespace strata::models;
using Catch::Matchers::Contains;
namespace fs = std::filesystem;

namespace {

struct Fixture {
  test::TempDir dir;
  Manifest manifest = test::write_tiny_data(dir / "data");

  Fixture() {
    set_quiet(true);
    const std::string folder = (dir / "data").string();
    dir.write("tiny.yaml",
              "version: 1\nname: tiny\ndata: {folder: " + folder +
                  ", public_fraction: 0.5}\n"
                  "model:\n  architecture: {hidden_size: 16, layers: 2, heads: 2, "
                  "image_size: 16, patch_size: 8, max_text: 10, initializer_range: 0.2}\n"
                  "pretrain: {data: " +
                  folder + ", epochs: 40, batch_size: 10, learning_rate: 0.01}\n");
  }

  PretrainSummary pretrain(const std::string& out, const std::vector<std::string>& set = {},
                           int threads = 0, int parallel = 0) {
    return pretrain_model(dir / "tiny.yaml", set, dir / out, "cpu", test::tiny_tools().names,
                          threads, parallel);
  }

  Json provenance(const std::string& out) {
    return load_json(dir / out / "pretrain.json").root["provenance"];
  }
};

}  // namespace

TEST_CASE_METHOD(Fixture,
                 "central training learns, and the folder it writes is the model it measured") {
  const auto summary = pretrain("model");
  CHECK(summary.train_samples == 30);
  CHECK(summary.test_samples == 12);
  CHECK(summary.labels == 5);
  CHECK(summary.metrics[0].second >= 0.9);  // colours are easy

  const auto model = peft::load_model(dir / "model");
  const test::Answers test_set = test::answers(manifest, test::examples_of(manifest, "", "test"),
                                               model.blueprint(), load_tokenizer(dir / "model"));
  const auto again = test::answering().evaluate(model, *test_set);
  CHECK(again.of("accuracy").mean() == summary.metrics[0].second);
  CHECK(again.of("loss").mean() == Approx(summary.loss).epsilon(1e-9));

  const auto report = load_json(dir / "model" / "pretrain.json").root;
  CHECK(report["epochs"].size() == 40);
  CHECK(report["test"]["accuracy"] == summary.metrics[0].second);
  CHECK(report["synthetic"] == true);
  CHECK(report["fingerprint"] == model.fingerprint());

  CHECK_THROWS_WITH(pretrain("model"), Contains("the folder already holds a model (config.json)"));
}

TEST_CASE_METHOD(Fixture,
                 "pretraining on the public share sees only its images; same seed, same bytes") {
  const std::vector<std::string> set = {"pretrain.data=public", "pretrain.epochs=2",
                                        "pretrain.evaluate_every=2", "pretrain.flips=both"};
  const auto summary = pretrain("a", set);
  CHECK(summary.train_samples == 16);  // 8 of 15 images, two questions each
  CHECK(summary.labels == 5);          // the vocabulary is that of all training questions
  pretrain("b", set);
  CHECK(test::slurp(dir / "a" / "model.safetensors") ==
        test::slurp(dir / "b" / "model.safetensors"));
  const auto report = load_json(dir / "a" / "pretrain.json").root;
  CHECK_FALSE(report["epochs"][0].contains("test"));
  CHECK(report["epochs"][1].contains("test"));
}

TEST_CASE_METHOD(Fixture,
                 "a model to begin with keeps its weights and words, but for the answers") {
  pretrain("first", {"pretrain.epochs=1"});
  auto manifest = load_data(dir / "data");
  for (auto& example : manifest.examples)
    if (example.answers[0] == "red") example.answers = {"crimson"};
  write_manifest(manifest);
  dir.write("from.yaml", "version: 1\nname: from\ndata: {folder: " + (dir / "data").string() +
                             "}\nmodel: {folder: x}\npretrain: {from: " + (dir / "first").string() +
                             ", epochs: 0}\n");
  const auto names = test::tiny_tools().names;
  const auto summary = pretrain_model(dir / "from.yaml", {}, dir / "from", "cpu", names);
  CHECK(summary.labels == 5);
  CHECK(summary.train_samples == 0);
  CHECK(std::isnan(summary.metrics[0].second));
  const auto first = peft::load_model(dir / "first"), second = peft::load_model(dir / "from");
  CHECK(second.architecture().labels() ==
        std::vector<std::string>{"blue", "crimson", "green", "no", "yes"});
  for (const auto& [name, weight] : first.weights()) {
    INFO(name);
    CHECK(test::same_bits(weight, second.weight(name)) == (name.rfind("classifier.3.", 0) != 0));
  }
  CHECK(test::slurp(dir / "from" / "vocab.txt") == test::slurp(dir / "first" / "vocab.txt"));
  CHECK_THAT(test::slurp(dir / "from" / "pretrain.json"),
             Contains("\"from\": ") && Contains("\"accuracy\": null"));

  // Trained on, it is the first model's data with the new answers.
  const std::string data = "pretrain={from: " + (dir / "first").string() +
                           ", epochs: 2, learning_rate: 0.001, data: " + (dir / "data").string() +
                           "}";
  CHECK(pretrain_model(dir / "from.yaml", {data}, dir / "trained", "cpu", names).train_samples ==
        30);
  CHECK_THROWS_WITH(pretrain("out", {"pretrain.from=" + (dir / "first").string()}),
                    Contains("pretrain.from: the model has an architecture"));
  CHECK_THROWS_WITH(
      pretrain_model(dir / "from.yaml", {"pretrain.data=x"}, dir / "out", "cpu", names),
      Contains("pretrain.data: with pretrain.epochs 0 nothing is trained"));
}

TEST_CASE_METHOD(Fixture, "a pretraining takes the cores, and says how") {
  const std::vector<std::string> set = {"pretrain.epochs=2", "pretrain.batch_size=40"};
  pretrain("auto", set);
  CHECK(provenance("auto")["threads"] == 1);  // the model is tiny
  CHECK(provenance("auto")["parallel"] == core_count());
  pretrain("threads", set, 1);
  CHECK(provenance("threads")["parallel"] == 1);
  pretrain("parts", set, 0, 2);
  pretrain("both", set, 1, 2);
  const auto weights = [&](const char* out) {
    return test::slurp(dir / out / "model.safetensors");
  };
  CHECK(weights("parts") == weights("both"));
  CHECK(weights("parts") != weights("threads"));
}

TEST_CASE_METHOD(Fixture, "pretraining refuses wrong input before it writes") {
  CHECK_THROWS_WITH(pretrain("out", {"pretrain.epochs=0"}), Contains("pretrain.epochs: "));
  CHECK_THROWS_WITH(pretrain("out", {"pretrain.epoch=3"}), Contains("(did you mean \"epochs\"?)"));
  CHECK_THROWS_AS(pretrain("out", {"pretrain.data=nowhere"}), InputError);
  CHECK_THROWS_AS(pretrain("out", {"pretrain.vocabulary=[nowhere]"}), InputError);
  CHECK_FALSE(fs::exists(dir / "out"));
}
