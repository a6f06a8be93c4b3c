#pragma once
/// \file
/// `benchmark`: one experiment for every backbone, method and share of the data
/// (docs/benchmark.md).

#include <filesystem>
#include <string>
#include <vector>

#include "core/document.h"
#include "experiment/experiment.h"

namespace strata::experiment {

/// One experiment of a benchmark.
struct BenchmarkExperiment {
  std::string backbone, method;
  double fraction = 1;
  std::filesystem::path folder;  ///< under the benchmark's
  ExperimentConfig config;       ///< with a `run` of one strategy
};

struct BenchmarkConfig {
  std::string file, name;
  std::string score;                            ///< a metric of the task; "": the main one
  std::vector<std::string> backbones, methods;  ///< as the file has them
  std::vector<double> fractions;
  std::vector<BenchmarkExperiment> experiments;  ///< by backbone, method and fraction
};

/// Reads a benchmark file: an experiment file with a mapping `benchmark`, whose `backbones` and
/// `methods` are names with settings, which are laid over the file's own. Every experiment is
/// checked as read_experiment_file does. @throws InputError, which names the experiment where one
/// does not read.
BenchmarkConfig read_benchmark_file(const std::filesystem::path& file,
                                    const std::vector<std::string>& set, const ToolNames& names);

}  // namespace strata::experiment
