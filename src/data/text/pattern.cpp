#include "data/text/pattern.h"

#include "strata/core/error.h"

namespace strata::data {
namespace {

/// ICU calls back once in 10,000 steps back of a match; so often for a text, and once more in so
/// many of its characters.
constexpr std::int64_t kMostCalls = 1000, kCharactersPerCall = 100;
/// Of bytes for a match's backtracking.
constexpr std::int32_t kMostStack = 32 << 20;

UBool U_CALLCONV count_call(const void* left, std::int32_t) {
  return --*static_cast<std::int64_t*>(const_cast<void*>(left)) > 0;
}

/// Whether the expression has a backslash before one of `letters`.
bool has_escape(const std::string& expression, const std::string& letters) {
  for (std::size_t i = 0; i + 1 < expression.size(); ++i)
    if (expression[i] == '\\' && letters.find(expression[++i]) != std::string::npos) return true;
  return false;
}

std::vector<Stretch> literal_stretches(const icu::UnicodeString& text,
                                       const icu::UnicodeString& wanted) {
  std::vector<Stretch> stretches;
  std::int32_t at = 0;
  for (std::int32_t found; (found = text.indexOf(wanted, at)) >= 0;) {
    if (found > at) stretches.push_back({at, found, false});
    at = found + wanted.length();
    stretches.push_back({found, at, true});
  }
  if (at < text.length()) stretches.push_back({at, text.length(), false});
  return stretches;
}

std::vector<Stretch> regex_stretches(const icu::UnicodeString& text, icu::RegexMatcher& matcher,
                                     const std::string& where) {
  std::vector<Stretch> stretches;
  UErrorCode status = U_ZERO_ERROR, ended = U_ZERO_ERROR;
  std::int64_t calls = kMostCalls + text.length() / kCharactersPerCall;
  matcher.setMatchCallback(count_call, &calls, status);
  matcher.reset(text);
  std::int32_t at = 0, last_end = -1;
  while (matcher.find(status)) {
    const std::int32_t begin = matcher.start(status), end = matcher.end(status);
    // No empty match right behind another.
    if (begin == end && begin == last_end) continue;
    if (begin > at) stretches.push_back({at, begin, false});
    stretches.push_back({begin, end, true});
    at = last_end = end;
  }
  matcher.setMatchCallback(nullptr, nullptr, ended);
  if (U_FAILURE(status))
    throw InputError(where +
                     ": the expression takes more time or memory than is allowed on a text of " +
                     std::to_string(text.length()) + " characters (" + u_errorName(status) + ")");
  if (at < text.length()) stretches.push_back({at, text.length(), false});
  return stretches;
}

}  // namespace

std::vector<Stretch> stretches_of(const icu::UnicodeString& text,
                                  const std::function<bool(UChar32)>& matches) {
  std::vector<Stretch> stretches;
  std::int32_t at = 0;
  for (std::int32_t i = 0; i < text.length();) {
    const std::int32_t next = text.moveIndex32(i, 1);
    if (matches(text.char32At(i))) {
      if (i > at) stretches.push_back({at, i, false});
      stretches.push_back({i, next, true});
      at = next;
    }
    i = next;
  }
  if (at < text.length()) stretches.push_back({at, text.length(), false});
  return stretches;
}

Pattern::Pattern(ObjectReader& reader, const std::string& key) : where_(reader.where(key)) {
  ObjectReader pattern = reader.object(key, true);
  if (pattern.has("String") == pattern.has("Regex"))
    reader.fail(key, "a mapping with either \"String\" or \"Regex\" was expected");
  if (pattern.has("String")) {
    text_ = icu::UnicodeString::fromUTF8(pattern.filled_text("String"));
  } else {
    const std::string expression = pattern.filled_text("Regex");
    if (has_escape(expression, "hH"))
      pattern.fail("Regex",
                   "\\h and \\H are not read: a hexadecimal digit in Ruby, a space elsewhere");
    UErrorCode status = U_ZERO_ERROR;
    compile(icu::UnicodeString::fromUTF8(expression), status);
    if (U_FAILURE(status))
      pattern.fail("Regex", excerpt(Json(expression)) +
                                " is no regular expression that is known (" + u_errorName(status) +
                                ")");
  }
  pattern.finish();
}

Pattern::Pattern(const char* expression) : where_(expression) {
  UErrorCode status = U_ZERO_ERROR;
  compile(icu::UnicodeString::fromUTF8(expression), status);
  if (U_FAILURE(status))
    throw WorkError(where_ + ": ICU does not compile it: " + u_errorName(status));
}

void Pattern::compile(const icu::UnicodeString& expression, UErrorCode& status) {
  UParseError place{};
  expression_.reset(
      icu::RegexPattern::compile(expression, UREGEX_MULTILINE | UREGEX_UNIX_LINES, place, status));
}

Finder Pattern::finder() const {
  if (!expression_)
    return [this](const icu::UnicodeString& text) { return literal_stretches(text, text_); };
  UErrorCode status = U_ZERO_ERROR;
  const std::shared_ptr<icu::RegexMatcher> matcher(expression_->matcher(status));
  if (matcher) matcher->setStackLimit(kMostStack, status);
  if (U_FAILURE(status) || !matcher)
    throw WorkError(where_ + ": ICU makes no matcher: " + u_errorName(status));
  return [this, matcher](const icu::UnicodeString& text) {
    return regex_stretches(text, *matcher, where_);
  };
}

}  // namespace strata::data
