#pragma once
// The text of the InputError that a call throws.

#include <string>

#include "catch.h"
#include "strata/core/error.h"

namespace strata::test {

/// "" where it throws none.
template <typename Call>
std::string input_error_if_any(Call call) {
  try {
    call();
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

/// One line; a failed check where it throws none.
template <typename Call>
std::string input_error(Call call) {
  const std::string text = input_error_if_any(call);
  CHECK(text.find('\n') == std::string::npos);
  if (text.empty()) FAIL_CHECK("no InputError was thrown");
  return text;
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace strata::test
