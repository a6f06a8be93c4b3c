#pragma once
// An experiment file, and ways to read it and its sections.

#include <string>
#include <vector>

#include "experiment/experiment.h"
#include "strata/core/error.h"
#include "temp_dir.h"

namespace strata::test {

inline const experiment::ToolNames kNames = {
    {"lntk", "gradient"}, {"exact", "nsga2", "topk", "random"}, {"knee", "importance"}};

inline const std::string kExperiment = R"(version: 1
name: demo
data:
  folder: data/phantoms
  partition: dirichlet
  clients: 6
  alpha: 0.3
  public_fraction: 0.25
  seed: 4
model:
  folder: models/foundation
  architecture: {hidden_size: 16, layers: 3, heads: 2, image_size: 16, patch_size: 8}
pretrain:
  data: public
  epochs: 2
  learning_rate: 0.001
units:
  selectable: blocks
  always: [head]
run:
  strategies: [f3ocus, topk, random, full, {name: mine, algorithm: nsga2, metric: gradient}]
  seeds: [1, 2]
  rounds: 5
  budget: 2
  score: {samples: 8, every: 2}
  plan: {algorithm: nsga2, choose: importance}
  local: {steps: 20, learning_rate: 0.001}
)";

inline experiment::ExperimentConfig read_experiment(const std::string& text,
                                                    const std::vector<std::string>& set = {},
                                                    const experiment::ToolNames& names = kNames) {
  const TempDir dir;
  return experiment::read_experiment_file(dir.write("demo.yaml", text), set, names);
}

/// The line of the error that `action` throws; "" when it throws none.
template <typename Action>
std::string error_of(Action action) {
  try {
    action();
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

/// A section of this text alone.
template <typename Section>
Section read_section(const Fields<Section>& fields, const std::string& yaml) {
  const Document document = parse_yaml(yaml, "x.yaml");
  return fields.read(ObjectReader(document));
}

/// What is written of a section of this text.
template <typename Section>
std::string written(const Fields<Section>& fields, const std::string& yaml) {
  return fields.write(read_section(fields, yaml)).dump();
}

/// What its error says after the file.
template <typename Section>
std::string section_error(const Fields<Section>& fields, const std::string& yaml) {
  const std::string error = error_of([&] { read_section(fields, yaml); });
  const auto begin = error.find(": ");
  return begin == std::string::npos ? error : error.substr(begin + 2);
}

}  // namespace strata::test
