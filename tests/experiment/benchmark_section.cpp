#include "experiment/benchmark_section.h"

#include "catch.h"
#include "experiment/files.h"
#include "support/error_text.h"

using namespace strata;
using namespace strata::experiment;
using namespace strata::test;

namespace {

const std::string kBase = R"(version: 1
name: methods
data: {folder: data/phantoms, fraction: 0.5}
model: {folder: nowhere}
run:
  strategies: [full]
  seeds: [1, 2]
  rounds: 5
  budget: 1
  local: {steps: 3, learning_rate: 0.1}
benchmark:
  score: macro_f1
  fractions: [1, 0.1]
  backbones:
    vit: {model: {folder: models/vit}}
    resnet: {model: {folder: models/resnet}, data: {folder: "${model.folder}/data"}}
  methods:
    full: {}
    lora:
      backbones: [vit]
      model: {peft: {lora: {rank: 4}}}
      units: {scheme: lora+only}
      run: {local: {learning_rate: [0.1, 0.01]}}
    head: {run: {strategies: [head]}}
)";

BenchmarkConfig read(const std::string& text, const std::vector<std::string>& set = {}) {
  const TempDir dir;
  return read_benchmark_file(dir.write("b.yaml", text), set, kNames);
}

std::string changed(std::string text, const std::string& from, const std::string& to) {
  text.replace(text.find(from), from.size(), to);
  return text;
}

}  // namespace

TEST_CASE("a benchmark is an experiment for every backbone, method and share of the data") {
  const auto benchmark = read(kBase);
  CHECK(benchmark.backbones == std::vector<std::string>{"vit", "resnet"});
  CHECK(benchmark.methods == std::vector<std::string>{"full", "lora", "head"});
  std::vector<std::string> folders;
  for (const auto& one : benchmark.experiments) folders.push_back(one.folder.string());
  CHECK(folders == std::vector<std::string>{"cells/vit/full/1", "cells/vit/full/0.1",
                                            "cells/vit/lora/1", "cells/vit/lora/0.1",
                                            "cells/vit/head/1", "cells/vit/head/0.1",
                                            "cells/resnet/full/1", "cells/resnet/full/0.1",
                                            "cells/resnet/head/1", "cells/resnet/head/0.1"});
  const ExperimentConfig& lora = benchmark.experiments[3].config;
  CHECK(lora.name == "methods: lora of vit");
  CHECK(lora.model.folder == "models/vit");
  CHECK(lora.model.peft.size() == 1);
  CHECK(lora.units.scheme == "lora+only");
  CHECK(lora.data.partition.fraction == 0.1);
  CHECK(lora.data.folder == "data/phantoms");
  // Mappings are merged: the steps stay beside the other learning rate.
  CHECK(lora.run->local.steps == 3);
  CHECK(lora.run->local.learning_rates == std::vector<double>{0.01, 0.1});
  CHECK(lora.run->local.chosen_by == "macro_f1");
  CHECK(lora.run->seeds == std::vector<std::uint64_t>{1, 2});
  const ExperimentConfig& full = benchmark.experiments[6].config;
  CHECK(full.model.peft.empty());
  CHECK(full.data.folder == "models/resnet/data");  // references are to the merged file
  CHECK(benchmark.experiments[8].config.run->strategies[0].name == "head");
}

TEST_CASE("without fractions a benchmark takes the experiment's own") {
  const auto benchmark = read(changed(kBase, "  fractions: [1, 0.1]\n", ""), {"run.rounds=2"});
  CHECK(benchmark.fractions == std::vector<double>{0.5});
  CHECK(benchmark.experiments.size() == 5);
  CHECK(benchmark.experiments[0].folder == "cells/vit/full/0.5");
  CHECK(benchmark.experiments[0].config.run->rounds == 2);
}

TEST_CASE("each mistake in a benchmark is one line that names the method and the key") {
  const auto error = [](const std::string& from, const std::string& to) {
    return input_error([&] { read(changed(kBase, from, to)); });
  };
  CHECK(contains(error("rank: 4", "rnk: 4"), "lora of vit: "));
  CHECK(contains(error("rank: 4", "rnk: 4"), "b.yaml:21: model.peft.lora.rnk: unknown key"));
  CHECK(contains(error("backbones: [vit]", "backbones: [vti]"),
                 "b.yaml:20: benchmark.methods.lora.backbones: unknown name \"vti\" (did you mean "
                 "\"vit\"?)"));
  CHECK(contains(error("units: {scheme", "unit: {scheme"),
                 "benchmark.methods.lora.unit: unknown key (did you mean \"units\"?)"));
  CHECK(contains(error("[1, 0.1]", "[1, 1]"), "benchmark.fractions: the share 1 stands twice"));
  CHECK(contains(error("[1, 0.1]", "[2]"), "a number above 0, at most 1 was expected, found 2"));
  CHECK(contains(error("    full: {}", "    a/b: {}"), "cannot name a folder"));
  CHECK(contains(error("[head]", "[head, full]"),
                 "benchmark.methods.head: a method is run with one strategy, found 2"));
  CHECK(contains(error("benchmark:", "bench:"), "benchmark: the key is missing"));
  CHECK(contains(error("name: methods", "nam: methods"), "name: the key is missing"));
}
