// `strata evaluate` with the real programs, on questions and on labelled images; and a federated
// run that classifies images.
#include <cmath>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "catch.h"
#include "command.h"
#include "wrong_input.h"

using namespace strata;
using Catch::Matchers::Contains;
using nlohmann::json;
using test::check_refused;
using test::run_strata;
using test::slurp;
namespace fs = std::filesystem;

namespace {

const char* const kQuestions = R"(version: 1
name: tiny
data: {folder: data}
model:
  folder: model
  architecture: {hidden_size: 16, layers: 2, heads: 2, image_size: 32, patch_size: 8, max_text: 16}
pretrain:
  data: data/shapes
  vocabulary: [data]
  epochs: 2
  batch_size: 16
  learning_rate: 1.0e-3
)";

const char* const kImages = R"(version: 1
name: modalities
data: {folder: images, partition: iid, clients: 2}
model:
  folder: classifier
  architecture: {type: vit, hidden_size: 16, layers: 2, heads: 2, image_size: 32, patch_size: 8}
pretrain:
  data: images
  epochs: 4
  batch_size: 8
  learning_rate: 3.0e-3
run:
  strategies: [random]
  rounds: 1
  budget: 1
  local: {steps: 2, batch_size: 4, learning_rate: 1.0e-3}
)";

std::vector<json> lines_of(const fs::path& file) {
  std::vector<json> lines;
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) lines.push_back(json::parse(line));
  return lines;
}

/// The phantoms' images by modality: images/SPLIT/MODALITY/*.png.
void sort_into_classes(const fs::path& workshop) {
  std::map<std::string, int> taken;
  for (const json& example : lines_of(workshop / "data/manifest.jsonl")) {
    const fs::path image = example["image"].get<std::string>();
    const fs::path folder = workshop / "images" / example["split"].get<std::string>() /
                            example["client"].get<std::string>();
    fs::create_directories(folder);
    if (!fs::exists(folder / image.filename()))
      fs::copy_file(workshop / "data" / image, folder / image.filename());
  }
}

const fs::path& workshop() {
  static const test::TempDir dir;
  static const bool made = [] {
    test::make_data_and_model(dir, kQuestions, "10", "40", "model");
    sort_into_classes(dir.path());
    dir.write("images.yaml", kImages);
    const auto outcome = run_strata(
        {"pretrain", "images.yaml", "--out", "classifier", "--threads", "1"}, dir.path());
    if (outcome.code != 0) throw std::runtime_error(outcome.err);
    return true;
  }();
  REQUIRE(made);
  return dir.path();
}

json evaluate(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "evaluate");
  arguments.insert(arguments.end(), {"--json", "--threads", "1"});
  const auto outcome = run_strata(arguments, workshop());
  INFO(outcome.err);
  REQUIRE(outcome.code == 0);
  return json::parse(outcome.out);
}

std::vector<std::string> labels_of(const fs::path& model) {
  const json config = json::parse(slurp(model / "config.json"));
  std::vector<std::string> labels;
  for (std::size_t id = 0; id < config["id2label"].size(); ++id)
    labels.push_back(config["id2label"][std::to_string(id)]);
  return labels;
}

/// Every line says what its logits say.
void check_lines(const std::vector<json>& lines, const std::vector<std::string>& labels) {
  for (const json& line : lines) {
    const auto logits = line["logits"].get<std::vector<double>>();
    REQUIRE(logits.size() == labels.size());
    const auto most = std::max_element(logits.begin(), logits.end());
    CHECK(line["prediction"] == labels[static_cast<std::size_t>(most - logits.begin())]);
    double sum = 0;
    for (const double logit : logits) sum += std::exp(logit - *most);
    CHECK(line["log_probability"].get<double>() == Approx(-std::log(sum)).margin(1e-9));
  }
}

double share_right(const std::vector<json>& lines) {
  double right = 0;
  for (const json& line : lines) right += line["prediction"] == line["truth"];
  return right / static_cast<double>(lines.size());
}

}  // namespace

