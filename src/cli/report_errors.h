#pragma once
/// \file
/// One line on stderr and the exit code for whatever a program throws.

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <iostream>
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
    const int code = body();
    // A table that a full disk cut off must not pass for a whole one.
    errno = 0;
    if (!std::cout.flush()) {
      throw WorkError(std::string("standard output: cannot be written: ") +
                      (errno ? std::strerror(errno) : "unknown error"));
    }
    return code;
  } catch (const InputError& error) {
    say(error.what());
    return kExitWrongInput;
  } catch (const std::exception& error) {
    say(error.what());
    return kExitFailed;
  }
}

}  // namespace strata
