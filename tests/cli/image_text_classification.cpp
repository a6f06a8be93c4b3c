// Images with reports, with the real programs: a language model and a ViLT get a head for the
// data's labels, are scored, trained in rounds and evaluated, and leave folders that go on.
#include <algorithm>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "catch.h"
#include "command.h"
#include "data/image.h"
#include "strata/fedrunner/metrics.h"
#include "support/speaking_model.h"
#include "wrong_input.h"

using namespace strata;
using nlohmann::json;
using test::run_strata;
namespace fs = std::filesystem;

namespace {

const std::string kTask = "image_text_classification";

const char* const kLanguageModel = R"(version: 1
name: reports
task: image_text_classification
data:
  folder: data
  partition: modality
model:
  folder: model
  answers: data
  peft:
    lora: {rank: 2, targets: [q_proj, v_proj]}
units:
  scheme: lora
pretrain:
  from: model
  vocabulary: [data]
  epochs: 0
run:
  strategies: [f3ocus]
  seeds: [1]
  rounds: 2
  budget: 1
  score: {samples: 3}
  local: {steps: 20, batch_size: 8, learning_rate: 1.0e-2}
)";

const char* const kVilt = R"(version: 1
name: reports
task: image_text_classification
data:
  folder: data
  partition: dirichlet
  clients: 2
  alpha: 10
model:
  folder: foundation
  architecture: {hidden_size: 16, layers: 2, heads: 2, image_size: 32, patch_size: 8, max_text: 16}
pretrain:
  data: data
  vocabulary: [data]
  epochs: 1
  batch_size: 16
  learning_rate: 1.0e-3
run:
  strategies: [f3ocus]
  seeds: [1]
  rounds: 2
  budget: 1
  score: {samples: 3}
  local: {steps: 20, batch_size: 8, learning_rate: 1.0e-2}
)";

/// Images that are white or not, and reports that name a nodule or do not: each is a label. With
/// one label an image, it is what both say.
void write_reports(const fs::path& folder, bool several = true) {
  fs::create_directories(folder);
  std::ofstream lines(folder / "manifest.jsonl");
  for (int i = 0; i < 56; ++i) {
    const bool white = i % 2 == 1, nodule = i / 2 % 2 == 1;
    const std::string image = std::to_string(i) + ".png";
    data::write_png({32, 32, std::vector<std::uint8_t>(32 * 32 * 3, white ? 250 : 10)},
                    folder / image);
    json labels = json::array();
    if (nodule) labels.push_back("nodule");
    if (white) labels.push_back("white");
    json line{{"image", image},
              {"text", nodule ? "a round nodule." : "the lungs are clear."},
              {"split", i < 40 ? "train" : "test"},
              {"client", i / 4 % 2 == 0 ? "north" : "south"}};
    if (several)
      line["labels"] = labels;
    else
      line["label"] = nodule ? (white ? "both" : "nodule") : "clear";
    lines << line.dump() << '\n';
  }
}

const fs::path& ward() {
  static const test::TempDir dir;
  static const bool made = [] {
    write_reports(dir / "data");
    write_reports(dir / "single", /*several=*/false);
    test::write_speaking_model(dir / "model");
    std::ofstream(dir / "llava.yaml") << kLanguageModel;
    std::ofstream(dir / "vilt.yaml") << kVilt;
    return true;
  }();
  REQUIRE(made);
  return dir.path();
}

test::Outcome succeed(const std::vector<std::string>& arguments) {
  const auto outcome = run_strata(arguments, ward());
  INFO(outcome.err);
  REQUIRE(outcome.code == 0);
  return outcome;
}

/// F1 over all labels together and the mean of each label's, by their definition, of a file of
/// predictions with several labels an image.
std::pair<double, double> f1_of(const fs::path& file, const std::vector<std::string>& labels) {
  std::ifstream lines(file);
  std::map<std::string, double> right, either;  // 2 TP, and 2 TP + FP + FN
  for (std::string line; std::getline(lines, line);) {
    const json one = json::parse(line);
    for (const std::string& label : labels) {
      const auto holds = [&](const char* key) {
        const json& all = one.at(key);
        return std::count(all.begin(), all.end(), label) > 0;
      };
      right[label] += holds("truth") && holds("prediction") ? 2 : 0;
      either[label] += static_cast<int>(holds("truth")) + static_cast<int>(holds("prediction"));
    }
  }
  double all_right = 0, all = 0, mean = 0;
  for (const std::string& label : labels) {
    all_right += right[label];
    all += either[label];
    mean +=
        (either[label] > 0 ? right[label] / either[label] : 0) / static_cast<double>(labels.size());
  }
  return {all_right / all, mean};
}

