// `strata benchmark` with the real programs: a ResNet pretrained on fractals, the paper's benchmark
// of configs/ on small backbones, and what is refused.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "catch.h"
#include "command.h"
#include "support/docs_methods.h"
#include "tidy_csv.h"
#include "wrong_input.h"

using namespace strata;
using nlohmann::json;
using test::check_refused;
using test::succeed;
namespace fs = std::filesystem;

namespace {

const char* const kConfig = R"(version: 1
name: methods
data: {folder: fractals, partition: iid, clients: 2}
model:
  folder: foundation
  architecture: {type: resnet, hidden_sizes: [8, 12], depths: [1, 1], embedding_size: 4, image_size: 32}
pretrain: {data: fractals, epochs: 1, batch_size: 8, learning_rate: 0.003}
run:
  strategies: [full]
  seeds: [1, 2]
  rounds: 1
  budget: 1
  local: {steps: 2, batch_size: 4, learning_rate: [0.001, 0.01]}
benchmark:
  score: macro_f1
  fractions: [1, 0.5]
  backbones: {resnet: {}}
  methods:
    full: {}
    head: {run: {strategies: [head]}}
    bias: {units: {scheme: bias+only}}
)";

struct Made {
  test::TempDir dir;

  Made() {
    dir.write("methods.yaml", kConfig);
    succeed({"data", "make", "fractals", "--out", "fractals", "--classes", "3", "--images", "20",
             "--size", "32"},
            dir);
    succeed({"pretrain", "methods.yaml", "--out", "foundation"}, dir);
  }
};

const fs::path kSource = STRATA_SOURCE_DIR;

/// Removes what stands there once.
void cut(std::string& text, const std::string& begin, const std::string& end) {
  const auto from = text.find(begin);
  REQUIRE(from != std::string::npos);
  text.erase(from, text.find(end, from) + end.size() - from);
}

/// configs/peft_missed_opportunity.yaml on backbones of a few numbers: a ResNet and a ViT that were
/// pretrained here, and transformers' MAE and CLIP. As its comment says, what is not at hand is
/// taken out of a copy: ViT-L and ViT-H, which are ViTs as ViT-B is.
struct Paper {
  test::TempDir dir;
  std::string text = test::slurp(kSource / "configs/peft_missed_opportunity.yaml");

  Paper() {
    for (const char* line : {"\n    vit-large: ", "\n    vit-huge: "}) cut(text, line, "}}");
    cut(text, "vit-large, vit-", "huge, ");
    succeed({"data", "make", "fractals", "--out", "fractals", "--classes", "3", "--images", "20",
             "--size", "32"},
            dir);
    dir.write("foundation.yaml", kConfig);
    foundation("resnet",
               "{type: resnet, hidden_sizes: [128, 128], depths: [1, 1], embedding_size: 32, "
               "layer_type: bottleneck, image_size: 32}");
    foundation("vit",
               "{type: vit, hidden_size: 16, layers: 2, heads: 2, intermediate_size: 32, "
               "image_size: 32, patch_size: 8}");
  }

  json run(const std::vector<std::string>& options) {
    dir.write("paper.yaml", text);
    std::vector<std::string> arguments{"benchmark", "paper.yaml", "--out", "out", "--threads", "1"};
    const std::string encoders = (kSource / "tests/reference/image_encoders").string();
    for (const std::string& set :
         {std::string("data.folder=fractals"), std::string("run.seeds=[1]"),
          std::string("run.rounds=1"), std::string("run.evaluate_every=1"),
          std::string("run.local.learning_rate.trials=2"), std::string("benchmark.fractions=[0.5]"),
          std::string("benchmark.backbones.resnet-50.model.folder=resnet"),
          std::string("benchmark.backbones.vit-base.model.folder=vit"),
          "benchmark.backbones.vit-mae.model.folder=" + encoders + "/vit_mae",
          "benchmark.backbones.vit-clip.model.folder=" + encoders + "/clip"})
      arguments.insert(arguments.end(), {"--set", set});
    arguments.insert(arguments.end(), options.begin(), options.end());
    succeed(arguments, dir);
    return json::parse(test::slurp(dir / "out/benchmark.json")).at("cells");
  }

