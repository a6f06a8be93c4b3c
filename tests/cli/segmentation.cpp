// Volumes with the real programs: drawn, segmented by a small SAM that six sites train, evaluated,
// scored, reported; and what is wrong with them.
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "catch.h"
#include "command.h"
#include "data/nifti.h"
#include "strata/fedrunner/metrics.h"
#include "strata/fedrunner/sites.h"
#include "tidy_csv.h"
#include "wrong_input.h"

using namespace strata;
using Catch::Matchers::Contains;
using nlohmann::json;
using test::check_refused;
using test::run_strata;
using test::slurp;
namespace fs = std::filesystem;

namespace {

const char* const kVolumes = R"(version: 1
name: volumes
task: segmentation
data: {folder: volumes}
model:
  folder: sam
  answers: data
  architecture: {type: sam, image_size: 32, patch_size: 8, hidden_size: 16, layers: 2, heads: 2,
                 window_size: 2, global_blocks: [1], decoder_size: 32, decoder_heads: 2}
  peft: {lora: {rank: 2, alpha: 2, targets: [query, value, q_proj, v_proj]}}
pretrain:
  data: volumes/solids
  epochs: 1
  batch_size: 16
  learning_rate: 1.0e-3
  augment: true
units: {mode: flap}
run:
  strategies: [f3ocus, full]
  rounds: 2
  budget: 2
  score: {samples: 2}
  local: {steps: 1, batch_size: 2, learning_rate: 1.0e-3, augment: true, schedule: polynomial,
          decay_power: 7, warmup: 0.5}
)";

struct Hospitals : test::TempDir {
  Hospitals() {
    write("volumes.yaml", kVolumes);
    const auto made = run({"data", "make", "volumes", "--layout", "kits", "--volumes", "12",
                           "--size", "32", "--out", "volumes"});
    INFO(made.err);
    REQUIRE(made.code == 0);
  }
  test::Outcome run(const std::vector<std::string>& arguments) const {
    return run_strata(arguments, path());
  }
};

}  // namespace

TEST_CASE("six sites segment drawn volumes, and masks come back on the volumes' grids") {
  const Hospitals dir;
  CHECK(dir.run({"pretrain", "volumes.yaml", "--out", "sam"}).code == 0);
  const auto run = dir.run({"run", "volumes.yaml", "--out", "run"});
  INFO(run.err);
  REQUIRE(run.code == 0);
  CHECK_THAT(run.err, Contains("round 2: dice "));
  CHECK_THAT(run.out, Contains("start    dice") && !Contains("accuracy"));
  CHECK_THAT(slurp(dir / "run/full-seed1/metrics.csv"), Contains("dice,hd95,nsd"));
  test::check_all_tidy(dir / "run", 3);

  const auto evaluated = dir.run({"evaluate", "run/full-seed1/model", "--data", "volumes",
                                  "--masks", "masks", "--predictions", "found.jsonl"});
  INFO(evaluated.err);
  REQUIRE(evaluated.code == 0);
  std::ifstream in(dir / "found.jsonl");
  std::size_t lines = 0;
  for (std::string text; std::getline(in, text); ++lines) {
    const json line = json::parse(text);
    const fs::path image = dir.path() / "volumes" / line["image"].get<std::string>();
    const data::VolumeGrid given = data::read_nifti_header(image);
    const data::Mask mask =
        data::read_nifti_mask(dir.path() / line["prediction"].get<std::string>(), {2, false});
    CHECK(mask.size == given.size);
    CHECK(mask.affine == given.affine);
    for (const char* metric : {"dice", "hd95", "nsd"}) CHECK(line[metric].size() == 2);
    CHECK(line["dice"]["kidney"].get<double>() >= 0);
  }
  CHECK(lines >= 6);

  const auto scored = dir.run(
      {"score", "--model", "sam", "--data", "volumes", "--samples", "2", "--out", "scores.json"});
  INFO(scored.err);
  CHECK(scored.code == 2);  // the pretrained one has the solids' classes
  CHECK_THAT(scored.err, Contains("its classes are \"kidney\", \"tumor\", but the model's are"));
  CHECK(dir.run({"score", "--model", "run/full-seed1/model", "--data", "volumes", "--samples", "2",
                 "--out", "scores.json"})
            .code == 0);
  CHECK(json::parse(slurp(dir / "scores.json"))["metric"] == "gradient");
  const auto by_kernel = [&](const std::vector<std::string>& options) {
    std::vector<std::string> arguments = {
        "score", "--model", "run/full-seed1/model", "--data",    "volumes", "--metric",
        "lntk",  "--out",   "kernel.json",          "--samples", "2"};
    arguments.insert(arguments.end(), options.begin(), options.end());
    const auto done = dir.run(arguments);
    INFO(done.err);
    REQUIRE(done.code == 0);
    return json::parse(slurp(dir / "kernel.json"))["raw"];
  };
  const auto directions = by_kernel({"--random-outputs", "3"});
  CHECK(directions == by_kernel({"--random-outputs", "3"}));
  CHECK(directions != by_kernel({"--random-outputs", "3", "--seed", "2"}));
  CHECK(directions != by_kernel({}));
  CHECK(by_kernel({"--output", "kidney"}) != by_kernel({"--output", "tumor"}));
  CHECK(dir.run({"plan", "--scores", "scores.json", "--budget", "2", "--out", "plan.json"}).code ==
        0);
  REQUIRE(dir.run({"report", "run"}).code == 0);
  // There is no right and wrong, so no interval over questions.
  const std::string page = slurp(dir / "run/report.html");
  CHECK_THAT(page, Contains("dice, %") && Contains("hd95, mm") && !Contains("Wilson") &&
                       !Contains("accuracy, %"));
  CHECK_THAT(page, Contains("Not compared, as one seed each tells nothing of chance"));
  CHECK_THAT(page, Contains("table-sites") && Contains("The worst site") &&
                       Contains("data:image/png;base64,") && Contains("table-published-traffic"));
}

