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
    const Json root{{"version", 1},
                    {"folder", arguments.out},
                    {"accuracy", number_or_null(summary.accuracy)},
                    {"open_accuracy", number_or_null(summary.open_accuracy)},
                    {"closed_accuracy", number_or_null(summary.closed_accuracy)},
                    {"loss", number_or_null(summary.loss)},
                    {"train_samples", summary.train_samples},
                    {"test_samples", summary.test_samples},
                    {"labels", summary.labels},
                    {"parameters", summary.parameters},
                    {"seconds", summary.seconds}};
    std::cout << printable_json(root.dump(1)) << std::endl;
  } else if (!common.quiet) {
    const auto shown = [](double value) { return std::isnan(value) ? "–" : fixed(value, 4); };
    TextTable table(
        {"model", "weights", "train", "test", "accuracy", "open", "closed", "loss", "seconds"});
    table.row({arguments.out, std::to_string(summary.parameters),
               std::to_string(summary.train_samples), std::to_string(summary.test_samples),
               shown(summary.accuracy), shown(summary.open_accuracy),
               shown(summary.closed_accuracy), shown(summary.loss), fixed(summary.seconds, 1)});
    std::cout << table.str() << std::flush;
  }
  return kExitDone;
}

}  // namespace strata::cli
