#pragma once
/// \file
/// SentencePiece's precompiled character map, tokenizer.json's normalizer "Precompiled": a table
/// from short strings to what replaces them, such as NFKC with a few rules more. Internal.

#include <unicode/unistr.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/text/segment.h"

namespace strata::data {

class CharacterMap {
 public:
  /// Of the bytes of a map: a uint32 (little-endian) with the size of a Darts double array, the
  /// array of uint32, then the replacements, each ended by a 0. `where`: what errors begin with.
  /// @throws InputError: too short, no UTF-8.
  CharacterMap(std::string_view bytes, std::string where);

  /// Replaces each grapheme of less than 6 bytes whose beginning the map has, and otherwise each
  /// character. @throws InputError where the map points outside of itself.
  void apply(Segment& segment) const;

 private:
  std::optional<icu::UnicodeString> replacement(const icu::UnicodeString& part) const;
  std::uint32_t unit(std::size_t index) const;

  std::vector<std::uint32_t> units_;
  std::string replacements_;
  std::string where_;
};

/// The bytes of a base64 text (RFC 4648, padded); nothing where it is none.
std::optional<std::string> base64_bytes(const std::string& text);

}  // namespace strata::data
