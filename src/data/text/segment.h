#pragma once
/// \file
/// A stretch of a text on its way from the user's string to the model's words. Internal (ICU's
/// types show).

#include <unicode/unistr.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>

#include "strata/core/error.h"

namespace strata::data {

struct Segment {
  icu::UnicodeString text;
  /// Whether it begins where the whole text begins, which Metaspace's scheme "first" asks.
  bool first = false;
  /// How many of the leading UTF-16 units stem from the text's first character; 0 unless `first`.
  std::int32_t from_start = 0;
  /// What its text may grow to, in units, as it is normalised.
  std::int32_t most = 0;
  std::int64_t token = -1;  ///< the id of the added token that stands here; -1: text
};

/// @throws InputError beginning with `where` once a text has grown beyond all measure.
inline void check_growth(const Segment& segment, std::int32_t length, const std::string& where) {
  if (length > segment.most)
    throw InputError(where + ": the text grows to more than " + std::to_string(segment.most) +
                     " characters");
}

/// The units [begin, end) of a segment, which are at least one, as a segment of their own.
inline Segment slice(const Segment& whole, std::int32_t begin, std::int32_t end) {
  return {icu::UnicodeString(whole.text, begin, end - begin), begin < whole.from_start,
          std::clamp(whole.from_start - begin, 0, end - begin), whole.most};
}

/// No normal form makes more of a character, nor of a short text much more.
constexpr std::int32_t kMostGrowth = 64;

/// A text as a whole, of at most 2^24 units.
inline Segment whole_text(icu::UnicodeString text) {
  const std::int32_t first = text.moveIndex32(0, 1);
  const std::int32_t most = kMostGrowth * (text.length() + kMostGrowth);
  return {std::move(text), true, first, most};
}

/// Replaces the text by `change(text)`, where `change` goes character by character.
template <typename Change>
void change_locally(Segment& segment, const Change& change) {
  if (segment.from_start > 0)
    segment.from_start = change(icu::UnicodeString(segment.text, 0, segment.from_start)).length();
  segment.text = change(segment.text);
  segment.from_start = std::min(segment.from_start, segment.text.length());
}

/// Calls `visit` with each character of the text.
template <typename Visit>
void for_each_character(const icu::UnicodeString& text, Visit visit) {
  for (std::int32_t i = 0; i < text.length(); i = text.moveIndex32(i, 1)) visit(text.char32At(i));
}

/// The characters of which `keep` is true.
template <typename Keep>
icu::UnicodeString filtered(const icu::UnicodeString& text, const Keep& keep) {
  icu::UnicodeString out;
  for_each_character(text, [&](UChar32 c) {
    if (keep(c)) out.append(c);
  });
  return out;
}

inline std::string utf8_of(const icu::UnicodeString& text) {
  std::string out;
  text.toUTF8String(out);
  return out;
}

}  // namespace strata::data