/// metrics.csv, of which the last round's model is in the run's folder, and what `strata evaluate`
/// says of that. Labels of a model that `sees` depend on image and text.
void check_run(const fs::path& run, bool sees = true) {
  const auto metrics = fedrunner::read_metrics(ward() / run / "metrics.csv");
  CHECK(metrics.metrics ==
        std::vector<std::string>{"accuracy", "balanced_accuracy", "macro_f1", "micro_f1", "auroc"});
  const auto all_of = [&](int round) {
    for (const auto& row : metrics.rows)
      if (row.round == round && row.client == "all") return row;
    throw std::out_of_range("all");
  };
  const auto last = all_of(2);
  CHECK(last.test_loss < 0.9 * all_of(0).test_loss);
  if (sees) CHECK(last.values[metrics.column("micro_f1")] > 0.7);
  const json found =
      json::parse(succeed({"evaluate", (run / "model").string(), "--data", "data", "--task", kTask,
                           "--predictions", "p.jsonl", "--logits", "--json"})
                      .out)
          .at("all");
  CHECK(found.at("samples") == 16);
  for (const char* metric : {"accuracy", "macro_f1", "micro_f1"})
    CHECK(found.at(metric).get<double>() == Approx(last.values[metrics.column(metric)]));
  const auto [micro, macro] = f1_of(ward() / "p.jsonl", {"nodule", "white"});
  CHECK(found.at("micro_f1").get<double>() == Approx(micro));
  CHECK(found.at("macro_f1").get<double>() == Approx(macro));
  const json config = json::parse(test::slurp(ward() / run / "model" / "config.json"));
  CHECK(config.at("id2label") == json({{"0", "nodule"}, {"1", "white"}}));
  CHECK(config.at("problem_type") == "multi_label_classification");
  std::ifstream predictions(ward() / "p.jsonl");
  std::string line;
  std::getline(predictions, line);
  CHECK(json::parse(line).at("logits").size() == 2);
}

}  // namespace

TEST_CASE("a language model gets a classifier's head, which every client trains") {
  succeed({"run", "llava.yaml", "--out", "llava", "--threads", "1"});
  const json made = json::parse(test::slurp(ward() / "llava" / "run.json"));
  CHECK(made.at("units").at("selectable") == json({"lora.0", "lora.1"}));
  CHECK(made.at("units").at("always") == json({"head"}));
  check_run("llava");
  for (const char* file : {"model.safetensors", "adapter_model.safetensors", "tokenizer.json"})
    CHECK(fs::exists(ward() / "llava" / "model" / file));
  // What is done is not done again.
  const std::string before = test::slurp(ward() / "llava" / "metrics.csv");
  succeed({"run", "llava.yaml", "--out", "llava", "--resume", "--threads", "1"});
  CHECK(test::slurp(ward() / "llava" / "metrics.csv") == before);
}

TEST_CASE("ALBEF and BLIP-2 choose among labels, too") {
  struct Kind {
    std::string model, targets, rate;
    bool sees;  ///< the recorded T5, of random weights, hardly tells its inputs apart
  };
  for (const Kind& kind : {Kind{"albef", "[query, value]", "0.03", true},
                           Kind{"blip2_opt", "[q_proj, v_proj]", "0.03", true},
                           Kind{"blip2_t5", "[q, v]", "0.1", false}}) {
    INFO(kind.model);
    test::write_long_model(kind.model, ward() / kind.model);
    succeed({"run", "llava.yaml", "--out", "run-" + kind.model, "--threads", "1", "--set",
             "model.folder=" + kind.model, "--set", "model.peft.lora.targets=" + kind.targets,
             "--set", "run.local.learning_rate=" + kind.rate, "--set", "run.local.steps=60"});
    check_run("run-" + kind.model, kind.sees);
  }
}

