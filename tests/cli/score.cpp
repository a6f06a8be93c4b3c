// `strata score` with the real programs: what leaves a client, every option, and every kind of bad
// input.
#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>

#include "catch.h"
#include "command.h"
#include "strata/core/safetensors.h"
#include "strata/core/score_table.h"
#include "strata/ntk/metric_table.h"
#include "tidy_csv.h"
#include "wrong_input.h"

using namespace strata;
using namespace strata::ntk;
using Catch::Matchers::Contains;
using nlohmann::json;
using test::check_refused;
using test::run_strata;
using test::slurp;
namespace fs = std::filesystem;

namespace {

const char* const kConfig = R"(version: 1
name: tiny
data:
  folder: data
  partition: modality
model:
  folder: model
  architecture: {hidden_size: 16, layers: 3, heads: 2, image_size: 32, patch_size: 8, max_text: 16}
pretrain:
  data: data/shapes
  vocabulary: [data]
  epochs: 1
  batch_size: 16
  learning_rate: 1.0e-3
)";

const std::vector<std::string> kUnits = {"embeddings", "block.0", "block.1", "block.2", "head"};

/// What the scorer promises of λ₁, relative.
constexpr double kTolerance = 1e-4;

/// `manifest.jsonl` of a new folder that has the images of `data`: its examples as `change` leaves
/// them.
template <typename Change>
void write_manifest(const fs::path& workshop, const std::string& folder, const Change& change) {
  fs::create_directory(workshop / folder);
  fs::create_directory_symlink("../data/images", workshop / folder / "images");
  std::ifstream in(workshop / "data/manifest.jsonl");
  std::ofstream out(workshop / folder / "manifest.jsonl");
  for (std::string line; std::getline(in, line);) {
    json example = json::parse(line);
    change(example);
    out << example.dump() << '\n';
  }
}

/// Data and model, made once for all tests of this program.
const fs::path& workshop() {
  static const test::TempDir dir;
  static const bool made = [] {
    test::make_data_and_model(dir, kConfig, "10", "40", "model");
    return true;
  }();
  REQUIRE(made);
  return dir.path();
}

