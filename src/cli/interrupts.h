#pragma once
/// \file
/// What Ctrl-C and its like do to a subcommand.

#include <functional>
#include <string>

#include "cli/command_line.h"

namespace strata::cli {

/// `work` of the subcommand, which calls stop_if_interrupted in its long loops (core/interrupt.h).
/// SIGINT or SIGTERM ends it with what it has finished whole, one line on stderr that says how to
/// go on, and the process by that signal; a second one ends the process at once. Subcommands that
/// do nothing for long end at the first one.
int interruptible(Command command, int argc, char** argv, const std::function<int()>& work);

/// How to go on: the command line as a shell takes it, with --resume where that keeps what is done.
std::string way_on(Command command, int argc, char** argv);

}  // namespace strata::cli
