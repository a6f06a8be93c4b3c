#include "report/report.h"

#include <iostream>
#include <nlohmann/json.hpp>

#include "cli/command_line.h"
#include "core/console.h"
#include "strata/core/error.h"

namespace strata::cli {

int run_report(const ReportArguments& arguments, const CommonArguments& common) {
  const report::Report report = report::write_report(arguments.folder);
  if (common.json) {
    std::cout
        << printable_json(
               nlohmann::ordered_json{{"version", 1}, {"report", report.page.string()}}.dump())
        << "\n";
  } else if (!common.quiet) {
    std::cout << report.summary << report.page.string() << "\n";
  }
  return kExitDone;
}

}  // namespace strata::cli
