#pragma once
/// \file
/// GPT-2's alphabet of bytes: each byte a printable character, so that any text is one of 256
/// characters (openai/gpt-2, encoder.py). Internal.

#include <unicode/unistr.h>

#include <string>

namespace strata::data {

/// All 256 characters, by their code points.
icu::UnicodeString byte_characters();

/// Each byte of the text's UTF-8 as its character.
icu::UnicodeString as_byte_characters(const icu::UnicodeString& text);

/// The bytes that the characters of UTF-8 stand for; the text's own where one stands for none.
std::string from_byte_characters(const std::string& text);

}  // namespace strata::data
