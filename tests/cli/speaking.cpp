// A model that answers in words, with the real programs: what it costs, scores, a run with LoRA,
// what it is worth afterwards, and what is refused.
#include <cstring>
#include <fstream>
#include <functional>
#include <list>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "catch.h"
#include "command.h"
#include "strata/core/safetensors.h"
#include "support/folder_contents.h"
#include "support/speaking_model.h"
#include "wrong_input.h"

using namespace strata;
using nlohmann::json;
using test::run_strata;
namespace fs = std::filesystem;

namespace {

const char* const kConfig = R"(version: 1
name: speaking
task: answer_generation
data:
  folder: data
  partition: modality
  prompt: "<image>{question} "
model:
  folder: model
  peft:
    lora: {rank: 2, targets: [q_proj, v_proj]}
units:
  scheme: lora
run:
  strategies: [f3ocus]
  seeds: [1]
  rounds: 2
  budget: 1
  score: {samples: 3}
  local: {steps: 20, batch_size: 4, learning_rate: 1.0e-2}
)";

const fs::path& workshop() {
  static const test::TempDir dir;
  static const bool made = [] {
    test::write_speaking_model(dir.path() / "model");
    std::ofstream(dir.path() / "speaking.yaml") << kConfig;
    return run_strata({"data", "make", "phantoms", "--out", "data", "--images", "5", "--shapes",
                       "10", "--size", "32"},
                      dir.path())
               .code == 0;
  }();
  REQUIRE(made);
  return dir.path();
}

/// A file's numbers without what bfloat16 has no place for: in that type, or in float32 as they
/// were.
void write_cut(const fs::path& from, const fs::path& to, bool in_bfloat16) {
  const SafetensorsFile file(from);
  std::list<std::string> held;
  std::vector<TensorView> views;
  for (const TensorEntry& entry : file.tensors()) {
    REQUIRE(entry.dtype == Dtype::kF32);
    const std::string_view bytes = file.bytes(entry);
    std::string& cut = held.emplace_back();
    for (std::size_t at = 0; at < bytes.size(); at += 4) {
      if (!in_bfloat16) cut.append(2, '\0');
      cut += bytes.substr(at + 2, 2);  // of little-endian numbers the higher half
    }
    views.push_back({entry.name, in_bfloat16 ? Dtype::kBF16 : Dtype::kF32, entry.shape, cut});
  }
  write_safetensors(to, views, {{"format", "pt"}});
}

double loss_of(const std::string& model) {
  const auto outcome =
      run_strata({"evaluate", model, "--data", "data", "--task", "answer_generation", "--prompt",
                  "<image>{question} ", "--split", "train", "--json"},
                 workshop());
  INFO(outcome.err);
  REQUIRE(outcome.code == 0);
  return json::parse(outcome.out).at("all").at("loss");
}

}  // namespace

TEST_CASE("every unit of a model that speaks is scored, by its kernel and by other measures") {
  const auto outcome =
      run_strata({"score",    "--model",           "model",      "--data",    "data",
                  "--task",   "answer_generation", "--samples",  "3",         "--client",
                  "ct",       "--client",          "mri",        "--metric",  "lntk",
                  "--metric", "grad_norm",         "--metric",   "synflow",   "--metric",
                  "fisher",   "--table",           "scores.csv", "--threads", "1"},
                 workshop());
  INFO(outcome.err);
  REQUIRE(outcome.code == 0);
  std::ifstream table(workshop() / "scores.csv");
  std::string line;
  int rows = 0;
  std::getline(table, line);
  while (std::getline(table, line)) {
    CAPTURE(line);
    CHECK(line.ends_with(",ok"));
    std::string cell;
    std::istringstream cells(line);
    for (int i = 0; i < 4; ++i) std::getline(cells, cell, ',');
    CHECK(std::stod(cell) > 0);
    ++rows;
  }
  CHECK(rows == 4 * 2 * 8);
}

