#include "strata/fedrunner/pretrain.h"

#include "catch.h"
#include "core/console.h"
#include "core/document.h"
#include "fedrunner/foundation.h"
#include "fedrunner/tiny.h"
#include "models/thread_count.h"
#include "strata/core/error.h"
#include "tasks/tasks.h"

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

TEST_CASE_METHOD(Fixture, "a model that answers in words is trained from nothing, and trained on") {
  const std::vector<std::string> speaking = {
      "task=answer_generation",
      "model.architecture={type: llava, hidden_size: 16, layers: 2, heads: 2, image_size: 16, "
      "patch_size: 8, vision_layers: 1, vocabulary: 300, max_text: 40, initializer_range: 0.1}",
      "data.prompt=<image>{question}"};
  const auto with = [&](const std::vector<std::string>& more) {
    std::vector<std::string> set = speaking;
    set.insert(set.end(), more.begin(), more.end());
    return set;
  };
  const auto summary = pretrain("words", with({}));
  CHECK(summary.labels == 0);
  CHECK(summary.metrics[0].first == "accuracy");
  CHECK(summary.metrics[0].second >= 0.9);

  // The folder is the model that was measured, and transformers' files are there.
  const auto foundation = load_foundation(dir / "words", torch::kCPU);
  const auto task = tasks::choose_task("answer_generation", manifest);
  const auto test_set = task->encode(test::examples_of(manifest, "", "test"),
                                     {manifest, foundation.model.blueprint(), foundation.tokenizer,
                                      false, nullptr, foundation.language, "<image>{question}"});
  const auto again = task->evaluate(foundation.model, *test_set);
  CHECK(task->value("accuracy", again) == summary.metrics[0].second);
  CHECK(again.of("loss").mean() == Approx(summary.loss).epsilon(1e-9));
  CHECK(foundation.language->size() <= 300);
  // Words as they stand in the prompt, and the answer's.
  CHECK(foundation.language->encode("is it red?", false).size() == 4);
  CHECK(foundation.language->encode(" blue", false).size() == 1);
  for (const char* file : {"tokenizer_config.json", "processor_config.json",
                           "preprocessor_config.json", "generation_config.json"}) {
    CAPTURE(file);
    CHECK(fs::exists(dir / "words" / file));
  }
  CHECK_FALSE(fs::exists(dir / "words" / "vocab.txt"));

  pretrain("same", with({}), 1, 1);
  pretrain("seed", with({}), 1, 1);
  for (const char* file : {"tokenizer.json", "model.safetensors"})
    CHECK(test::slurp(dir / "same" / file) == test::slurp(dir / "seed" / file));

  // Trained on: the same words, other weights.
  dir.write("on.yaml",
            "version: 1\nname: on\ntask: answer_generation\nmodel: {folder: x}\ndata: {folder: " +
                (dir / "data").string() +
                ", prompt: \"<image>{question}\"}\n"
                "pretrain: {from: " +
                (dir / "words").string() +
                ", data: public, epochs: 1, batch_size: 8, learning_rate: 0.001}\n");
  const auto on = [&](const std::string& out, const std::vector<std::string>& set) {
    return pretrain_model(dir / "on.yaml", set, dir / out, "cpu", test::tiny_tools().names);
  };
  CHECK(on("on", {"data.public_fraction=0.5"}).train_samples == 16);
  CHECK(test::slurp(dir / "on" / "tokenizer.json") ==
        test::slurp(dir / "words" / "tokenizer.json"));
  CHECK(load_foundation(dir / "on", torch::kCPU).model.fingerprint() !=
        foundation.model.fingerprint());

  CHECK_THROWS_WITH(on("out", {"pretrain={from: " + (dir / "words").string() + ", epochs: 0}"}),
                    Contains("pretrain.epochs: 0 is for a new output layer, but ") &&
                        Contains("answers in words"));
  CHECK_THROWS_WITH(
      pretrain("out", with({"task=answer_classification"})),
      Contains("task: answer_classification is for models with labels") && Contains("\"llava\""));
  CHECK_THROWS_WITH(pretrain("out", {"task=answer_generation"}),
                    Contains("task: answer_generation is for models that answer in words") &&
                        Contains("\"vilt\""));
  CHECK_THROWS_WITH(pretrain("out", with({"data.prompt=what?"})), Contains("{question}"));
  CHECK_FALSE(fs::exists(dir / "out"));
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
