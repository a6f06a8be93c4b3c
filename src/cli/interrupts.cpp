#include "cli/interrupts.h"

#include <cstdio>
#include <string_view>

#include "core/interrupt.h"

namespace strata::cli {
namespace {

bool resumes(Command command) {
  return command == Command::kRun || command == Command::kBenchmark || command == Command::kCompare;
}

bool is_long(Command command) {
  return resumes(command) || command == Command::kPretrain || command == Command::kScore ||
         command == Command::kReport;
}

std::string quoted(std::string_view argument) {
  const std::string_view plain =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_./:=,@%+-";
  if (!argument.empty() && argument.find_first_not_of(plain) == std::string_view::npos)
    return std::string(argument);
  std::string text = "'";
  for (const char c : argument) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

}  // namespace

std::string way_on(Command command, int argc, char** argv) {
  std::string line;
  bool resume = false;
  for (int i = 0; i < argc; ++i) {
    line += (i > 0 ? " " : "") + quoted(argv[i]);
    resume = resume || std::string_view(argv[i]) == "--resume";
  }
  if (!resumes(command)) return "nothing was written; begin again with: " + line;
  return "go on with: " + line + (resume ? "" : " --resume");
}

int interruptible(Command command, int argc, char** argv, const std::function<int()>& work) {
  if (!is_long(command)) return work();
  note_interrupts();
  try {
    return work();
  } catch (const Interrupted& interrupted) {
    std::fprintf(stderr, "strata: interrupted by %s; %s\n",
                 signal_name(interrupted.signal()).c_str(), way_on(command, argc, argv).c_str());
    end_by_signal(interrupted.signal());
  }
}

}  // namespace strata::cli