TEST_CASE("a model's accuracy is the one that its pretraining measured, and its lines say which") {
  const json found =
      evaluate({"model", "--data", "data/shapes", "--predictions", "shapes.jsonl", "--logits"});
  const json pretrained = json::parse(slurp(workshop() / "model/pretrain.json"));
  CHECK(found["task"] == "answer_classification");
  CHECK(found["split"] == "test");
  CHECK(found["all"]["accuracy"] == pretrained["test"]["accuracy"]);
  CHECK(found["all"]["loss"].get<double>() ==
        Approx(pretrained["test"]["loss"].get<double>()).epsilon(1e-6));
  CHECK(found["all"]["samples"] == pretrained["test_samples"]);

  const auto lines = lines_of(workshop() / "shapes.jsonl");
  CHECK(lines.size() == found["all"]["samples"]);
  CHECK(share_right(lines) == Approx(found["all"]["accuracy"].get<double>()));
  check_lines(lines, labels_of(workshop() / "model"));
  for (const char* key : {"image", "question", "truth", "prediction", "log_probability", "logits"})
    CHECK(lines[0].contains(key));
  CHECK(lines[0].size() == 6);
  CHECK(lines[0]["question"].is_string());
  CHECK(fs::exists(workshop() / "data/shapes" / lines[0]["image"].get<std::string>()));
}

TEST_CASE("clients are apart, and add up") {
  const json found = evaluate({"model", "--data", "data", "--split", "train"});
  double right = 0;
  std::int64_t samples = 0;
  for (const auto& [client, values] : found["clients"].items()) {
    right += values["accuracy"].get<double>() * values["samples"].get<double>();
    samples += values["samples"].get<std::int64_t>();
  }
  CHECK(found["clients"].size() == 9);
  CHECK(samples == found["all"]["samples"]);
  CHECK(right / static_cast<double>(samples) == Approx(found["all"]["accuracy"].get<double>()));
  const auto outcome = run_strata({"evaluate", "model", "--data", "data"}, workshop());
  CHECK(outcome.code == 0);
  CHECK_THAT(outcome.out, Contains("client") && Contains("open_accuracy") && Contains("\nall "));
}

TEST_CASE("images in folders of classes are classified, centrally and by a federation") {
  const json found =
      evaluate({"classifier", "--data", "images", "--predictions", "images.jsonl", "--logits"});
  CHECK(found["task"] == "image_classification");
  const json pretrained = json::parse(slurp(workshop() / "classifier/pretrain.json"));
  for (const char* metric : {"accuracy", "balanced_accuracy", "macro_f1", "auroc"}) {
    INFO(metric);
    CHECK(found["all"][metric].get<double>() ==
          Approx(pretrained["test"][metric].get<double>()).epsilon(1e-9));
  }
  CHECK(found["all"]["accuracy"].get<double>() > 2.0 / 9);  // of nine modalities
  const auto lines = lines_of(workshop() / "images.jsonl");
  CHECK(share_right(lines) == Approx(found["all"]["accuracy"].get<double>()));
  CHECK_FALSE(lines[0].contains("question"));
  const std::string image = lines[0]["image"], truth = lines[0]["truth"];
  CHECK_THAT(image, Contains("/" + truth + "/"));
  check_lines(lines, labels_of(workshop() / "classifier"));
  CHECK(labels_of(workshop() / "classifier").size() == 9);

  const auto run = run_strata({"run", "images.yaml", "--out", "run", "--threads", "1"}, workshop());
  INFO(run.err);
  REQUIRE(run.code == 0);
  const std::string metrics = slurp(workshop() / "run/metrics.csv");
  CHECK(metrics.substr(0, metrics.find('\n')) ==
        "round,client,train_samples,test_samples,train_loss,test_loss,accuracy,balanced_accuracy,"
        "macro_f1,auroc,up_mbit,down_mbit,importance,usage_variance,seconds,peak_memory_mib");
  const json after = evaluate({"run/model", "--data", "images"});
  const auto last = metrics.find("\n1,all,");
  CHECK_THAT(metrics.substr(last),
             Contains("," + json(after["all"]["accuracy"]).dump().substr(0, 10)));
  CHECK(run_strata({"report", "run"}, workshop()).code == 0);
  CHECK_THAT(slurp(workshop() / "run/report.html"), Contains("balanced accuracy"));
  const auto score =
      run_strata({"score", "--model", "classifier", "--data", "images", "--samples", "3",
                  "--metric", "lntk", "--metric", "gradient", "--table", "t.csv"},
                 workshop());
  INFO(score.err);
  CHECK(score.code == 0);
}

