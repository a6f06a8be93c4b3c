#include <malloc.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <iostream>

#include "cli/command_line.h"
#include "cli/hand_over.h"
#include "cli/interrupts.h"
#include "cli/report_errors.h"
#include "core/console.h"
#include "core/provenance.h"
#include "models/device.h"
#include "models/large_blocks.h"

namespace {

int work(const strata::cli::CommandLine& line) {
  using namespace strata;
  using namespace strata::cli;
  switch (line.command) {
    case Command::kInspect:
      return run_inspect(line.inspect, line.common);
    case Command::kEvaluate:
      return run_evaluate(line.evaluate, line.common);
    case Command::kMerge:
      return run_merge(line.merge, line.common);
    case Command::kExport:
      return run_export(line.export_changes, line.common);
    case Command::kPretrain:
      return run_pretrain(line.pretrain, line.common);
    case Command::kScore:
      return run_score(line.score, line.common);
    case Command::kRun:
      return run_run(line.run, line.common);
    case Command::kWork:
      return run_work(line.work, line.common);
    case Command::kBenchmark:
      return run_benchmark(line.benchmark, line.common);
    // The torch-free program has printed its own line before it handed over.
    case Command::kVersion:
      std::cout << models::describe_torch() << std::endl;
      return kExitDone;
    default:
      throw InputError(
          "strata-torch runs inspect, evaluate, merge, export, score, run, work, benchmark and "
          "pretrain "
          "only; call strata instead");
  }
}

/// A training step frees and takes the same few megabytes again and again. By default each time
/// they go back to the system, which hands them out again a page at a time, zeroed: a seventh of a
/// small model's pretraining. Up to 64 MiB are kept instead, of large tensors and of the rest,
/// unless the environment says already how memory is handled.
void keep_freed_memory() {
#ifdef __GLIBC__
  for (const char* name : {"MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES"})
    if (std::getenv(name)) return;
  strata::models::map_large_tensors();
  // Of what is smaller, and of other memory; 32 MiB is the most that it takes.
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, 64 << 20);
#endif
}

int dispatch(int argc, char** argv) {
  using namespace strata;
  using namespace strata::cli;
  bool done = false;
  const CommandLine line = parse_command_line(argc, argv, done);
  if (done) return kExitDone;
  set_quiet(line.common.quiet);
  return interruptible(line.command, argc, argv, [&] { return work(line); });
}

/// Without LibTorch's static objects being taken apart one operator after the other, which is a
/// tenth of what a start takes.
[[noreturn]] void leave(int code) {
#ifdef __SANITIZE_ADDRESS__
  std::exit(code);  // which looks for leaks
#else
  std::cout.flush();
  std::fflush(nullptr);
  std::_Exit(code);
#endif
}

}  // namespace

int main(int argc, char** argv) {
  // Started by strata, it has the variable already; started by hand, it is too late for this
  // process, whose OpenMP is loaded, but not for a second start. Where that fails, it only takes
  // longer.
  if (strata::cli::bound_spinning()) ::execv("/proc/self/exe", argv);
  keep_freed_memory();
  strata::set_command_line(argc, argv);
  const int code = strata::cli::report_errors([&] { return dispatch(argc, argv); });
  leave(code);
}
