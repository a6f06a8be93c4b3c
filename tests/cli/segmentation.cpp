// Volumes with the real programs: drawn, segmented by a small SAM that six sites train, evaluated,
// scored, reported; and what is wrong with them.
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "catch.h"
#include "command.h"
#include "data/nifti.h"
#include "strata/core/safetensors.h"
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

namespace {

/// The base's weights that differ between two model folders of the same sizes.
std::set<std::string> changed_weights(const fs::path& model, const fs::path& other) {
  const SafetensorsFile found(model / "model.safetensors"), before(other / "model.safetensors");
  REQUIRE(found.tensors().size() == before.tensors().size());
  std::set<std::string> names;
  for (const TensorEntry& entry : found.tensors()) {
    REQUIRE(before.find(entry.name));
    if (found.bytes(entry) != before.bytes(*before.find(entry.name))) names.insert(entry.name);
  }
  return names;
}

/// Of FLAP-SAM's `upscale` and `tokens`.
bool is_fresh(const std::string& name) {
  for (const char* begin : {"upscale_", "mask_tokens.", "output_hypernetworks_mlps."})
    if (name.starts_with(std::string("mask_decoder.") + begin)) return true;
  return false;
}

bool is_attention(const std::string& name) {
  return name.find("attn") != std::string::npos &&
         name.find("norm_final_attn") == std::string::npos;
}

}  // namespace