TEST_CASE("with one label an image the likeliest one is chosen") {
  for (const std::string name : {"llava", "albef"}) {
    INFO(name);
    const std::string model = name == "llava" ? "model" : "albef-single", out = "single-" + name;
    if (name == "albef") test::write_long_model(name, ward() / model);
    const std::string targets = name == "llava" ? "[q_proj, v_proj]" : "[query, value]";
    succeed({"run", "llava.yaml", "--out", out, "--threads", "1", "--set", "data.folder=single",
             "--set", "model.folder=" + model, "--set", "model.peft.lora.targets=" + targets,
             "--set", "run.local.learning_rate=0.03", "--set", "run.local.steps=60", "--set",
             name == "llava" ? "run.budget=2" : "run.budget=4"});
    const auto metrics = fedrunner::read_metrics(ward() / out / "metrics.csv");
    std::map<int, double> losses;
    for (const auto& row : metrics.rows)
      if (row.client == "all") losses[row.round] = row.test_loss;
    CHECK(losses.at(2) < 0.9 * losses.at(0));
    const json config = json::parse(test::slurp(ward() / out / "model" / "config.json"));
    CHECK(config.at("id2label") == json({{"0", "both"}, {"1", "clear"}, {"2", "nodule"}}));
    CHECK(config.value("problem_type", "") != "multi_label_classification");
    const json found =
        json::parse(succeed({"evaluate", out + "/model", "--data", "single", "--task", kTask,
                             "--predictions", "one.jsonl", "--logits", "--json"})
                        .out)
            .at("all");
    std::ifstream lines(ward() / "one.jsonl");
    int right = 0, all = 0;
    for (std::string line; std::getline(lines, line); ++all) {
      const json one = json::parse(line);
      const auto logits = one.at("logits").get<std::vector<double>>();
      const auto best = std::max_element(logits.begin(), logits.end()) - logits.begin();
      CHECK(config.at("id2label").at(std::to_string(best)) == one.at("prediction"));
      right += one.at("prediction") == one.at("truth");
    }
    REQUIRE(all == 16);
    CHECK(found.at("accuracy").get<double>() == Approx(right / 16.0));
    CHECK(found.at("micro_f1").get<double>() == Approx(right / 16.0));
    CHECK(found.at("accuracy").get<double>() > 0.6);
  }
}

TEST_CASE("a language model with a fresh head is a folder of its own, and is scored") {
  succeed({"pretrain", "llava.yaml", "--out", "labelled", "--threads", "1"});
  const std::vector<std::string> score = {
      "score",     "--model",   "labelled", "--data", "data",     "--task",    kTask,
      "--samples", "4",         "--metric", "lntk",   "--metric", "grad_norm", "--table",
      "s.csv",     "--threads", "1",        "--unit", "block.*",  "--unit",    "head"};
  succeed(score);
  std::ifstream table(ward() / "s.csv");
  std::string line;
  int rows = 0;
  std::getline(table, line);
  for (; std::getline(table, line); ++rows) CHECK(line.ends_with(",ok"));
  CHECK(rows == 2 * 2 * 3);
  const json units = json::parse(succeed({"inspect", "labelled", "--json"}).out).at("units");
  CHECK(units.back().at("name") == "head");
}

TEST_CASE(
    "ViLT reads images with reports, and several labels are dealt out by Dirichlet's shares") {
  succeed({"pretrain", "vilt.yaml", "--out", "foundation", "--threads", "1"});
  succeed({"run", "vilt.yaml", "--out", "vilt", "--threads", "1"});
  check_run("vilt");
}

TEST_CASE("models without labels and data without texts are refused in one line") {
  const fs::path& folder = ward();
  test::check_refused({"evaluate", "model", "--data", "data", "--task", kTask}, folder,
                      {"\"llava\" speaks", "model.answers: data"});
  test::check_refused({"run", "llava.yaml", "--out", "no", "--set", "task=answer_generation"},
                      folder, {"model.answers: data", "answer_generation answers in words"});
  test::check_refused({"run", "llava.yaml", "--out", "no", "--set", "model.answers=own", "--set",
                       "run.local.calibrate_labels=true"},
                      folder, {"run.local.calibrate_labels", "answers in words"});
  fs::create_directories(folder / "bare");
  std::ofstream(folder / "bare" / "manifest.jsonl")
      << R"({"image":"../data/0.png","label":"a","split":"test","client":"x"})";
  test::check_refused({"evaluate", "model", "--data", "bare", "--task", kTask}, folder,
                      {"manifest.jsonl:1: text: the key is missing"});
  CHECK_FALSE(fs::exists(folder / "no"));
}
