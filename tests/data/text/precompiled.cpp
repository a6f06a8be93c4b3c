#include "data/text/precompiled.h"

#include <map>

#include "support/error_text.h"

using namespace strata;
using namespace strata::data;
using namespace strata::test;

namespace {

/// Where the unit of a byte stands below the root, whose offset is 1.
constexpr std::size_t below_root(char byte) {
  return 1 ^ static_cast<unsigned char>(byte);
}

std::uint32_t unit_of(char label, std::uint32_t offset, bool ends) {
  return offset << 10 | (ends ? 1u << 8 : 0) | static_cast<unsigned char>(label);
}

/// The bytes of a map with these units, the others 0.
std::string bytes_of(const std::map<std::size_t, std::uint32_t>& units,
                     const std::string& replacements) {
  std::vector<std::uint32_t> array(512);
  for (const auto& [place, unit] : units) array.at(place) = unit;
  array.insert(array.begin(), static_cast<std::uint32_t>(4 * array.size()));
  std::string bytes;
  for (const std::uint32_t unit : array)
    for (int shift = 0; shift < 32; shift += 8) bytes += static_cast<char>(unit >> shift);
  return bytes + replacements;
}

/// "a" becomes the replacement that begins at `begin`.
std::string map_of_a(const std::string& replacements, std::uint32_t begin) {
  return bytes_of({{0, 1u << 10},
                   {below_root('a'), unit_of('a', 2, true)},
                   {below_root('a') ^ 2, 1u << 31 | begin}},
                  replacements);
}

std::string applied(const std::string& bytes, const std::string& text) {
  Segment segment = whole_text(icu::UnicodeString::fromUTF8(text));
  CharacterMap(bytes, "file").apply(segment);
  return utf8_of(segment.text);
}

const std::string kTwo("x\0yz\0", 5);

}  // namespace

TEST_CASE("characters become what the map has for them") {
  CHECK(applied(map_of_a(kTwo, 2), "abba") == "yzbbyz");
  CHECK(applied(map_of_a(kTwo, 0), "a\u00e4") == "x\u00e4");
  // Up to the end, where no 0 follows.
  CHECK(applied(map_of_a("xyz", 1), "a") == "yz");
  CHECK(applied(map_of_a(kTwo, 5), "ba") == "b");
  // A short grapheme goes with its beginning, a longer one character by character.
  CHECK(applied(map_of_a(kTwo, 0), "a\u0301b") == "xb");
  CHECK(applied(map_of_a(kTwo, 0), "a\u0301\u0301\u0301b") == "x\u0301\u0301\u0301b");
}

TEST_CASE("a bit says that an offset counts 256 units") {
  const std::size_t place = 256 ^ static_cast<unsigned char>('a');
  const std::string map = bytes_of(
      {{0, 1u << 10 | 1u << 9}, {place, unit_of('a', 2, true)}, {place ^ 2, 1u << 31 | 2}}, kTwo);
  CHECK(applied(map, "abba") == "yzbbyz");
}

TEST_CASE("a map that is none is refused") {
  const auto message = [](const std::string& bytes, const std::string& text = "a") {
    return input_error([&] { applied(bytes, text); });
  };
  CHECK(contains(message(""), "file: the map has 0 bytes, too few"));
  CHECK(contains(message("abc"), "too few for its own table"));
  CHECK(contains(message(std::string("\xff\xff\xff\xff\0\0\0\0", 8)), "too few"));
  CHECK(contains(message(std::string("\0\0\0\0", 4)), "too few"));
  CHECK(contains(message(map_of_a("\xff", 0)), "the map's replacements are not valid UTF-8"));
  CHECK(contains(message(map_of_a(kTwo, 6)), "the map points outside of its replacements"));
  CHECK(contains(message(map_of_a(kTwo, 0x7FFFFFFF)), "outside of its replacements"));
  CHECK(contains(message(map_of_a(std::string(1001, 'x'), 0)), "a replacement of 1001 bytes"));
  // The root, a character's unit and a string's value lie outside.
  CHECK(contains(message(bytes_of({{0, 0x1FFFFFu << 10 | 1u << 9}}, "x")), "outside of its table"));
  CHECK(
      contains(message(bytes_of({{0, 1u << 10}, {below_root('a'), unit_of('a', 999, true)}}, "x")),
               "outside of its table"));
}

TEST_CASE("a map that leads back to itself is left at the end of the text") {
  // Every unit of "a" leads to itself, and no string ends.
  const std::string loop =
      bytes_of({{0, 1u << 10}, {below_root('a'), unit_of('a', 'a', false)}}, "x");
  CHECK(applied(loop, "aaaa") == "aaaa");
}

TEST_CASE("base64 is read as RFC 4648 has it, and nothing else is") {
  // Its own examples.
  CHECK(base64_bytes("") == "");
  CHECK(base64_bytes("Zg==") == "f");
  CHECK(base64_bytes("Zm8=") == "fo");
  CHECK(base64_bytes("Zm9v") == "foo");
  CHECK(base64_bytes("Zm9vYg==") == "foob");
  CHECK(base64_bytes("+/8=") == "\xfb\xff");
  for (const char* wrong : {"Zg=", "Zg", "Z===", "Zm9v\n", "Zm 9", "Z=9v", "====", "Zm9vÄ"}) {
    CAPTURE(wrong);
    CHECK(!base64_bytes(wrong));
  }
}
