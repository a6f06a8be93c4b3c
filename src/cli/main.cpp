#include <filesystem>
#include <iostream>

#include "cli/command_line.h"
#include "cli/hand_over.h"
#include "cli/interrupts.h"
#include "cli/report_errors.h"
#include "core/build_info.h"
#include "core/console.h"
#include "core/provenance.h"

namespace {

int work(const strata::cli::CommandLine& line, char** argv) {
  using namespace strata;
  using namespace strata::cli;
  switch (line.command) {
    case Command::kDataMake:
      return run_data_make(line.data_make, line.common);
    case Command::kDataCheck:
      return run_data_check(line.data_check, line.common);
    case Command::kPlan:
      return run_plan(line.plan, line.common);
    case Command::kCompare:
      return run_compare(line.compare, line.common);
    case Command::kReport:
      return run_report(line.report, line.common);
    case Command::kVersion:
      std::cout << "strata " << build_version() << " (commit " << build_commit() << ", "
                << build_type() << ", " << build_compiler() << ")" << std::endl;
      if (std::filesystem::exists(strata_torch_path())) hand_over(argv);
      std::cout << "LibTorch: not built (configure with -DSTRATA_WITH_TORCH=ON)" << std::endl;
      return kExitDone;
    default:
      return kExitWrongInput;
  }
}

int dispatch(int argc, char** argv) {
  using namespace strata;
  using namespace strata::cli;
  bool done = false;
  const CommandLine line = parse_command_line(argc, argv, done);
  if (done) return kExitDone;
  set_quiet(line.common.quiet);
  if (needs_torch(line.command)) hand_over(argv);
  return interruptible(line.command, argc, argv, [&] { return work(line, argv); });
}
}  // namespace

int main(int argc, char** argv) {
  strata::set_command_line(argc, argv);
  return strata::cli::report_errors([&] { return dispatch(argc, argv); });
}
