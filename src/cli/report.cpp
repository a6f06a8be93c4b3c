#include "report/report.h"

#include <iostream>
#include <nlohmann/json.hpp>

#include "cli/command_line.h"
#include "strata/core/error.h"

namespace strata {

int run_report(const ReportArguments& arguments, const CommonArguments& common) {
  const std::string page = write_report(arguments.folder).string();
  if (common.json) {
    std::cout << nlohmann::ordered_json{{"version", 1}, {"report", page}}.dump() << "\n";
  } else if (!common.quiet) {
    std::cout << result_text(arguments.folder) << page << "\n";
  }
  return kExitDone;
}

}  // namespace strata
