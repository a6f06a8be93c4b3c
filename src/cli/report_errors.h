#pragma once
/// \file
/// One line on stderr and the exit code for whatever a program throws.

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <exception>
#include <iostream>
#include <string>

#include "core/console.h"
#include "strata/core/error.h"

namespace strata::cli {

/// The message as one line for a terminal. A name or value in it may be of any length; its
/// beginning says where, and its end what is allowed.
inline std::string error_line(const std::string& message) {
  constexpr std::size_t kHead = 1200, kTail = 600;
  if (message.size() <= kHead + kTail) return printable(message);
  return printable(message.substr(0, kHead)) + " … " +
         printable(message.substr(message.size() - kTail));
}

/// Calls `body`, which returns an exit code.
template <typename Body>
int report_errors(Body&& body, const char* program = "strata") {
  // A file that grows beyond `ulimit -f` is then an error with a name, as a full disk is.
  std::signal(SIGXFSZ, SIG_IGN);
  const auto say = [&](const std::string& text) {
    std::fprintf(stderr, "%s: error: %s\n", program, error_line(text).c_str());
  };
  // Library messages may carry a backtrace after their first line.
  const auto first_line = [](const std::string& text) { return text.substr(0, text.find('\n')); };
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
    say(first_line(error.what()));
    return kExitFailed;
  }
}

}  // namespace strata::cli
