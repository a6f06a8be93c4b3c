#pragma once
/// \file
/// The patterns of tokenizer.json's Split and Replace: a text, or a regular expression. Internal.

#include <unicode/regex.h>
#include <unicode/unistr.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/document.h"

namespace strata::data {

/// The UTF-16 units [begin, end) of a text, and whether the pattern matched them.
struct Stretch {
  std::int32_t begin, end;
  bool match;
};

/// Cuts a text into stretches that cover it.
using Finder = std::function<std::vector<Stretch>(const icu::UnicodeString&)>;

/// Stretches by a property of characters, each that has it a match of its own.
std::vector<Stretch> stretches_of(const icu::UnicodeString& text,
                                  const std::function<bool(UChar32)>& matches);

/// Regular expressions are ICU's, set to Ruby's meaning of ^, $ and the point, as the tokenizers
/// library has them with Oniguruma. `\w` is the one class in which the two differ: ICU's has the
/// joiners U+200C and U+200D, and not ¹ ² ³ ¼ ½ ¾.
class Pattern {
 public:
  /// `{"String": "text"}` or `{"Regex": "expression"}` at a key. @throws InputError for anything
  /// else, an empty text, an expression that ICU does not compile, \h and \H, which mean
  /// another thing in Ruby.
  Pattern(ObjectReader& reader, const std::string& key);
  /// An expression of our own. @throws WorkError
  explicit Pattern(const char* expression);

  /// For one thread. @throws InputError, when it is called, where a regular expression takes more
  /// time or memory than any sound one does.
  Finder finder() const;

 private:
  void compile(const icu::UnicodeString& expression, UErrorCode& status);

  icu::UnicodeString text_;                              // where `expression_` is none
  std::shared_ptr<const icu::RegexPattern> expression_;  // immutable, so shared by threads
  std::string where_;                                    // what errors begin with
};

}  // namespace strata::data
