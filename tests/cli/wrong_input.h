#pragma once
// What every refused input has in common.

#include "catch.h"
#include "command.h"

namespace strata::test {

/// Exit code 2, or `code`, one line on stderr that holds every one of `parts`, nothing on stdout,
/// nothing written.
inline void check_refused(const std::vector<std::string>& arguments,
                          const std::filesystem::path& folder,
                          const std::vector<std::string>& parts, int code = 2) {
  std::string line;
  for (const auto& argument : arguments) line += argument + " ";
  CAPTURE(line);
  const std::string before = snapshot(folder);
  const Outcome outcome = run_strata(arguments, folder);
  CHECK(outcome.code == code);
  CHECK(outcome.out.empty());
  CAPTURE(outcome.err);
  CHECK(outcome.err.rfind("strata: error: ", 0) == 0);
  CHECK(std::count(outcome.err.begin(), outcome.err.end(), '\n') == 1);
  for (const auto& part : parts) CHECK_THAT(outcome.err, Catch::Contains(part));
  CHECK(snapshot(folder) == before);
}

}  // namespace strata::test