TEST_CASE("scores go by gradient, and lntk by the answers that are asked for") {
  const auto& folder = workshop();
  const auto scored = [&](std::vector<std::string> more) {
    std::vector<std::string> arguments = {
        "score",     "--model", "model",    "--data", "data",   "--task",  "answer_generation",
        "--samples", "3",       "--client", "ct",     "--unit", "block.*", "--threads",
        "1",         "--out",   "s.json"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const auto outcome = run_strata(arguments, folder);
    INFO(outcome.err);
    REQUIRE(outcome.code == 0);
    return json::parse(test::slurp(folder / "s.json"));
  };
  CHECK(scored({}).at("metric") == "gradient");
  CHECK(scored({"--metric", "auto"}) == scored({"--metric", "gradient"}));
  const json most = scored({"--metric", "lntk"});
  CHECK(most.at("metric") == "lntk");
  const json named = scored({"--metric", "lntk", "--answers", "yes,no"});
  CHECK(named != most);
  CHECK(named != scored({"--metric", "lntk", "--answers", "yes,no,left"}));
  CHECK(scored({"--metric", "lntk", "--top-answers", "1"}) != most);
}

TEST_CASE("scores are the same with what enters stages in a file, and of a base in bfloat16") {
  const auto& folder = workshop();
  const auto scored = [&](const std::string& model, std::vector<std::string> more) {
    std::vector<std::string> arguments = {
        "score",    "--model",           model,       "--data",    "data",
        "--task",   "answer_generation", "--samples", "3",         "--client",
        "ct",       "--client",          "mri",       "--metric",  "gradient",
        "--metric", "grad_norm",         "--metric",  "lntk",      "--answers",
        "yes,no",   "--table",           "s.csv",     "--threads", "1"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const auto outcome = run_strata(arguments, folder);
    INFO(outcome.err);
    REQUIRE(outcome.code == 0);
    return test::slurp(folder / "s.csv");
  };
  const std::string plain = scored("model", {});
  fs::create_directories(folder / "spill");
  CHECK(scored("model", {"--spill", "spill"}) == plain);
  CHECK(fs::is_empty(folder / "spill"));
  test::check_refused({"score", "--model", "model", "--data", "data", "--task", "answer_generation",
                       "--spill", "nowhere", "--out", "no.json"},
                      folder, {"nowhere"});

  // Computed in float32: scores are those of the same numbers in a file of float32.
  for (const char* made : {"short", "rounded"}) {
    fs::copy(folder / "model", folder / made);
    fs::remove(folder / made / "model.safetensors");
    write_cut(folder / "model" / "model.safetensors", folder / made / "model.safetensors",
              made == std::string("short"));
  }
  CHECK(fs::file_size(folder / "short" / "model.safetensors") <
        0.6 * static_cast<double>(fs::file_size(folder / "rounded" / "model.safetensors")));
  const std::string of_short = scored("short", {"--spill", "spill"});
  CHECK(of_short == scored("rounded", {}));
  CHECK(of_short != plain);
}

TEST_CASE("answers are said by beams, or ranked from a list") {
  const auto& folder = workshop();
  const auto answers = [&](std::vector<std::string> more) {
    std::vector<std::string> arguments = {"evaluate",      "model",
                                          "--data",        "data",
                                          "--task",        "answer_generation",
                                          "--predictions", "said.jsonl",
                                          "--prompt",      "<image>{question} ",
                                          "--json"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const auto outcome = run_strata(arguments, folder);
    INFO(outcome.err);
    REQUIRE(outcome.code == 0);
    CHECK(json::parse(outcome.out).at("all").at("yes_no_accuracy").is_number());
    std::vector<std::string> found;
    std::ifstream lines(folder / "said.jsonl");
    for (std::string line; std::getline(lines, line);)
      found.push_back(json::parse(line).at("prediction"));
    return found;
  };
  const auto said = answers({});
  CHECK(answers({"--beams", "3"}) != said);
  for (const std::string& answer : answers({"--most-tokens", "2"})) CHECK(answer.size() <= 2);
  std::ofstream(folder / "list.txt") << "left\nright\n";
  for (const std::string& answer : answers({"--answering", "rank", "--answer-list", "list.txt"}))
    CHECK((answer == "left" || answer == "right"));
  std::set<std::string> training;
  std::ifstream manifest(folder / "data" / "manifest.jsonl");
  for (std::string line; std::getline(manifest, line);) {
    const json example = json::parse(line);
    if (example.at("split") == "train") training.insert(example.at("answers").at(0));
  }
  for (const std::string& answer : answers({"--answering", "rank", "--candidates", "5"}))
    CHECK(training.count(answer) == 1);
}

TEST_CASE("a checkpoint of ALBEF's authors is a model of all commands") {
  const auto& folder = workshop();
  fs::create_directories(folder / "albef");
  const fs::path recorded = test::recorded_model("albef");
  fs::copy(recorded / "pretrained.pth", folder / "albef" / "ALBEF.pth");
  fs::copy(recorded / "config.json", folder / "albef" / "config.json");
  std::ofstream(folder / "albef" / "vocab.txt") << test::albef_words();
  // Questions that eight tokens hold.
  fs::create_directories(folder / "short");
  fs::copy(folder / "data" / "images", folder / "short" / "images", fs::copy_options::recursive);
  std::ifstream manifest(folder / "data" / "manifest.jsonl");
  std::ofstream shortened(folder / "short" / "manifest.jsonl");
  for (std::string line; std::getline(manifest, line);) {
    json example = json::parse(line);
    if (example.at("answer_type") != "closed") continue;
    example["question"] = "Is it red?";
    shortened << example.dump() << "\n";
  }
  shortened.close();
  const auto ran = [&](const std::vector<std::string>& arguments) {
    const auto outcome = run_strata(arguments, folder);
    INFO(outcome.err);
    REQUIRE(outcome.code == 0);
    return outcome.out;
  };
  CHECK_THAT(ran({"inspect", "albef"}), Catch::Matchers::Contains("decoder.block.1"));
  ran({"score", "--model", "albef", "--data", "short", "--task", "answer_generation", "--samples",
       "3", "--client", "ct", "--out", "a.json"});
  const json scores = json::parse(test::slurp(folder / "a.json"));
  CHECK(scores.at("metric") == "gradient");
  const json found = json::parse(ran({"evaluate", "albef", "--data", "short", "--task",
                                      "answer_generation", "--answering", "rank", "--json"}));
  CHECK(found.at("all").at("accuracy").is_number());
  std::string config = kConfig;
  config.replace(config.find("folder: data"), 12, "folder: short");
  config.replace(config.find("folder: model"), 13, "folder: albef");
  config.replace(config.find("  prompt: \"<image>{question} \"\n"), 31, "");
  config.replace(config.find("[q_proj, v_proj]"), 16, "[query]");
  std::ofstream(folder / "albef.yaml") << config << "answering: {method: rank}\n";
  ran({"run", "albef.yaml", "--out", "run-albef", "--threads", "1", "--set", "run.rounds=1",
       "--set", "run.score.answers=[yes, no]", "--set", "run.score.metric=lntk"});
  const fs::path model = folder / "run-albef" / "model";
  CHECK(fs::exists(model / "model.safetensors"));
  CHECK(fs::exists(model / "vocab.txt"));
  ran({"evaluate", "run-albef/model", "--data", "short", "--task", "answer_generation"});
}

TEST_CASE("a run fine-tunes it, and leaves a folder that goes on") {
  const auto& folder = workshop();
  const auto run = run_strata({"run", "speaking.yaml", "--out", "whole", "--threads", "1"}, folder);
  INFO(run.err);
  REQUIRE(run.code == 0);
  const json made = json::parse(test::slurp(folder / "whole" / "run.json"));
  CHECK(made.at("units").at("selectable") == json({"lora.0", "lora.1"}));
  CHECK(made.at("units").at("always") == json::array());
  const std::string model = "whole/model";
  for (const char* file : {"config.json", "model.safetensors", "adapter_model.safetensors",
                           "adapter_config.json", "tokenizer.json", "preprocessor_config.json"}) {
    CAPTURE(file);
    CHECK(fs::exists(folder / model / file));
  }
  // What was not trained is as it was, to the byte.
  CHECK(test::slurp(folder / model / "model.safetensors") ==
        test::slurp(folder / "model" / "model.safetensors"));
  CHECK(loss_of(model) < 0.95 * loss_of("model"));
}

TEST_CASE("a run with what enters stages in a file leaves the same model, and no file") {
  const auto& folder = workshop();
  const fs::path spilt = folder / "stages";
  fs::create_directories(spilt);
  const auto trained = [&](const std::string& out, std::vector<std::string> more) {
    std::vector<std::string> arguments = {
        "run",   "speaking.yaml",     "--out",     out,
        "--set", "run.rounds=1",      "--set",     "run.local.gradient_checkpointing=true",
        "--set", "run.local.steps=2", "--threads", "1"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const auto run = run_strata(arguments, folder);
    INFO(run.err);
    REQUIRE(run.code == 0);
    return test::folder_contents(folder / out / "model");
  };
  const auto expected = trained("in-memory", {});
  CHECK(expected.count("adapter_model.safetensors") == 1);
  CHECK(trained("in-file", {"--spill", "stages"}) == expected);
  CHECK(fs::is_empty(spilt));

  std::ofstream(folder / "no-folder") << "";
  for (const char* unfit : {"nowhere", "no-folder"}) {
    test::check_refused({"run", "speaking.yaml", "--out", "no", "--spill", unfit}, folder,
                        {std::string(unfit) + ": no file can be made there"});
  }
}

TEST_CASE("a model is trained from nothing to answer in words, and goes through every program") {
  const auto& folder = workshop();
  std::ofstream(folder / "fresh.yaml") << R"(version: 1
name: fresh
task: answer_generation
data: {folder: data, partition: dirichlet, clients: 2, alpha: 1}
model:
  folder: fresh
  architecture:
    {type: llava, hidden_size: 16, layers: 2, heads: 2, image_size: 32, patch_size: 16, vision_layers: 1}
pretrain: {data: data/shapes, vocabulary: [data], epochs: 1, batch_size: 16, learning_rate: 0.001}
run:
  strategies: [f3ocus]
  seeds: [1]
  rounds: 2
  budget: 1
  score: {samples: 2}
  local: {steps: 2, batch_size: 2, learning_rate: 1.0e-3}
)";
  const auto done = [&](const std::vector<std::string>& arguments) {
    const auto outcome = run_strata(arguments, folder);
    INFO(outcome.err);
    REQUIRE(outcome.code == 0);
    return outcome.out;
  };
  const std::string made = done({"pretrain", "fresh.yaml", "--out", "fresh", "--threads", "1"});
  for (const char* column : {"open_accuracy", "closed_accuracy", "token_f1"})
    CHECK_THAT(made, Catch::Matchers::Contains(column));
  const json report = json::parse(test::slurp(folder / "fresh" / "pretrain.json"));
  CHECK(report.at("test").at("loss").get<double>() > 0);

  const std::string evaluated =
      done({"evaluate", "fresh", "--data", "data/shapes", "--task", "answer_generation", "--json"});
  CHECK(json::parse(evaluated).at("all").at("loss").get<double>() ==
        Approx(report.at("test").at("loss").get<double>()).epsilon(1e-5));
  CHECK_THAT(done({"inspect", "fresh"}), Catch::Matchers::Contains("vision.block.0"));

  // What goes on from a finished round is what was never interrupted.
  done({"run", "fresh.yaml", "--out", "at-once", "--threads", "1"});
  done({"run", "fresh.yaml", "--out", "resumed", "--threads", "1", "--set", "run.rounds=1"});
  done({"run", "fresh.yaml", "--out", "resumed", "--threads", "1", "--resume"});
  for (const char* file : {"model.safetensors", "tokenizer.json", "processor_config.json"}) {
    CAPTURE(file);
    CHECK(test::slurp(folder / "at-once" / "model" / file) ==
          test::slurp(folder / "resumed" / "model" / file));
  }
  CHECK(test::slurp(folder / "at-once" / "model" / "tokenizer.json") ==
        test::slurp(folder / "fresh" / "tokenizer.json"));

  test::check_refused(
      {"pretrain", "fresh.yaml", "--out", "no", "--set", "model.architecture.vision_layer=2"},
      folder, {"vision_layers"});
  CHECK_FALSE(fs::exists(folder / "no"));
}

TEST_CASE("files of a model that lie are refused in one line by every program") {
  const fs::path bad = workshop() / "bad";
  const auto begin = [&] {
    fs::remove_all(bad);
    fs::copy(workshop() / "model", bad, fs::copy_options::recursive);
  };
  const auto refused = [&](std::vector<std::string> parts, bool inspected = true) {
    const std::vector<std::string> of_task = {"--data", "data", "--task", "answer_generation"};
    std::vector<std::vector<std::string>> commands = {
        {"evaluate", "bad"}, {"score", "--model", "bad", "--out", "no.json"}};
    for (auto& command : commands) command.insert(command.end(), of_task.begin(), of_task.end());
    if (inspected) commands.push_back({"inspect", "bad"});
    commands.push_back({"run", "speaking.yaml", "--out", "no", "--set", "model.folder=bad"});
    for (const auto& command : commands) test::check_refused(command, workshop(), parts);
  };
  const auto change_json = [&](const char* name, const std::function<void(json&)>& change) {
    json root = json::parse(test::slurp(bad / name));
    change(root);
    std::ofstream(bad / name) << root.dump();
  };

  // A shard of which a tensor is said to end behind the file, to stand in another's bytes, or to
  // have other numbers than its shape.
  const std::string shard = "model-00001-of-00001.safetensors",
                    tensor = "language_model.model.norm.weight";
  for (const long shift : {1L << 40, -96L, 4L}) {
    CAPTURE(shift);
    begin();
    fs::rename(bad / "model.safetensors", bad / shard);
    const std::string text = test::slurp(bad / shard);
    std::uint64_t length = 0;
    std::memcpy(&length, text.data(), sizeof length);
    json header = json::parse(text.substr(8, length)), map = json::object();
    for (const auto& [name, entry] : header.items())
      if (name != "__metadata__") map[name] = shard;
    for (const std::size_t end : {std::size_t{0}, std::size_t{1}}) {
      json& offset = header.at(tensor).at("data_offsets").at(end);
      if (shift != 4 || end == 1) offset = offset.get<long>() + shift;
    }
    std::ofstream(bad / "model.safetensors.index.json")
        << json{{"metadata", {{"total_size", text.size()}}}, {"weight_map", map}};
    std::string lying = header.dump();
    lying.resize((lying.size() + 7) / 8 * 8, ' ');
    const std::uint64_t now = lying.size();
    std::ofstream out(bad / shard, std::ios::binary);
    out.write(reinterpret_cast<const char*>(&now), sizeof now);
    out << lying << text.substr(8 + length);
    out.close();
    refused({shard, tensor});
  }

  // A merge of a piece that is none, and one that is no pair.
  for (const json& merge :
       {json::array({"a", "zz"}), json("ab"), json::array({"a", "b", "c"}), json::array({1, 2})}) {
    CAPTURE(merge.dump());
    begin();
    change_json("tokenizer.json",
                [&](json& root) { root["model"]["merges"] = json::array({merge}); });
    refused({"tokenizer.json", "merge"}, /*inspected=*/false);
  }

  // A type that nothing has, of the whole and of its parts.
  begin();
  change_json("config.json", [](json& root) { root["model_type"] = "lava"; });
  refused({"config.json", "model_type", "\"lava\"", "did you mean \"llava\"?"});
  begin();
  change_json("config.json", [](json& root) { root["text_config"]["model_type"] = "mistrel"; });
  refused({"config.json", "text_config.model_type", "did you mean \"mistral\"?"});

  // A prompt without the image, or with two; an image's token that is no word's.
  for (const std::string prompt : {"{question} ", "<image>{question}<image>"}) {
    test::check_refused(
        {"evaluate", "model", "--data", "data", "--task", "answer_generation", "--prompt", prompt},
        workshop(),
        {"prompt: <image> must be in it once", prompt.size() < 15 ? "0 times" : "2 times"});
  }
}

TEST_CASE("what does not fit a model that speaks is refused in one line") {
  const auto& folder = workshop();
  test::check_refused({"evaluate", "model", "--data", "data"}, folder,
                      {"\"llava\" speaks", "answer_generation"});
  test::check_refused(
      {"evaluate", "model", "--data", "data", "--task", "answer_generation", "--prompt", "what?"},
      folder, {"prompt: {question} must be in it once"});
  test::check_refused({"evaluate", "model", "--data", "data", "--task", "answer_generation",
                       "--predictions", "p.jsonl", "--logits"},
                      folder, {"--logits", "answers in words"});
  CHECK_FALSE(fs::exists(folder / "p.jsonl"));
  test::check_refused({"run", "speaking.yaml", "--out", "no", "--set", "model.answers=data"},
                      folder, {"answers in words"});
  test::check_refused(
      {"run", "speaking.yaml", "--out", "no", "--set", "run.server.algorithm=feddat", "--set",
       "model.peft={adapters: {reduction: 4}}", "--set", "units.scheme=adapter"},
      folder,
      {"run.server.algorithm: feddat distils a distribution over labels, and the task "
       "answer_generation answers in words"});
  test::check_refused(
      {"run", "speaking.yaml", "--out", "no", "--set", "run.local.calibrate_labels=true"}, folder,
      {"calibrate_labels"});
  CHECK_FALSE(fs::exists(folder / "no"));
  test::check_refused({"score", "--model", "model", "--data", "data", "--task", "answer_generation",
                       "--output", "yes", "--out", "no.json"},
                      folder, {"--output", "answers in words", "--answers"});
  test::check_refused({"score", "--model", "model", "--data", "data", "--task", "answer_generation",
                       "--answers", "yes,yes", "--metric", "lntk", "--out", "no.json"},
                      folder, {"answers", "\"yes\" stands twice"});
  test::check_refused(
      {"evaluate", "model", "--data", "data", "--task", "answer_classification", "--beams", "3"},
      folder, {"answering", "answer_generation"});
  test::check_refused({"evaluate", "model", "--data", "data", "--task", "answer_generation",
                       "--answering", "rank", "--answer-list", "none.txt"},
                      folder, {"none.txt"});
}