TEST_CASE("several labels an image are lists") {
  const fs::path folder = workshop() / "several";
  fs::create_directories(folder);
  std::ofstream manifest(folder / "manifest.jsonl");
  int i = 0;
  for (const auto& entry : fs::recursive_directory_iterator(workshop() / "images")) {
    if (!entry.is_regular_file() || i == 24) continue;
    const std::string name = std::to_string(i) + ".png";
    fs::copy_file(entry.path(), folder / name);
    json line{{"image", name}, {"split", i % 3 ? "train" : "test"}, {"client", i % 2 ? "a" : "b"}};
    line["labels"] = json::array();
    if (i % 4) line["labels"].push_back("bright");
    if (i % 5 == 0) line["labels"].push_back("large");
    manifest << line.dump() << '\n';
    ++i;
  }
  manifest.close();
  std::ofstream(workshop() / "several.yaml")
      << "version: 1\nname: several\ndata: {folder: several}\nmodel:\n  folder: both\n"
         "  architecture: {type: vit, hidden_size: 16, layers: 1, heads: 2, image_size: 32, "
         "patch_size: 8}\npretrain: {data: several, epochs: 1, batch_size: 4, learning_rate: "
         "1.0e-3}\n";
  const auto made =
      run_strata({"pretrain", "several.yaml", "--out", "both", "--threads", "1"}, workshop());
  INFO(made.err);
  REQUIRE(made.code == 0);
  const json found =
      evaluate({"both", "--data", "several", "--predictions", "several.jsonl", "--logits"});
  CHECK(found["all"]["samples"] == 8);
  const auto labels = labels_of(workshop() / "both");
  CHECK(labels == std::vector<std::string>{"bright", "large"});
  // What transformers goes by; of one label an image there is nothing to say.
  const auto problem = [](const fs::path& model) {
    return json::parse(slurp(model / "config.json")).value("problem_type", "");
  };
  CHECK(problem(workshop() / "both") == "multi_label_classification");
  CHECK(problem(workshop() / "classifier").empty());
  std::ofstream(workshop() / "several-run.yaml")
      << "version: 1\nname: several\ndata: {folder: several}\nmodel: {folder: both}\nrun: "
         "{strategies: [full], rounds: 1, budget: 1, local: {steps: 1, batch_size: 4, "
         "learning_rate: 1.0e-3}}\n";
  const auto run = run_strata({"run", "several-run.yaml", "--out", "several-run"}, workshop());
  INFO(run.err);
  CHECK(run.code == 0);
  CHECK(problem(workshop() / "several-run/model") == "multi_label_classification");
  for (const json& line : lines_of(workshop() / "several.jsonl")) {
    CHECK(line["truth"].is_array());
    json chosen = json::array();
    double log_probability = 0;
    for (std::size_t label = 0; label < 2; ++label) {
      const double logit = line["logits"][label];
      if (logit > 0) chosen.push_back(labels[label]);
      log_probability -= std::log1p(std::exp(-std::abs(logit)));
    }
    CHECK(line["prediction"] == chosen);
    CHECK(line["log_probability"].get<double>() == Approx(log_probability).margin(1e-6));
  }
}

TEST_CASE("help names every task that there is") {
  const test::TempDir dir;
  const std::string model = std::string(STRATA_SOURCE_DIR) + "/tests/reference/vit";
  const auto refused =
      run_strata({"evaluate", model, "--data", ".", "--task", "nothing"}, dir.path());
  REQUIRE(refused.code == 2);
  const std::string allowed = refused.err.substr(refused.err.find("allowed: "));
  const std::string help = run_strata({"help", "evaluate"}, dir.path()).out;
  std::size_t names = 0;
  for (std::size_t at = allowed.find('"'); at != std::string::npos;) {
    const std::size_t end = allowed.find('"', at + 1);
    CHECK_THAT(help, Contains(allowed.substr(at + 1, end - at - 1)));
    ++names;
    at = allowed.find('"', end + 1);
  }
  CHECK(names >= 6);
}

TEST_CASE("what evaluate cannot do is one line, and writes nothing") {
  const auto refused = [](const std::vector<std::string>& arguments,
                          const std::vector<std::string>& parts) {
    check_refused(arguments, workshop(), parts);
  };
  refused({"evaluate", "model"}, {"--data is required"});
  refused({"evaluate", "model", "--data", "data", "--split", "validation"}, {"--split"});
  refused({"evaluate", "model", "--data", "data", "--logits"}, {"--logits"});
  refused(
      {"evaluate", "model", "--data", "data", "--task", "image_clasification"},
      {"--task: unknown name \"image_clasification\" (did you mean \"image_classification\"?)"});
  refused({"evaluate", "model", "--data", "data", "--task", "image_classification"}, {"data"});
  refused({"evaluate", "modle", "--data", "data"}, {"modle"});
  refused({"evaluate", "classifier", "--data", "data"},
          {"is not one of the model's 9 labels", "--unseen-answers drop"});
  refused({"evaluate", "model", "--data", "data", "--predictions", "none/such/x.jsonl", "--device",
           "cpuu"},
          {"cpuu"});
}