/// `strata score` of the tiny model and data, four samples a client.
std::vector<std::string> score(const std::vector<std::string>& more,
                               const std::string& model = "model",
                               const std::string& data = "data") {
  std::vector<std::string> arguments = {"score",     "--model", model,       "--data", data,
                                        "--samples", "4",       "--threads", "1"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

/// Its standard output, and the scores it wrote to `file`.
std::string ran(const std::vector<std::string>& arguments) {
  const auto outcome = run_strata(arguments, workshop());
  INFO(outcome.err);
  REQUIRE(outcome.code == 0);
  return outcome.out;
}

ScoreTable scored(const std::string& file, std::vector<std::string> more,
                  const std::string& model = "model", const std::string& data = "data") {
  more.insert(more.end(), {"--out", file});
  ran(score(more, model, data));
  return read_scores(workshop() / file);
}

/// λ₁ of every unit for the client ct.
const Eigen::RowVectorXd& plain() {
  static const Eigen::RowVectorXd row = scored("plain.json", {"--client", "ct"}).raw.row(0);
  return row;
}

int unit(const std::string& name) {
  return static_cast<int>(std::find(kUnits.begin(), kUnits.end(), name) - kUnits.begin());
}

}  // namespace

TEST_CASE(
    "a model folder as transformers 5 saves it, without vocab.txt, is read as the same model") {
  const fs::path saved = workshop() / "saved";
  fs::copy(workshop() / "model", saved, fs::copy_options::recursive);
  std::map<std::string, int> vocabulary;
  std::ifstream lines(saved / "vocab.txt");
  for (std::string line; std::getline(lines, line);) {
    const int id = static_cast<int>(vocabulary.size());
    vocabulary[line] = id;
  }
  fs::remove(saved / "vocab.txt");
  const auto refused =
      run_strata(score({"--client", "ct", "--out", "saved.json"}, "saved"), workshop());
  CHECK(refused.code == 2);
  CHECK_THAT(refused.err, Contains("neither vocab.txt nor tokenizer.json"));

  json file = json::parse(
      slurp(fs::path(STRATA_SOURCE_DIR) /
            "tests/reference/tokenizer_json.json"))["cases"][0]["files"]["tokenizer.json"];
  file["model"]["vocab"] = vocabulary;
  std::ofstream(saved / "tokenizer.json") << file;
  CHECK(scored("saved.json", {"--client", "ct"}, "saved").raw.row(0) == plain());
  CHECK(run_strata({"inspect", "saved"}, workshop()).out ==
        run_strata({"inspect", "model"}, workshop()).out);
}

TEST_CASE("a client alone writes its own row, the one it has among all, and the same bytes again") {
  const ScoreTable all = scored("all.json", {});
  REQUIRE(all.clients.size() == 9);
  CHECK(all.units == kUnits);
  const ScoreTable alone = scored("alone.json", {"--client", "ct"});
  CHECK(alone.clients == std::vector<std::string>{"ct"});
  const auto row = std::find(all.clients.begin(), all.clients.end(), "ct") - all.clients.begin();
  CHECK(alone.raw.row(0) == all.raw.row(row));
  CHECK(alone.scores.row(0) == all.scores.row(row));
  CHECK(alone.model_fingerprint == all.model_fingerprint);
  for (const std::string& other : all.clients) {
    if (other == "ct") continue;
    CHECK_THAT(slurp(workshop() / "alone.json"), !Contains('"' + other + '"'));
  }

  plain();
  CHECK(slurp(workshop() / "plain.json") == slurp(workshop() / "alone.json"));
  const ScoreTable drawn_anew = scored("seed2.json", {"--client", "ct", "--seed", "2"});
  CHECK(drawn_anew.raw.row(0) != alone.raw.row(0));

  // An experiment file whose partition is the manifest's says the same as --data.
  ran({"score", "--model", "model", "--config", "tiny.yaml", "--samples", "4", "--threads", "1",
       "--client", "ct", "--out", "config.json"});
  CHECK(slurp(workshop() / "config.json") == slurp(workshop() / "alone.json"));
}

TEST_CASE("several metrics stand in one table, and their agreement is printed") {
  const std::string printed =
      ran(score({"--client", "ct", "--client", "mri", "--metric", "lntk", "--metric", "trace",
                 "--metric", "snip", "--metric", "last", "--table", "t.csv", "--out", "t.json"}));
  const MetricTable table = read_metric_table(workshop() / "t.csv");
  CHECK(test::check_tidy(workshop() / "t.csv") > 0);
  CHECK(table.metrics == std::vector<std::string>{"lntk", "trace", "snip", "last"});
  CHECK(table.clients == std::vector<std::string>{"ct", "mri"});
  CHECK(table.units == kUnits);
  CHECK_THAT(printed, Contains(rank_agreement_text(rank_agreement(table))));
  const ScoreTable first = read_scores(workshop() / "t.json");
  CHECK(first.metric == "lntk");
  for (int client = 0; client < 2; ++client) {
    for (int place = 0; place < table.unit_count(); ++place) {
      CHECK(table.at(0, client, place).value == first.raw(client, place));
      // λ₁ is one of the non-negative eigenvalues whose sum is the trace.
      CHECK(table.at(1, client, place).value >= table.at(0, client, place).value);
      CHECK(table.at(3, client, place).value == place + 1);
    }
  }
  const auto document =
      json::parse(ran(score({"--client", "ct", "--client", "mri", "--metric", "snip", "--metric",
                             "last", "--table", "t2.csv", "--json"})));
  const auto pairs = rank_agreement(read_metric_table(workshop() / "t2.csv"));
  REQUIRE(pairs.size() == 1);
  CHECK(document["rank_agreement"] == json{{{"first", "snip"},
                                            {"second", "last"},
                                            {"mean", pairs[0].mean},
                                            {"least", pairs[0].least},
                                            {"greatest", pairs[0].greatest},
                                            {"constant", 0}}});
  // What else is asked for changes nothing.
  CHECK((first.raw.row(0) - plain()).norm() <= kTolerance * plain().norm());
}

TEST_CASE("every unit scheme is scored, blocks above and the others here") {
  const std::map<std::string, std::vector<std::string>> schemes = {
      {"adapter", {"adapter.0", "adapter.1", "adapter.2"}},
      {"lora", {"lora.0", "lora.1", "lora.2"}},
      {"layernorm", {"layernorm.0", "layernorm.1", "layernorm.2"}},
      {"bias", {"bias.0", "bias.1", "bias.2"}},
      {"prompt", {"prompt"}},
      {"adapter+layernorm", {"adapter+layernorm.0", "adapter+layernorm.1", "adapter+layernorm.2"}}};
  for (const auto& [scheme, expected] : schemes) {
    CAPTURE(scheme);
    std::vector<std::string> more = {"--client", "ct", "--scheme", scheme};
    if (scheme.find("adapter") == 0) more.insert(more.end(), {"--peft", "adapters:reduction=2"});
    if (scheme == "lora") more.insert(more.end(), {"--peft", "lora:rank=2"});
    if (scheme == "prompt") more.insert(more.end(), {"--peft", "prompts:length=2"});
    const ScoreTable table = scored("scheme.json", more);
    std::vector<std::string> units = {"embeddings"};
    units.insert(units.end(), expected.begin(), expected.end());
    units.push_back("head");
    CHECK(table.units == units);
    CHECK((table.raw.array() > 0).all());
  }
}

TEST_CASE("frozen weights are left out of their unit and of no other") {
  const ScoreTable table =
      scored("frozen.json", {"--client", "ct", "--freeze", "vilt.encoder.layer.1.attention.*"});
  for (int place = 0; place < table.unit_count(); ++place) {
    CAPTURE(kUnits[place]);
    if (place == unit("block.1")) {
      CHECK(table.raw(0, place) < plain()(place) * (1 - kTolerance));
    } else {
      CHECK(table.raw(0, place) == Approx(plain()(place)).epsilon(kTolerance));
    }
  }
}

TEST_CASE("--output and --random-outputs keep some of the kernel's rows") {
  const ScoreTable named =
      scored("named.json", {"--client", "ct", "--output", "yes", "--output", "no"});
  const ScoreTable drawn = scored("drawn.json", {"--client", "ct", "--random-outputs", "3"});
  // λ₁ of a principal submatrix is at most that of the matrix (Cauchy's interlacing).
  CHECK((named.raw.row(0).array() < plain().array() * (1 + kTolerance)).all());
  CHECK((drawn.raw.row(0).array() < plain().array() * (1 + kTolerance)).all());
  CHECK(named.raw.row(0) != drawn.raw.row(0));
  const auto labels = json::parse(slurp(workshop() / "model/config.json"))["id2label"].size();
  const ScoreTable whole =
      scored("whole.json", {"--client", "ct", "--random-outputs", std::to_string(labels)});
  CHECK((whole.raw.row(0) - plain()).norm() <= kTolerance * plain().norm());
}

TEST_CASE("--top finds as many eigenvalues, each unit with its certificate") {
  const auto found =
      json::parse(ran(score({"--client", "ct", "--top", "3", "--json", "--out", "top.json"})));
  CHECK(found["metric"] == "lntk");
  CHECK(found["units"] == kUnits);
  const ScoreTable table = read_scores(workshop() / "top.json");
  double largest = 0;
  for (int place = 0; place < table.unit_count(); ++place) {
    CAPTURE(kUnits[place]);
    const auto& certificate = found["certificates"]["ct"][kUnits[place]];
    const auto values = certificate["eigenvalues"].get<std::vector<double>>();
    REQUIRE(values.size() == 3);
    CHECK(std::is_sorted(values.rbegin(), values.rend()));
    CHECK(values.back() >= 0);
    CHECK(values.front() == table.raw(0, place));
    CHECK(values.front() == Approx(plain()(place)).epsilon(kTolerance));
    CHECK(certificate["status"] == "ok");
    CHECK(certificate["residual"].get<double>() <= kTolerance);
    CHECK(certificate["second_start"].get<double>() <= kTolerance);
    largest = std::max(largest, certificate["residual"].get<double>());
    CHECK(found["clients"]["ct"][place].get<double>() == table.scores(0, place));
  }
  CHECK(found["largest_residual"].get<double>() == largest);
}

TEST_CASE("a dry run says what it takes and writes nothing; the least memory it names works") {
  const fs::path& folder = workshop();
  const std::string before = test::snapshot(folder);
  const auto estimates = json::parse(
      ran(score({"--client", "ct", "--dry-run", "--json", "--out", "dry.json"})))["estimates"];
  CHECK(test::snapshot(folder) == before);
  REQUIRE(estimates.size() == 1);
  CHECK(estimates[0]["client"] == "ct");
  CHECK(estimates[0]["seconds"].get<double>() > 0);
  const auto least = estimates[0]["least_bytes"].get<std::int64_t>();
  REQUIRE(least > 0);
  CHECK(estimates[0]["bytes"].get<std::int64_t>() >= least);

  const ScoreTable small =
      scored("small.json", {"--client", "ct", "--memory", std::to_string(least)});
  for (int place = 0; place < small.unit_count(); ++place) {
    CHECK(small.raw(0, place) == Approx(plain()(place)).epsilon(kTolerance));
  }
  check_refused(
      score({"--client", "ct", "--memory", std::to_string(least - 1), "--out", "less.json"}),
      folder, {"client ct", "memory limit", std::to_string(least - 1), std::to_string(least)}, 1);

  // Any metric, one line each.
  const auto others =
      json::parse(ran(score({"--client", "ct", "--dry-run", "--json", "--table", "dry.csv",
                             "--metric", "grasp", "--metric", "first"})));
  REQUIRE(others["estimates"].size() == 2);
  CHECK(others["estimates"][0]["seconds"].get<double>() > 0);
  CHECK(others["estimates"][1] == json{{"client", "ct"},
                                       {"metric", "first"},
                                       {"seconds", 0.0},
                                       {"bytes", 0},
                                       {"least_bytes", 0},
                                       {"backward_passes", 0}});
  const auto floor = others["estimates"][0]["least_bytes"].get<std::int64_t>();
  scored("grasp.json", {"--client", "ct", "--metric", "grasp", "--memory", std::to_string(floor)});
  check_refused(score({"--client", "ct", "--metric", "grasp", "--memory", std::to_string(floor - 1),
                       "--out", "less.json"}),
                folder, {"client ct", "memory limit", "\"grasp\"", std::to_string(floor)}, 1);
}

TEST_CASE("private scores are noised rows without raw values") {
  const fs::path& folder = workshop();
  const std::vector<std::string> seeded = {"--client",       "ct", "--private-epsilon", "1",
                                           "--private-seed", "7"};
  const ScoreTable noised = scored("noised.json", seeded);
  CHECK(noised.scores.row(0).sum() == Approx(1));
  CHECK((noised.scores.array() >= 0).all());
  CHECK(noised.raw.size() == 0);
  CHECK(noised.samples == 0);
  const Eigen::RowVectorXd true_scores = plain() / plain().sum();
  CHECK((noised.scores.row(0) - true_scores).norm() > 1e-3);
  CHECK_THAT(slurp(folder / "noised.json"), !Contains("raw"));

  // The same seed gives the same noise, and what is printed is what is written.
  auto again = seeded;
  again.insert(again.end(), {"--json", "--out", "noised2.json"});
  const auto printed = json::parse(ran(score(again)));
  CHECK(slurp(folder / "noised2.json") == slurp(folder / "noised.json"));
  CHECK(printed["samples"] == 0);
  CHECK_FALSE(printed.contains("certificates"));
  CHECK_FALSE(printed.contains("largest_residual"));
  for (int place = 0; place < noised.unit_count(); ++place) {
    CHECK(printed["clients"]["ct"][place].get<double>() == noised.scores(0, place));
  }

  auto next = seeded;
  next.insert(next.end(), {"--releases", "2", "--release", "2"});
  CHECK(scored("release2.json", next).scores != noised.scores);

  // Without a seed the noise is the system's, each time another.
  const std::vector<std::string> private_only = {"--client", "ct", "--private-epsilon", "100"};
  CHECK(scored("a.json", private_only).scores != scored("b.json", private_only).scores);

  check_refused(score({"--private-epsilon", "1", "--out", "p.json", "--table", "p.csv"}), folder,
                {"--private-epsilon", "--table"});
  // What is no number must not be taken for no privacy.
  check_refused(score({"--private-epsilon", "nan", "--out", "p.json"}), folder,
                {"--private-epsilon", "from 0 to 1e+06", "\"nan\""});
  check_refused(
      score({"--private-epsilon", "1", "--private-seed", "7", "--release", "2", "--out", "p.json"}),
      folder, {"--release", "2", "--releases"});
}

TEST_CASE("a ViT is scored as it comes from transformers") {
  const fs::path& folder = workshop();
  const fs::path reference = fs::path(STRATA_SOURCE_DIR) / "tests/reference/vit";
  fs::create_directory(folder / "vit");
  for (const std::string file : {"config.json", "model.safetensors"}) {
    fs::copy(reference / file, folder / "vit" / file);
  }
  std::vector<std::string> labels;
  const json config = json::parse(slurp(reference / "config.json"));
  for (const auto& [id, label] : config["id2label"].items()) labels.push_back(label);
  std::size_t count = 0;
  write_manifest(folder, "cells", [&](json& example) {
    example["question"] = "which cell is this?";
    example["answers"] = {labels[count++ % labels.size()]};
    example["answer_type"] = "open";
  });
  const ScoreTable table =
      scored("vit.json", {"--client", "histology", "--scheme", "layernorm"}, "vit", "cells");
  CHECK(table.units ==
        std::vector<std::string>{"embeddings", "layernorm.0", "layernorm.1", "head"});
  CHECK((table.raw.array() > 0).all());
  check_refused(score({"--client", "ct", "--out", "v.json"}, "vit"), folder,
                {"client ct", "is not one of the model's 3 labels"});
}

TEST_CASE("what cannot be written is refused before anything is scored") {
  const fs::path& folder = workshop();
  fs::create_directory(folder / "taken");
  check_refused(score({"--client", "ct", "--table", "t2.csv", "--out", "taken"}), folder,
                {"taken: cannot be written: is a folder"}, 1);
  check_refused(score({"--client", "ct", "--out", "tiny.yaml/s.json"}), folder,
                {"tiny.yaml/s.json: cannot be written: Not a directory"}, 1);
  check_refused(score({"--client", "ct", "--out", "s2.csv", "--table", "./s2.csv"}), folder,
                {"--out", "--table", "same file"});
}

TEST_CASE("names that do not exist are refused with the nearest, and contradictions by name") {
  const fs::path& folder = workshop();
  const auto refused = [&](const std::vector<std::string>& more,
                           const std::vector<std::string>& parts) {
    auto arguments = more;
    arguments.insert(arguments.end(), {"--out", "s.json"});
    check_refused(score(arguments), folder, parts);
  };
  refused({"--metric", "snipp"}, {"\"snipp\"", "did you mean \"snip\"?"});
  refused({"--scheme", "adaptor"}, {"\"adaptor\"", "did you mean \"adapter\"?"});
  refused({"--scheme", "lora"}, {"lora", "the model has no LoRA pairs"});
  refused({"--unit", "blok.1"}, {"--unit", "\"blok.1\"", "did you mean \"block.1\"?"});
  refused({"--client", "mrt"}, {"--client", "\"mrt\"", "did you mean \"mri\"?"});
  refused({"--output", "yess"}, {"--output", "\"yess\"", "did you mean \"yes\"?"});
  refused({"--random-outputs", "1000"}, {"--random-outputs", "1000"});
  refused({"--answers", "yes"}, {"--answers", "chooses among labels", "--output"});
  refused({"--freeze", "vilt.layernorm.weigth"},
          {"--freeze", "vilt.layernorm.weigth", "did you mean \"vilt.layernorm.weight\"?"});
  refused({"--client", "ct", "--client", "ct"}, {"--client", "\"ct\"", "twice"});
  refused({"--metric", "snip", "--metric", "snip", "--table", "t2.csv"},
          {"--metric", "\"snip\"", "twice"});
  refused({"--metric", "snip", "--metric", "lntk"}, {"--metric", "several metrics need --table"});
  refused({"--memory", "4Gigs"}, {"--memory"});
  check_refused(score({}), folder, {"--out or --table is needed"});
  refused({"--memory", "-1"}, {"--memory", "a whole number of bytes", "\"-1\""});
  check_refused(score({"--metric", "lntk", "--out", "same.csv", "--table", "same.csv"}), folder,
                {"--out", "--table", "same.csv"});
}

TEST_CASE("the experiment file says what becomes of answers outside the labels") {
  const fs::path& folder = workshop();
  int left = 3;
  write_manifest(folder, "foreign", [&](json& example) {
    if (example["client"] == "ct" && example["split"] == "train" && left > 0) {
      example["answers"] = {"spiculated"};
      --left;
    }
  });
  const std::vector<std::string> plain = {
      "score",     "--model", "model",     "--config", "foreign.yaml", "--client", "ct",
      "--samples", "2",       "--threads", "1",        "--out",        "f.json"};
  std::ofstream(folder / "foreign.yaml") << "version: 1\ndata: {folder: foreign}\n";
  check_refused(plain, folder, {"client ct", "\"spiculated\"", "data.unseen_answers: drop"});
  std::ofstream(folder / "foreign.yaml")
      << "version: 1\ndata: {folder: foreign, unseen_answers: drop}\n";
  const auto outcome = run_strata(plain, folder);
  INFO(outcome.err);
  CHECK(outcome.code == 0);
  CHECK_THAT(outcome.err, Contains("answers outside the model's labels: 3 of ") &&
                              Contains("training examples are left out (ct 3 of "));
}

TEST_CASE("--data has the options that its advice names") {
  const fs::path& folder = workshop();
  int left = 3;
  write_manifest(folder, "strange", [&](json& example) {
    if (example["client"] == "ct" && example["split"] == "train" && left > 0) {
      example["answers"] = {"spiculated"};
      --left;
    }
  });
  const std::vector<std::string> plain =
      score({"--client", "ct", "--out", "f.json"}, "model", "strange");
  check_refused(plain, folder, {"client ct", "\"spiculated\"", "--unseen-answers drop"});
  auto drop = plain;
  drop.insert(drop.end(), {"--unseen-answers", "drop", "--cache", "decoded"});
  const auto outcome = run_strata(drop, folder);
  INFO(outcome.err);
  CHECK(outcome.code == 0);
  CHECK_THAT(outcome.err, Contains("training examples are left out (ct 3 of "));
  CHECK(fs::exists(folder / "decoded"));
  check_refused({"score", "--model", "model", "--config", "c.yaml", "--unseen-answers", "drop",
                 "--out", "s.json"},
                folder, {"--unseen-answers requires --data"});
  check_refused(score({"--unseen-answers", "dorp", "--out", "s.json"}), folder,
                {"\"dorp\" is not one of", "did you mean \"drop\"?"});
}

TEST_CASE("scores say their units' roles, units are taken by patterns, and blocks are planned") {
  const ScoreTable all = scored("roles.json", {"--client", "ct"});
  CHECK(all.roles ==
        std::vector<Role>{Role::kEmbeddings, Role::kBody, Role::kBody, Role::kBody, Role::kHead});
  const ScoreTable blocks = scored("blocks.json", {"--client", "ct", "--unit", "block.[12]"});
  CHECK(blocks.units == std::vector<std::string>{"block.1", "block.2"});
  CHECK(blocks.raw(0, 0) == Approx(all.raw(0, 2)));
  check_refused(score({"--unit", "blok.*", "--out", "s.json"}), workshop(),
                {"--unit: the model has no unit \"blok.*\"", "did you mean \"block.0\"?"});
  const json plan = json::parse(ran({"plan", "--scores", "roles.json", "--budget", "2", "--json"}));
  CHECK(plan["units"] == std::vector<std::string>{"block.0", "block.1", "block.2"});
  CHECK(plan["always"] == std::vector<std::string>{"head"});
  CHECK(plan["provenance"]["normalise"] == true);
}

TEST_CASE("data and weights that cannot be scored are refused") {
  const fs::path& folder = workshop();
  write_manifest(folder, "untrained", [](json& example) {
    if (example["client"] == "ct") example["split"] = "test";
  });
  check_refused(score({"--client", "ct", "--out", "s.json"}, "model", "untrained"), folder,
                {"\"ct\"", "no training example"});
  check_refused({"score", "--model", "model", "--data", "data", "--client", "ct", "--samples", "1",
                 "--metric", "snr", "--out", "s.json"},
                folder, {"client ct", "snr", "1 sample", "at least 2"});
  check_refused(score({"--freeze", "vilt.encoder.layer.1.*", "--out", "s.json"}), folder,
                {"\"block.1\"", "no trainable parameter", "--freeze"});

  // A model whose checkpoint has one NaN, and one whose checkpoint misses a tensor.
  const std::string name = "vilt.encoder.layer.1.intermediate.dense.weight";
  const SafetensorsFile file(folder / "model/model.safetensors");
  const TensorEntry* entry = file.find(name);
  REQUIRE(entry != nullptr);
  std::string bytes(file.bytes(*entry));
  const float nan = std::numeric_limits<float>::quiet_NaN();
  std::memcpy(bytes.data(), &nan, sizeof nan);
  std::vector<TensorView> spoilt, incomplete;
  for (const TensorEntry& tensor : file.tensors()) {
    const bool found = tensor.name == name;
    spoilt.push_back({tensor.name, tensor.dtype, tensor.shape,
                      found ? std::string_view(bytes) : file.bytes(tensor)});
    if (!found) incomplete.push_back(spoilt.back());
  }
  for (const std::string copy : {"nan", "incomplete"}) {
    fs::copy(folder / "model", folder / copy, fs::copy_options::recursive);
  }
  write_safetensors(folder / "nan/model.safetensors", spoilt, file.metadata());
  write_safetensors(folder / "incomplete/model.safetensors", incomplete, file.metadata());
  check_refused(score({"--client", "ct", "--out", "s.json"}, "nan"), folder,
                {"client ct", "\"block.1\"", "not finite"}, 1);
  check_refused(score({"--client", "ct", "--metric", "magnitude", "--out", "s.json"}, "nan"),
                folder, {"client ct", "magnitude", "\"block.1\"", "not finite"}, 1);
  check_refused(score({"--client", "ct", "--out", "s.json"}, "incomplete"), folder,
                {"incomplete/model.safetensors", name});
}