TEST_CASE("a run leaves its sites' classes and slices, the same where it was made longer") {
  const Hospitals dir;
  CHECK(dir.run({"pretrain", "volumes.yaml", "--out", "sam"}).code == 0);
  const auto run = [&](const std::string& out, const std::string& rounds, bool resume) {
    std::vector<std::string> arguments = {"run", "volumes.yaml", "--out", out};
    for (const char* key :
         {"run.strategies=[full]", "run.evaluate_every=2", "run.local.schedule=constant"})
      arguments.insert(arguments.end(), {"--set", key});
    arguments.insert(arguments.end(), {"--set", "run.rounds=" + rounds});
    if (resume) arguments.push_back("--resume");
    const auto done = dir.run(arguments);
    INFO(done.err);
    REQUIRE(done.code == 0);
  };
  run("whole", "2", false);
  run("grown", "1", false);
  CHECK(fs::exists(dir / "grown/rounds/001/sites.csv"));
  CHECK(json::parse(slurp(dir / "grown/slices/slices.json"))["round"] == 1);
  run("grown", "2", true);
  CHECK_FALSE(fs::exists(dir / "grown/rounds/001/sites.csv"));
  std::vector<std::string> files = {"rounds/000/sites.csv", "rounds/002/sites.csv",
                                    "slices/slices.json"};
  const json slices = json::parse(slurp(dir / "whole/slices/slices.json"));
  CHECK(slices["round"] == 2);
  REQUIRE(slices["slices"].size() == 6);
  for (int i = 0; i < 6; ++i) files.push_back("slices/00" + std::to_string(i) + ".png");
  for (const std::string& file : files) {
    INFO(file);
    CHECK(slurp(dir.path() / "whole" / file) == slurp(dir.path() / "grown" / file));
  }
  for (const json& slice : slices["slices"])
    CHECK((slice["width"] == 32 && slice["height"] == 32 && slice["classes"].size() == 2));
  // The mean over a site's classes is what metrics.csv has.
  const auto sites = fedrunner::read_sites(dir.path() / "whole/rounds/002/sites.csv");
  const auto metrics = fedrunner::read_metrics(dir.path() / "whole/metrics.csv");
  CHECK(sites.metrics == metrics.metrics);
  REQUIRE(sites.rows.size() == 12);
  for (const fedrunner::RoundMetrics& row : metrics.rows) {
    if (row.round != 2 || row.is_aggregate()) continue;
    double sum = 0;
    for (const fedrunner::SiteMetrics& site : sites.rows)
      if (site.client == row.client) sum += site.values[0];
    CHECK(row.values[0] == Approx(sum / 2));
  }
}

