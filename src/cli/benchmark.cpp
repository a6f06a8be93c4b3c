#include "strata/fedrunner/benchmark.h"

#include <iostream>

#include "cli/command_line.h"
#include "cli/run_tools.h"
#include "core/console.h"
#include "core/document.h"
#include "strata/core/error.h"

namespace strata::cli {
namespace {

Json to_json(const fedrunner::BenchmarkResults& results) {
  Json rows = Json::array();
  for (const auto& row : fedrunner::benchmark_rows(results)) {
    Json scores = Json::array();
    for (std::size_t f = 0; f < results.fractions.size(); ++f)
      scores.push_back({{"fraction", results.fractions[f]},
                        {"mean", number_or_null(row.means[f])},
                        {"deviation", number_or_null(row.deviations[f])},
                        {"learning_rate", number_or_null(row.learning_rates[f])}});
    rows.push_back({{"backbone", row.backbone},
                    {"method", row.method},
                    {"scores", scores},
                    {"mean", number_or_null(row.mean)},
                    {"rank", number_or_null(row.rank)},
                    {"trained_parameters", row.trained_parameters},
                    {"up_mbit_per_round", number_or_null(row.up_mbit)}});
  }
  return {{"version", 1}, {"score", results.score}, {"rows", rows}};
}

}  // namespace

int run_benchmark(const RunArguments& arguments, const CommonArguments& common) {
  const auto results = fedrunner::run_benchmark(arguments.config, arguments.set, arguments.out,
                                                run_tools(), run_options(arguments));
  if (common.json) {
    std::cout << printable_json(to_json(results).dump(1)) << std::endl;
  } else if (!common.quiet) {
    std::cout << results.score << " in percent\n"
              << fedrunner::benchmark_table(results) << std::flush;
  }
  return kExitDone;
}

}  // namespace strata::cli
