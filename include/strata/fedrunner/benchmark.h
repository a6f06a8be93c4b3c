#pragma once
/// \file
/// A benchmark of methods (docs/benchmark.md): backbones × methods × shares of the data × seeds.
/// \code
/// // `data` is a folder as `strata data make` writes it, `foundation` one of a model.
/// write_file("methods.yaml", R"(version: 1
/// name: methods
/// data: {folder: data}
/// run: {rounds: 1, budget: 1, strategies: [full], local: {steps: 1, learning_rate: 0.001}}
/// benchmark:
///   backbones: {vilt: {model: {folder: foundation}}}
///   methods:
///     full: {}
///     head: {run: {strategies: [head]}}
/// )");
/// RunTools tools;
/// tools.names = {{"lntk"}, {"exact"}, {"knee"}};
/// tools.plan = [](const PlanningProblem& problem, const PlanOptions& options) {
///   return optimizers::make_plan(problem, options);
/// };
/// const BenchmarkResults results = run_benchmark("methods.yaml", {}, "out", tools, {});
/// assert(results.cells.size() == 2 && results.cells[0].runs.size() == 1);
/// assert(std::filesystem::exists("out/benchmark.json"));
/// \endcode

#include "strata/fedrunner/benchmark_results.h"
#include "strata/fedrunner/run.h"

namespace strata::fedrunner {

/// Runs every cell of the benchmark that `out` does not hold yet: each is an experiment of its own
/// in `out/cells/<backbone>/<method>/<fraction>`, as run_experiment writes it. After each the
/// results are written. With RunOptions::resume cells that are done are not run again; backbones,
/// methods, fractions and seeds may be added. A cell whose training does not stay finite is a
/// result, too: a failure.
/// @throws InputError before anything is written: a wrong file, a model that is not there, a method
/// that does not fit it, results of another benchmark in `out`, or of this one without `resume`;
/// later, data that cannot be read. @throws WorkError
BenchmarkResults run_benchmark(const std::filesystem::path& file,
                               const std::vector<std::string>& set,
                               const std::filesystem::path& out, const RunTools& tools,
                               const RunOptions& options);

}  // namespace strata::fedrunner
