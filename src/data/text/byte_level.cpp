#include "data/text/byte_level.h"

#include <array>
#include <map>

#include "data/text/segment.h"

namespace strata::data {
namespace {

struct ByteAlphabet {
  std::array<char16_t, 256> characters{};
  std::map<UChar32, char> bytes;

  ByteAlphabet() {
    char16_t next = 256;
    for (int byte = 0; byte < 256; ++byte) {
      const bool printable =
          (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
      const char16_t character = printable ? static_cast<char16_t>(byte) : next++;
      characters[static_cast<std::size_t>(byte)] = character;
      bytes[character] = static_cast<char>(byte);
    }
  }
};

const ByteAlphabet& byte_alphabet() {
  static const ByteAlphabet alphabet;
  return alphabet;
}

}  // namespace

icu::UnicodeString byte_characters() {
  icu::UnicodeString all;
  for (const auto& [character, byte] : byte_alphabet().bytes) all.append(character);
  return all;
}

icu::UnicodeString as_byte_characters(const icu::UnicodeString& text) {
  icu::UnicodeString out;
  for (const char byte : utf8_of(text))
    out.append(byte_alphabet().characters[static_cast<unsigned char>(byte)]);
  return out;
}

std::string from_byte_characters(const std::string& text) {
  std::string out;
  bool known = true;
  for_each_character(icu::UnicodeString::fromUTF8(text), [&](UChar32 c) {
    const auto byte = byte_alphabet().bytes.find(c);
    known = known && byte != byte_alphabet().bytes.end();
    if (known) out += byte->second;
  });
  return known ? out : text;
}

}  // namespace strata::data