TEST_CASE("all seven modes of FLAP-SAM's are strategies of a run, and train what they say") {
  const Hospitals dir;
  CHECK(dir.run({"pretrain", "volumes.yaml", "--out", "sam"}).code == 0);
  const std::vector<std::string> modes = {"full",         "decoder", "partial_decoder", "lora",
                                          "lora_decoder", "flap",    "attention"};
  std::string strategies;
  for (const std::string& mode : modes)
    strategies += (strategies.empty() ? "{name: " : ", {name: ") + mode + ", mode: " + mode + "}";
  const auto run = dir.run(
      {"run", "volumes.yaml", "--out", "modes", "--set", "run.strategies=[" + strategies + "]"});
  INFO(run.err);
  REQUIRE(run.code == 0);
  const auto model = [&](const std::string& mode) {
    return dir.path() / "modes" / (mode + "-seed1") / "model";
  };
  for (const std::string& mode : modes) {
    CAPTURE(mode);
    const bool pairs = mode.starts_with("lora") || mode == "flap";
    CHECK(fs::exists(model(mode) / "adapter_config.json") == pairs);
    // What pairs alone leave as it is was the same for all at the start, the fresh head included.
    bool attends = false, transforms = false, embeds = false;
    std::size_t fresh = 0;
    for (const std::string& name : changed_weights(model(mode), model("lora"))) {
      CAPTURE(name);
      fresh += is_fresh(name);
      if (is_fresh(name)) continue;
      const bool encoder = name.starts_with("vision_encoder.");
      attends |= encoder && is_attention(name);
      embeds |= name.starts_with("vision_encoder.patch_embed.");
      transforms |= name.starts_with("mask_decoder.transformer.") && !is_attention(name);
      if (mode == "attention") CHECK(is_attention(name));
      if (mode.ends_with("decoder")) CHECK_FALSE(encoder);
    }
    CHECK((fresh > 0) == (mode != "lora"));
    CHECK(attends == (mode == "full" || mode == "attention"));
    CHECK(embeds == (mode == "full"));
    CHECK(transforms == (mode == "full" || mode == "decoder" || mode == "lora_decoder"));
  }
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

TEST_CASE("a run plans FLAP-SAM's pairs by bytes, by each kind of scores that a SAM has") {
  const Hospitals dir;
  CHECK(dir.run({"pretrain", "volumes.yaml", "--out", "sam"}).code == 0);
  std::set<std::string> digests;
  const std::map<std::string, std::vector<std::string>> kinds = {
      {"gradient", {"run.score.metric=gradient"}},
      {"pooled", {"run.score.metric=lntk"}},
      {"directions", {"run.score.metric=lntk", "run.score.random_outputs=3"}}};
  for (const auto& [kind, set] : kinds) {
    CAPTURE(kind);
    std::vector<std::string> arguments = {"run", "volumes.yaml", "--out", kind};
    for (const char* key : {"run.strategies=[f3ocus]", "run.budget=1kB", "run.server.lora=product"})
      arguments.insert(arguments.end(), {"--set", key});
    for (const std::string& key : set) arguments.insert(arguments.end(), {"--set", key});
    const auto done = dir.run(arguments);
    INFO(done.err);
    REQUIRE(done.code == 0);
    for (const char* round : {"001", "002"}) {
      const json plan = json::parse(slurp(dir.path() / kind / "rounds" / round / "plan.json"));
      CHECK(plan["units"] ==
            json({"lora.0", "lora.1", "decoder.lora.0", "decoder.lora.1", "decoder.lora.2"}));
      CHECK(plan["always"] == json({"upscale", "tokens"}));
      CHECK(plan["budget"]["of"] == "bytes");
      CHECK(plan["gap"]["certificate"] == "exact");
      std::size_t chosen = 0;
      for (const auto& [client, units] : plan["clients"].items()) {
        std::int64_t bytes = 0;
        // Four bytes a number of pairs of rank 2: of two projections in a block, of two or six in
        // the decoder.
        for (const std::string unit : units) {
          ++chosen;
          bytes += unit.starts_with("lora.")  ? 4 * 2 * 2 * (16 + 16)
                   : unit == "decoder.lora.2" ? 4 * 2 * 2 * (32 + 16)
                                              : 4 * 2 * (2 * (32 + 32) + 4 * (32 + 16));
        }
        CHECK(plan["budget"]["clients"][client]["used"] == bytes);
        CHECK(bytes <= 1000);
      }
      CHECK(chosen >= 5);
      if (std::string(round) == "001") digests.insert(plan["scores_digest"]);
    }
    CHECK(fs::exists(dir.path() / kind / "model/adapter_config.json"));
  }
  CHECK(digests.size() == kinds.size());
}

TEST_CASE("a published checkpoint without names takes those of data with as many classes") {
  const Hospitals dir;
  // As many heads as the published decoders have, which shapes do not say.
  const std::string heads = "model.architecture.decoder_heads=8";
  CHECK(dir.run({"pretrain", "volumes.yaml", "--out", "sam", "--set", heads}).code == 0);
  const auto run = dir.run(
      {"run", "volumes.yaml", "--out", "run", "--set", "run.strategies=[full]", "--set", heads});
  INFO(run.err);
  REQUIRE(run.code == 0);
  fs::create_directory(dir / "flap");
  CHECK(dir.run({"export", "run/model", "--out", "flap/flap.pth"}).code == 0);
  const auto lines = [&](const std::string& model) {
    const auto done = dir.run({"evaluate", model, "--data", "volumes", "--predictions", "x.jsonl"});
    INFO(done.err);
    REQUIRE(done.code == 0);
    std::vector<json> found;
    std::ifstream in(dir / "x.jsonl");
    for (std::string text; std::getline(in, text);) found.push_back(json::parse(text));
    return found;
  };
  const auto expected = lines("run/model"), found = lines("flap");
  REQUIRE(found.size() == expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    REQUIRE(found[i]["dice"].size() == 2);
    for (const char* organ : {"kidney", "tumor"})
      // LayerNorms of the decoder have another epsilon there.
      CHECK(found[i]["dice"][organ].get<double>() ==
            Approx(expected[i]["dice"][organ].get<double>()).margin(0.01));
  }
  CHECK(dir.run({"score", "--model", "flap", "--data", "volumes", "--samples", "2", "--out",
                 "scores.json"})
            .code == 0);
  // Its head goes on as it is, or is drawn anew where that is asked for.
  for (const char* answers : {"own", "data"}) {
    const auto more =
        dir.run({"run", "volumes.yaml", "--out", answers, "--set", "run.strategies=[full]", "--set",
                 "model.folder=flap", "--set", std::string("model.answers=") + answers});
    INFO(more.err);
    REQUIRE(more.code == 0);
    const json config = json::parse(slurp(dir.path() / answers / "model/config.json"));
    CHECK(config["strata"]["classes"] == (std::string(answers) == "data"
                                              ? json({"kidney", "tumor"})
                                              : json({"class_1", "class_2"})));
  }
  CHECK(dir.run({"data", "make", "volumes", "--layout", "ixi", "--volumes", "12", "--size", "32",
                 "--out", "heads"})
            .code == 0);
  check_refused({"evaluate", "flap", "--data", "heads", "--masks", "masks", "--quiet"}, dir.path(),
                {"its classes are \"brain\", but the model has 2 without names"});
}

TEST_CASE("volumes that show nothing are trained on, measured by the stated rule, and evaluated") {
  const Hospitals dir;
  CHECK(dir.run({"pretrain", "volumes.yaml", "--out", "sam"}).code == 0);
  // Both volumes of a site.
  std::map<std::string, double> diagonals;
  for (const char* number : {"00021", "00181"}) {
    const fs::path mask =
        dir.path() / "volumes/data" / (std::string("case_") + number) / "segmentation.nii.gz";
    REQUIRE(fs::exists(mask));
    data::Mask empty = data::read_nifti_mask(mask, {2, true});
    std::fill(empty.labels.begin(), empty.labels.end(), std::uint8_t{0});
    data::write_nifti(mask, empty);
    double squares = 0;
    for (std::size_t i = 0; i < 3; ++i)
      squares += std::pow(static_cast<double>(empty.size[i]) * empty.spacing[i], 2);
    diagonals[number] = std::sqrt(squares);
  }
  const auto run = dir.run({"run", "volumes.yaml", "--out", "run"});
  INFO(run.err);
  REQUIRE(run.code == 0);
  for (const auto& row : fedrunner::read_metrics(dir / "run/full-seed1/metrics.csv").rows)
    for (const double value : row.values) CHECK(std::isfinite(value));
  const auto evaluated = dir.run({"evaluate", "run/full-seed1/model", "--data", "volumes",
                                  "--masks", "masks", "--predictions", "found.jsonl"});
  INFO(evaluated.err);
  REQUIRE(evaluated.code == 0);
  std::ifstream in(dir / "found.jsonl");
  std::size_t seen = 0;
  for (std::string text; std::getline(in, text);) {
    const json line = json::parse(text);
    if (line["image"].get<std::string>().find("case_00181") == std::string::npos) continue;
    ++seen;
    const data::Mask found =
        data::read_nifti_mask(dir.path() / line["prediction"].get<std::string>(), {2, false});
    for (const auto& [organ, label] : {std::pair{"kidney", 1}, std::pair{"tumor", 2}}) {
      CAPTURE(organ);
      const bool none = std::count(found.labels.begin(), found.labels.end(), label) == 0;
      CHECK(line["dice"][organ].get<double>() == (none ? 1 : 0));
      CHECK(line["nsd"][organ].get<double>() == (none ? 1 : 0));
      CHECK(line["hd95"][organ].get<double>() ==
            Approx(none ? 0 : diagonals.at("00181")).epsilon(1e-6));
    }
  }
  CHECK(seen == 1);
  REQUIRE(dir.run({"report", "run"}).code == 0);
}

namespace {

/// Another file in the place of one; the first one comes back at the end.
struct Replaced {
  fs::path file;
  std::string before;
  Replaced(const fs::path& path, const std::string& content) : file(path), before(slurp(path)) {
    std::ofstream(file, std::ios::binary) << content;
  }
  ~Replaced() { std::ofstream(file, std::ios::binary) << before; }
};

/// The volume twice over, as a fourth dimension.
std::string with_times(const data::Volume& volume, const fs::path& scratch) {
  data::write_nifti(scratch, volume, data::VoxelType::kInt16);
  std::string bytes = slurp(scratch);
  fs::remove(scratch);
  const std::string voxels = bytes.substr(352);
  const std::int16_t dimensions = 4, times = 2;
  std::memcpy(&bytes[40], &dimensions, 2);
  std::memcpy(&bytes[48], &times, 2);
  return bytes + voxels;
}

}  // namespace

TEST_CASE("a bad volume ends a run and an evaluation in one line, and leaves no file of either") {
  const Hospitals dir;
  CHECK(dir.run({"pretrain", "volumes.yaml", "--out", "sam"}).code == 0);
  const fs::path solids = dir.path() / "volumes/solids";
  const fs::path image = solids / "images/0012.nii.gz", mask = solids / "masks/0012.nii.gz";
  const auto refused = [&](const std::string& what) {
    CAPTURE(what);
    check_refused(
        {"run", "volumes.yaml", "--out", "other", "--quiet", "--set", "data.folder=volumes/solids"},
        dir.path(), {what, "0012.nii.gz"});
    check_refused({"evaluate", "sam", "--data", "volumes/solids", "--masks", "masks",
                   "--predictions", "found.jsonl"},
                  dir.path(), {what, "0012.nii.gz"});
    check_refused({"data", "check", "volumes/solids"}, dir.path(), {what});
  };
  const data::Mask truth = data::read_nifti_mask(mask, {2, false});
  const fs::path scratch = dir / "scratch.nii", packed = dir / "scratch.nii.gz";
  const auto written = [&](const data::Mask& other) {
    data::write_nifti(packed, other);
    const std::string bytes = slurp(packed);
    fs::remove(packed);
    return bytes;
  };
  {
    data::Mask other = truth;
    other.labels[7] = 3;
    const Replaced bad(mask, written(other));
    refused("has the label 3, expected a whole number from 0 to 2");
  }
  {
    data::Mask other = truth;
    --other.size[2];
    other.labels.resize(other.voxels());
    const Replaced bad(mask, written(other));
    refused("the mask has the shape (32, 32, ");
  }
  {
    const Replaced bad(mask, slurp(mask).substr(0, 5000));
    refused("it is cut off");
  }
  {
    const Replaced bad(image, slurp(image).substr(0, 5000));
    refused("it is cut off");
  }
  {
    const Replaced bad(image, std::string(128, '\0') + "DICM" + std::string(200, '\0'));
    refused("make NIfTI of it with dcm2niix");
  }
  {
    const Replaced bad(image, with_times(data::read_nifti(image), scratch));
    refused("found 4 dimensions (32 x 32 x ");
  }
  const std::string whole = slurp(mask);
  fs::remove(mask);
  refused("mask: the mask volumes/solids/masks/0012.nii.gz does not exist");
  std::ofstream(mask, std::ios::binary) << whole;

  // Masks that cannot be written leave no line of the predictions, nor another mask.
  fs::create_directories(dir / "masks/images/0012.nii.gz");
  check_refused({"evaluate", "sam", "--data", "volumes/solids", "--split", "train", "--masks",
                 "sam/config.json", "--predictions", "found.jsonl"},
                dir.path(), {"cannot be written"}, 1);
  check_refused({"evaluate", "sam", "--data", "volumes/solids", "--masks", "masks", "--predictions",
                 "found.jsonl"},
                dir.path(), {"0012.nii.gz: cannot be written: is a folder"}, 1);
  fs::remove_all(dir / "masks");
  CHECK(dir.run({"evaluate", "sam", "--data", "volumes/solids", "--masks", "masks", "--predictions",
                 "found.jsonl"})
            .code == 0);
  CHECK(fs::exists(dir / "masks/images/0012.nii.gz"));
  // Again, over what is there: nothing else comes to be.
  const std::string before = test::snapshot(dir.path());
  CHECK(dir.run({"evaluate", "sam", "--data", "volumes/solids", "--masks", "masks", "--predictions",
                 "found.jsonl"})
            .code == 0);
  CHECK(test::snapshot(dir.path()) == before);
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
