#include "strata/fedrunner/pretrain.h"

#include <cmath>
#include <iostream>

#include "cli/command_line.h"
#include "cli/output_files.h"
#include "cli/runner_names.h"
#include "core/console.h"
#include "core/document.h"
#include "strata/core/error.h"

namespace strata::cli {

int run_pretrain(const PretrainArguments& arguments, const CommonArguments& common) {
  check_writable(std::filesystem::path(arguments.out) / "config.json");
  const auto summary =
      fedrunner::pretrain_model(arguments.config, arguments.set, arguments.out, arguments.device,
                                runner_names(), arguments.threads, arguments.parallel);
  if (common.json) {
    Json root{{"version", 1}, {"folder", arguments.out}};
    for (const auto& [metric, value] : summary.metrics) root[metric] = number_or_null(value);
    root["loss"] = number_or_null(summary.loss);
    root["train_samples"] = summary.train_samples;
    root["test_samples"] = summary.test_samples;
    root["labels"] = summary.labels;
    root["parameters"] = summary.parameters;
    root["seconds"] = summary.seconds;
    std::cout << printable_json(root.dump(1)) << std::endl;
  } else if (!common.quiet) {
    const auto shown = [](double value) { return std::isnan(value) ? "–" : fixed(value, 4); };
    std::vector<std::string> header = {"model", "weights", "train", "test"};
    std::vector<std::string> row = {arguments.out, std::to_string(summary.parameters),
                                    std::to_string(summary.train_samples),
                                    std::to_string(summary.test_samples)};
    for (const auto& [metric, value] : summary.metrics) {
      header.push_back(metric);
      row.push_back(shown(value));
    }
    header.insert(header.end(), {"loss", "seconds"});
    row.insert(row.end(), {shown(summary.loss), fixed(summary.seconds, 1)});
    TextTable table(header);
    table.row(row);
    std::cout << table.str() << std::flush;
  }
  return kExitDone;
}

}  // namespace strata::cli
