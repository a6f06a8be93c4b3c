#pragma once
/// \file
/// What help says of the options and subcommands beside what parses them: the names of values, the
/// headings and the examples.

#include <string>
#include <vector>

#include "cli/help.h"

namespace strata::cli {

/// What stands for an option's value in help, and the heading that it stands under. Completion goes
/// by the value: FILE, DIR and PATH are completed from the disk.
struct Look {
  const char *value, *group;
};

/// Of an option ("--out") or argument ("folder", without dashes) of the subcommand "strata plan".
Look look_of(const std::string& path, const std::string& option);

/// The examples of the subcommand "strata plan"; none for what is no subcommand.
std::vector<HelpExample> examples_of(const std::string& path);

}  // namespace strata::cli
