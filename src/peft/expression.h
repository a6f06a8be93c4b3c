#pragma once
/// \file
/// Regular expressions over layers' names, as PEFT's files have them. Internal.

#include <memory>
#include <string>

#include "core/document.h"

namespace strata::peft {

/// A regular expression of Python's `re`, read by ICU: named groups are ICU's numbered ones, and in
/// sets `[` and `&` are characters. What Python has besides (conditional groups) ICU refuses.
class Expression {
 public:
  /// The text at a key of a file. @throws InputError: longer than 10,000 bytes, or no expression
  Expression(const ObjectReader& reader, const std::string& key, const std::string& python);
  ~Expression();
  Expression(Expression&&) noexcept;
  Expression& operator=(Expression&&) noexcept;

  /// re.fullmatch(expression, name)
  bool matches(const std::string& name) const;
  /// re.match(rf"(.*\.)?({expression})$", name), as PEFT's get_pattern_key has it. Each call
  /// @throws InputError, as `matches` does, where it takes more time or memory than any sound
  /// expression does
  bool matches_end(const std::string& name) const;

 private:
  struct Compiled;
  std::unique_ptr<Compiled> compiled_;
};

/// Whether a text says something else to `re` than the name it is.
bool is_expression(const std::string& text);

}  // namespace strata::peft
