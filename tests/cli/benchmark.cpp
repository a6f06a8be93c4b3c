// `strata benchmark` with the real programs: a ResNet pretrained on fractals, and what is refused.
#include <nlohmann/json.hpp>

#include "catch.h"
#include "command.h"
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

}  // namespace

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
