#pragma once
/// \file
/// One line on stderr and the exit code for whatever a program throws.

#include <cstdio>
#include <exception>
#include <string>

#include "strata/core/error.h"

namespace strata {

/// Calls `body`, which returns an exit code.
template <typename Body>
int report_errors(Body&& body, const char* program = "strata") {
  const auto say = [&](const char* text) {
    std::string line = text;
    // Library messages may carry a backtrace after their first line.
    if (const auto end = line.find('\n'); end != std::string::npos) line.resize(end);
    std::fprintf(stderr, "%s: error: %s\n", program, line.c_str());
  };
  try {
    return body();
  } catch (const InputError& error) {
    say(error.what());
    return kExitWrongInput;
  } catch (const std::exception& error) {
    say(error.what());
    return kExitFailed;
  }
}

}  // namespace strata