TEST_CASE("FLAP-SAM's modes are strategies of one run, each as it is by itself") {
  const Hospitals dir;
  CHECK(dir.run({"pretrain", "volumes.yaml", "--out", "sam"}).code == 0);
  const auto run = [&](const std::string& out, const std::vector<std::string>& set,
                       bool resume = false) {
    std::vector<std::string> arguments = {"run", "volumes.yaml", "--out", out};
    for (const std::string& key : set) arguments.insert(arguments.end(), {"--set", key});
    if (resume) arguments.push_back("--resume");
    return dir.run(arguments);
  };
  const auto done = [&](const test::Outcome& outcome) {
    INFO(outcome.err);
    REQUIRE(outcome.code == 0);
  };
  const std::string rows =
      "run.strategies=[{name: flap, mode: flap}, {name: decoder, mode: decoder}, {name: f3ocus, "
      "mode: flap}";
  done(run("modes", {rows + "]", "run.server.lora=product"}));
  for (const std::string name : {"flap", "decoder", "f3ocus"}) {
    CAPTURE(name);
    const fs::path folder = dir.path() / ("modes/" + name + "-seed1");
    CHECK(fs::exists(folder / "model/config.json"));
    CHECK(fs::exists(folder / "model/adapter_config.json") == (name != "decoder"));
  }
  // A mode's run is that of units.mode, byte for byte but for what is measured.
  done(run("flap", {"run.strategies=[{name: flap, algorithm: full}]", "run.server.lora=product"}));
  for (const char* file : {"config.yaml", "model/adapter_model.safetensors", "rounds/002/plan.json",
                           "rounds/002/sites.csv"})
    CHECK(slurp(dir.path() / "modes/flap-seed1" / file) == slurp(dir.path() / "flap" / file));
  const json units = json::parse(slurp(dir / "modes/decoder-seed1/run.json"))["units"];
  CHECK(units["always"] == json({"upscale", "tokens"}));

  CHECK(run("modes", {rows + "]", "run.server.lora=product"}).code == 2);
  done(run("modes", {rows + ", {name: lora, mode: lora}]", "run.server.lora=product"}, true));
  CHECK(fs::exists(dir / "modes/lora-seed1/model/config.json"));
  CHECK(run("modes", {rows + "]", "run.server.lora=product"}, true).code == 2);
  REQUIRE(dir.run({"report", "modes"}).code == 0);
  const std::string page = slurp(dir / "modes/report.html");
  for (const char* name : {"flap", "decoder", "f3ocus", "lora"}) CHECK_THAT(page, Contains(name));

  done(run("rates",
           {"run.strategies=[{name: flap, mode: flap}, {name: partial, mode: "
            "partial_decoder}]",
            "data.partition=iid", "data.clients=2", "run.local.learning_rate=[0.001, 0.01]"}));
  CHECK(json::parse(slurp(dir / "rates/learning_rates.json"))["strategies"].size() == 2);
  CHECK(fs::exists(dir / "rates/partial-seed1/metrics.csv"));
  done(run("rates",
           {"run.strategies=[{name: flap, mode: flap}, {name: partial, mode: "
            "partial_decoder}]",
            "data.partition=iid", "data.clients=2", "run.local.learning_rate=[0.001, 0.01]"},
           true));

  check_refused({"run", "volumes.yaml", "--out", "bad", "--set",
                 "run.strategies=[{name: flap, mode: flab}, full]"},
                dir.path(), {"did you mean \"flap\"?"});
}

