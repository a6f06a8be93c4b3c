#pragma once
/// \file
/// Where a result came from: version, commit, command line, machine. Goes into every file under
/// results/.

#include <string>
#include <utility>
#include <vector>

namespace strata {

/// Keys: strata, commit, command, machine (processor and core count), date (UTC, ISO 8601 day).
/// `set_command_line` is called once by main(); before that, command is "".
std::vector<std::pair<std::string, std::string>> provenance();
void set_command_line(int argc, char** argv);

}  // namespace strata
