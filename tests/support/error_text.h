#pragma once
// The text of the InputError that a call throws; "" and a failed check where it throws none.

#include <string>

#include "catch.h"
#include "strata/core/error.h"

namespace strata::test {

template <typename Call>
std::string input_error(Call call) {
  try {
    call();
  } catch (const InputError& error) {
    const std::string text = error.what();
    CHECK(text.find('\n') == std::string::npos);
    return text;
  }
  FAIL_CHECK("no InputError was thrown");
  return "";
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace strata::test