 private:
  void foundation(const std::string& name, const std::string& architecture) {
    succeed({"pretrain", "foundation.yaml", "--out", name, "--set",
             "model.architecture=" + architecture},
            dir);
  }
};

}  // namespace

TEST_CASE_METHOD(Paper, "peft_missed_opportunity.yaml runs on small backbones, and goes on") {
  const json first = run({});
  REQUIRE(first.size() == 6 + 3 * 8);
  text += test::methods_in_docs();
  const json all = run({"--resume"});
  REQUIRE(all.size() == 6 + 6 + 3 * 8);
  std::size_t kept = 0;
  for (const json& cell : all) {
    INFO(cell);
    CHECK_FALSE(cell.contains("failure"));
    CHECK(cell.at("trained_parameters").get<int>() > 0);
    REQUIRE(cell.at("runs").size() == 1);
    CHECK(cell.at("runs")[0].at("score").get<double>() >= 0);
    const json tried = json::parse(test::slurp(
        dir / ("out/" + cell.at("folder").get<std::string>() + "/learning_rates.json")));
    CHECK(tried.at("strategies")[0].at("trials").size() == 2);
    // What was there has the seconds that it took then.
    kept += static_cast<std::size_t>(std::count(first.begin(), first.end(), cell));
  }
  CHECK(kept == first.size());
}

TEST_CASE_METHOD(Made, "a benchmark of methods prints its table, reports, and goes on") {
  const std::string table =
      succeed({"benchmark", "methods.yaml", "--out", "out", "--set", "run.seeds=[1]"}, dir);
  CHECK_THAT(table, Catch::StartsWith("macro_f1 in percent\nbackbone  method  of 100 %"));
  const json first = json::parse(test::slurp(dir / "out/benchmark.json"));
  REQUIRE(first["cells"].size() == 6);
  // The last of 12, of a few: gamma and beta of five BatchNorms, and a head of 12 x 3 + 3.
  CHECK(first["cells"][2]["method"] == "head");
  CHECK(first["cells"][2]["trained_parameters"] == 39);
  CHECK(fs::exists(dir / "out/cells/resnet/bias/0.5/learning_rates.json"));
  test::check_all_tidy(dir / "out", 13);

  const json again = json::parse(
      succeed({"benchmark", "methods.yaml", "--out", "out", "--resume", "--json"}, dir));
  CHECK(again["rows"].size() == 3);
  CHECK(again["rows"][0]["scores"][1]["fraction"] == 0.5);
  const json second = json::parse(test::slurp(dir / "out/benchmark.json"));
  for (std::size_t c = 0; c < 6; ++c) {
    CHECK(second["cells"][c]["runs"].size() == 2);
    CHECK(second["cells"][c]["runs"][0] == first["cells"][c]["runs"][0]);
  }
  CHECK_THAT(succeed({"report", "out"}, dir), Catch::Contains("bias"));
  CHECK_THAT(test::slurp(dir / "out/report.html"), Catch::Contains("fig-fractions"));
}

TEST_CASE_METHOD(Made, "a benchmark that is wrong is one line, and writes nothing") {
  const auto refused = [&](const std::vector<std::string>& set,
                           const std::vector<std::string>& parts) {
    std::vector<std::string> arguments{"benchmark", "methods.yaml", "--out", "out"};
    for (const std::string& one : set) arguments.insert(arguments.end(), {"--set", one});
    check_refused(arguments, dir.path(), parts);
  };
  refused({"benchmark.methods.full={run: {round: 3}}"},
          {"full of resnet: ", "run.round: unknown key (did you mean \"rounds\"?)"});
  refused(
      {"benchmark.methods.vpt={model: {peft: {prompts: {length: 2}}}, units: {scheme: prompt}}"},
      {"vpt of resnet with 100 %"});
  refused({"benchmark.score=macro_f2"},
          {"benchmark.score: unknown name \"macro_f2\" (did you mean \"macro_f1\"?)"});
  refused({"benchmark.backbones.other={model: {folder: nowhere}}"},
          {"full of other with 100 %", "nowhere holds no model"});
  refused({"run.local.learning_rate={from: 1, to: 0.1, trials: 3}"}, {"a number above from"});
  check_refused({"run", "methods.yaml", "--out", "out", "--set", "run.local.learning_rate=[0.1]"},
                dir.path(), {"a list of at least two learning rates was expected"});
}
