#include "data/text/precompiled.h"

#include <unicode/brkiter.h>

#include <memory>

#include "strata/core/error.h"

namespace strata::data {
namespace {

constexpr std::size_t kLongestReplacement = 1000;

std::uint32_t little_endian(std::string_view bytes, std::size_t at) {
  std::uint32_t value = 0;
  for (int i = 3; i >= 0; --i)
    value = value << 8 | static_cast<unsigned char>(bytes[at + static_cast<std::size_t>(i)]);
  return value;
}

/// A character of the new text, and by how many characters the text has grown (1) or shrunk with
/// it, by which the tokenizers library knows where in the original it stands.
struct Replaced {
  UChar32 character;
  std::int32_t change;
};

void replace_part(std::vector<Replaced>& out, const icu::UnicodeString& before,
                  const icu::UnicodeString& after) {
  const std::int32_t difference = after.countChar32() - before.countChar32();
  for_each_character(after, [&](UChar32 c) { out.push_back({c, 0}); });
  if (difference > 0) {
    for (std::size_t i = 0; i < static_cast<std::size_t>(difference); ++i)
      out[out.size() - 1 - i].change = 1;
  } else if (difference < 0 && !out.empty()) {
    out.back().change += difference;
  }
}

/// The text that the characters are, and how many of its units stem from the segment's beginning.
void rebuild(Segment& segment, const std::vector<Replaced>& characters) {
  const std::int32_t from_start = segment.text.countChar32(0, segment.from_start);
  icu::UnicodeString text;
  std::int32_t units = 0, at = 0;
  for (const Replaced& next : characters) {
    const bool added = next.change > 0;
    const bool first = added && at == 0 ? segment.first : at - (added ? 1 : 0) < from_start;
    text.append(next.character);
    if (first) units = text.length();
    if (!added) at += 1 - next.change;
  }
  segment.text = std::move(text);
  segment.from_start = units;
}

}  // namespace

CharacterMap::CharacterMap(std::string_view bytes, std::string where) : where_(std::move(where)) {
  const std::size_t size = bytes.size() < 4 ? 0 : little_endian(bytes, 0);
  if (size < 4 || size > bytes.size() - 4)
    throw InputError(where_ + ": the map has " + std::to_string(bytes.size()) +
                     " bytes, too few for its own table");
  units_.reserve(size / 4);
  for (std::size_t i = 0; i < size / 4; ++i) units_.push_back(little_endian(bytes, 4 + 4 * i));
  replacements_ = bytes.substr(4 + size / 4 * 4);
  if (utf8_of(icu::UnicodeString::fromUTF8(replacements_)) != replacements_)
    throw InputError(where_ + ": the map's replacements are not valid UTF-8");
}

std::uint32_t CharacterMap::unit(std::size_t index) const {
  if (index >= units_.size()) throw InputError(where_ + ": the map points outside of its table");
  return units_[index];
}

std::optional<icu::UnicodeString> CharacterMap::replacement(const icu::UnicodeString& part) const {
  // Darts: a unit has the label in its lowest byte, bit 8 if a string ends here, and in bits 10 to
  // 30 the offset of what follows, times 256 if bit 9 is set; where a string ends, its value is in
  // the unit at that offset.
  const auto offset = [](std::uint32_t unit) {
    return static_cast<std::size_t>(unit >> 10) << ((unit & 1u << 9) >> 6);
  };
  std::size_t at = offset(unit(0));
  for (const char byte : utf8_of(part)) {
    const auto label = static_cast<unsigned char>(byte);
    if (label == 0) break;
    at ^= label;
    const std::uint32_t found = unit(at);
    if ((found & (1u << 31 | 0xFF)) != label) break;
    at ^= offset(found);
    if ((found >> 8 & 1) == 0) continue;
    const std::size_t begin = unit(at) & 0x7FFFFFFF;
    if (begin > replacements_.size())
      throw InputError(where_ + ": the map points outside of its replacements");
    const std::size_t end = std::min(replacements_.find('\0', begin), replacements_.size());
    if (end - begin > kLongestReplacement)
      throw InputError(where_ + ": the map has a replacement of " + std::to_string(end - begin) +
                       " bytes, more than " + std::to_string(kLongestReplacement));
    return icu::UnicodeString::fromUTF8(replacements_.substr(begin, end - begin));
  }
  return {};
}

void CharacterMap::apply(Segment& segment) const {
  UErrorCode status = U_ZERO_ERROR;
  static const std::unique_ptr<const icu::BreakIterator> prototype(
      icu::BreakIterator::createCharacterInstance(icu::Locale::getRoot(), status));
  if (!prototype) throw WorkError("ICU: no data for graphemes");
  const std::unique_ptr<icu::BreakIterator> graphemes(prototype->clone());
  graphemes->setText(segment.text);
  constexpr std::size_t kShort = 6;
  std::vector<Replaced> out;
  bool changed = false;
  const auto replace = [&](const icu::UnicodeString& part) {
    const auto found = replacement(part);
    if (found) replace_part(out, part, *found);
    check_growth(segment, static_cast<std::int32_t>(out.size()), where_);
    changed = changed || found;
    return found.has_value();
  };
  std::int32_t begin = graphemes->first();
  for (std::int32_t end; (end = graphemes->next()) != icu::BreakIterator::DONE; begin = end) {
    const icu::UnicodeString grapheme = segment.text.tempSubStringBetween(begin, end);
    if (utf8_of(grapheme).size() < kShort && replace(grapheme)) continue;
    for_each_character(grapheme, [&](UChar32 c) {
      if (!replace(icu::UnicodeString(c))) out.push_back({c, 0});
    });
  }
  if (changed) rebuild(segment, out);
}

std::optional<std::string> base64_bytes(const std::string& text) {
  static const std::string kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::size_t length = text.size();
  if (length % 4 != 0) return {};
  for (int i = 0; i < 2 && length > 0 && text[length - 1] == '='; ++i) --length;
  std::string bytes;
  std::uint32_t bits = 0;
  int held = 0;
  for (std::size_t i = 0; i < length; ++i) {
    const std::size_t digit = kDigits.find(text[i]);
    if (digit == std::string::npos) return {};
    bits = (bits << 6 | static_cast<std::uint32_t>(digit)) & 0xFFFFFF;
    held += 6;
    if (held < 8) continue;
    held -= 8;
    bytes += static_cast<char>(bits >> held & 0xFF);
  }
  return bytes;
}

}  // namespace strata::data
