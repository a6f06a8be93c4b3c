#include "peft/expression.h"

#include <unicode/regex.h>
#include <unicode/unistr.h>

#include <string_view>
#include <vector>

#include "strata/core/error.h"

namespace strata::peft {
namespace {

constexpr std::size_t kLongestExpression = 10'000;
/// In ICU's ticks of 10,000 steps: a name has some hundred characters at most.
constexpr std::int32_t kMostTicks = 20;
constexpr std::int32_t kMostStackBytes = 1 << 20;

/// What Python writes and ICU reads otherwise, in ICU's form.
class IcuForm {
 public:
  explicit IcuForm(const std::string& python) : python_(python) {
    while (at_ < python_.size()) take();
  }
  const std::string& text() const { return text_; }

 private:
  bool stands(std::string_view what) const {
    return std::string_view(python_).substr(at_).starts_with(what);
  }

  void take() {
    const char here = python_[at_];
    if (here == '\\' && at_ + 1 < python_.size()) {
      text_ += python_.substr(at_, 2);
      at_ += 2;
    } else if (in_set_) {
      take_in_set();
    } else if (here == '[') {
      begin_set();
    } else if (stands("(?P<")) {
      groups_.push_back(name_behind(4, '>'));
      text_ += "(?<" + icu_name(groups_.size()) + ">";
    } else if (stands("(?P=")) {
      text_ += "\\k<" + icu_name(number_of(name_behind(4, ')'))) + ">";
    } else {
      text_ += here;
      ++at_;
    }
  }
  /// A `]` that comes first is a character.
  void begin_set() {
    in_set_ = true;
    text_ += python_[at_++];
    if (at_ < python_.size() && python_[at_] == '^') text_ += python_[at_++];
    if (at_ < python_.size() && python_[at_] == ']') {
      text_ += "\\]";
      ++at_;
    }
  }
  void take_in_set() {
    const char here = python_[at_++];
    if (here == '[' || here == '&') text_ += '\\';
    text_ += here;
    in_set_ = here != ']';
  }

  /// The name that stands so many characters on, up to `end`, behind which reading goes on.
  std::string name_behind(std::size_t begin, char end) {
    const std::size_t from = at_ + begin;
    std::size_t to = python_.find(end, from);
    if (to == std::string::npos) to = python_.size();
    at_ = to + 1;
    return python_.substr(from, to - from);
  }
  /// ICU's names have no underscores.
  static std::string icu_name(std::size_t number) { return "group" + std::to_string(number); }
  /// Of an unknown one that of none, which ICU then refuses.
  std::size_t number_of(const std::string& name) const {
    for (std::size_t i = 0; i < groups_.size(); ++i)
      if (groups_[i] == name) return i + 1;
    return 0;
  }

  const std::string& python_;
  std::string text_;
  std::size_t at_ = 0;
  bool in_set_ = false;
  std::vector<std::string> groups_;
};

}  // namespace

struct Expression::Compiled {
  std::unique_ptr<icu::RegexPattern> whole, ending;
  std::string where, python;

  /// Whether all of a text matches.
  bool matches(const icu::RegexPattern& pattern, const std::string& name) const {
    UErrorCode status = U_ZERO_ERROR;
    const icu::UnicodeString text = icu::UnicodeString::fromUTF8(name);
    const std::unique_ptr<icu::RegexMatcher> matcher(pattern.matcher(text, status));
    if (matcher) {
      matcher->setTimeLimit(kMostTicks, status);
      matcher->setStackLimit(kMostStackBytes, status);
    }
    const bool found = matcher && matcher->matches(status);
    if (U_SUCCESS(status)) return found;
    throw InputError(where + ": " + excerpt(Json(python)) +
                     " takes more time or memory than is allowed on the name \"" + name + "\" (" +
                     u_errorName(status) + ")");
  }
};

Expression::Expression(const ObjectReader& reader, const std::string& key,
                       const std::string& python)
    : compiled_(std::make_unique<Compiled>()) {
  compiled_->where = reader.where(key);
  compiled_->python = python;
  if (python.size() > kLongestExpression) {
    reader.fail(key, "an expression of " + std::to_string(python.size()) + " bytes; at most " +
                         std::to_string(kLongestExpression) + " are read");
  }
  const std::string text = IcuForm(python).text();
  const auto compile = [&](const std::string& expression) {
    UErrorCode status = U_ZERO_ERROR;
    UParseError place{};
    std::unique_ptr<icu::RegexPattern> pattern(icu::RegexPattern::compile(
        icu::UnicodeString::fromUTF8(expression), UREGEX_UNIX_LINES, place, status));
    if (U_FAILURE(status)) {
      reader.fail(key, excerpt(Json(python)) + " is no regular expression that is known (" +
                           u_errorName(status) + ")");
    }
    return pattern;
  };
  // Alone first, so that no bracket of it closes one of ours.
  compiled_->whole = compile(text);
  compiled_->ending = compile("(.*\\.)?(" + text + ")");
}

Expression::~Expression() = default;
Expression::Expression(Expression&&) noexcept = default;
Expression& Expression::operator=(Expression&&) noexcept = default;

bool Expression::matches(const std::string& name) const {
  return compiled_->matches(*compiled_->whole, name);
}

bool Expression::matches_end(const std::string& name) const {
  return compiled_->matches(*compiled_->ending, name);
}

bool is_expression(const std::string& text) {
  return text.find_first_of("*+?()[]{}|^$\\") != std::string::npos;
}

}  // namespace strata::peft