TEST_CASE("FLAP-SAM's configurations run on its data sets' published layouts") {
  const Hospitals dir;
  CHECK(dir.run({"pretrain", "volumes.yaml", "--out", "sam"}).code == 0);
  const fs::path configs = fs::path(STRATA_SOURCE_DIR) / "configs";
  const std::map<std::string, std::set<std::string>> sites = {
      {"kits", {"site-A", "site-B", "site-C", "site-D", "site-E", "site-F"}},
      {"ixi", {"Guys", "HH", "IOP"}},
      {"prostate", {"BIDMC", "BMC", "HK", "I2CVB", "RUNMC", "UCL"}}};
  for (const auto& [layout, expected] : sites) {
    CAPTURE(layout);
    const std::string data = "data-" + layout;
    const auto made = dir.run({"data", "make", "volumes", "--layout", layout, "--volumes", "12",
                               "--size", "32", "--out", data});
    INFO(made.err);
    REQUIRE(made.code == 0);
    const std::string config = (configs / ("flap_sam_" + layout + ".yaml")).string();
    std::vector<std::string> arguments = {"benchmark", config, "--out", "out-" + layout};
    // The published rank is more than this model is wide.
    for (const char* method : {"lora", "lora_decoder", "flap", "f3ocus"})
      arguments.insert(arguments.end(), {"--set", std::string("benchmark.methods.") + method +
                                                      ".model.peft.lora.rank=2"});
    for (const std::string& set :
         {"data.folder=" + data, std::string("model.folder=sam"), std::string("model.image_size=0"),
          std::string("run.rounds=1"), std::string("run.score.samples=2"),
          std::string("benchmark.methods.f3ocus.run.budget=1kB")})
      arguments.insert(arguments.end(), {"--set", set});
    const auto done = dir.run(arguments);
    INFO(done.err);
    REQUIRE(done.code == 0);
    const json found = json::parse(slurp(dir / ("out-" + layout + "/benchmark.json")));
    CHECK(found["cells"].size() == 8);
    for (const json& cell : found["cells"]) {
      CAPTURE(cell.dump());
      CHECK(cell["runs"][0]["score"].get<double>() >= 0);
    }
    std::set<std::string> clients;
    const auto metrics =
        fedrunner::read_metrics(dir / ("out-" + layout + "/cells/sam-b/flap/1/metrics.csv"));
    for (const fedrunner::RoundMetrics& row : metrics.rows)
      if (row.round == 1 && !row.is_aggregate()) clients.insert(row.client);
    CHECK(clients == expected);
  }
}

TEST_CASE("what is wrong with volumes is said in one line, and nothing half is written") {
  const Hospitals dir;
  CHECK(dir.run({"pretrain", "volumes.yaml", "--out", "sam"}).code == 0);
  const auto refused = [&](const std::vector<std::string>& arguments, const std::string& what) {
    check_refused(arguments, dir.path(), {what});
  };
  refused({"evaluate", "sam", "--data", "volumes/solids", "--logits", "--predictions", "x.jsonl"},
          "--logits is for models that choose a label");
  refused({"evaluate", "sam", "--data", "volumes/solids", "--masks", "volumes/./solids"},
          "is the data's own folder, whose volumes the masks would replace");
  refused({"run", "volumes.yaml", "--out", "other", "--set", "model.image_size=30"},
          "model.image_size: images of 30 pixels");
  refused({"run", "volumes.yaml", "--out", "other", "--set", "run.local.calibrate_labels=true"},
          "calibrate_labels");
  refused({"run", "volumes.yaml", "--out", "other", "--set", "task=image_classification"},
          "volumes");
  // A mask that is cut off.
  fs::path mask;
  for (const auto& entry : fs::recursive_directory_iterator(dir.path() / "volumes/data"))
    if (entry.path().filename() == "segmentation.nii.gz" && mask.empty()) mask = entry.path();
  const std::string whole = slurp(mask);
  std::ofstream(mask, std::ios::binary) << whole.substr(0, whole.size() / 2);
  refused({"data", "check", "volumes"}, "segmentation.nii.gz");
}
