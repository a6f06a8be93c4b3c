#include <unistd.h>

#include <iostream>

#include "cli/command_line.h"
#include "cli/hand_over.h"
#include "cli/interrupts.h"
#include "cli/report_errors.h"
#include "core/console.h"
#include "core/provenance.h"
#include "models/device.h"

namespace {

int work(const strata::CommandLine& line) {
  using namespace strata;
  switch (line.command) {
    case Command::kPretrain:
      return run_pretrain(line.pretrain, line.common);
    case Command::kScore:
      return run_score(line.score, line.common);
    case Command::kRun:
      return run_run(line.run, line.common);
    // The torch-free program has printed its own line before it handed over.
    case Command::kVersion:
      std::cout << describe_torch() << std::endl;
      return kExitDone;
    default:
      throw InputError("strata-torch runs score, run and pretrain only; call strata instead");
  }
}

int dispatch(int argc, char** argv) {
  using namespace strata;
  bool done = false;
  const CommandLine line = parse_command_line(argc, argv, done);
  if (done) return kExitDone;
  set_quiet(line.common.quiet);
  return interruptible(line.command, argc, argv, [&] { return work(line); });
}

}  // namespace

int main(int argc, char** argv) {
  // Started by strata, it has the variable already; started by hand, it is too late for this
  // process, whose OpenMP is loaded, but not for a second start. Where that fails, it only takes
  // longer.
  if (strata::bound_spinning()) ::execv("/proc/self/exe", argv);
  strata::set_command_line(argc, argv);
  return strata::report_errors([&] { return dispatch(argc, argv); });
}
