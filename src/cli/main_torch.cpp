#include <iostream>

#include "cli/command_line.h"
#include "cli/report_errors.h"
#include "core/console.h"
#include "core/provenance.h"
#include "models/device.h"

namespace {

int dispatch(int argc, char** argv) {
  using namespace strata;
  bool done = false;
  const CommandLine line = parse_command_line(argc, argv, done);
  if (done) return kExitDone;
  set_quiet(line.common.quiet);
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

}  // namespace

int main(int argc, char** argv) {
  strata::set_command_line(argc, argv);
  return strata::report_errors([&] { return dispatch(argc, argv); });
}
