#pragma once
/// \file
/// Python's pickle format, as far as lists and dictionaries of texts and whole numbers need it.
/// Internal.

#include <string_view>

#include "core/document.h"

namespace strata::data {

/// The pickled object as JSON: lists, dictionaries with text keys, strings, integers, true, false,
/// None. No opcode that imports or calls anything is known, so that reading a file runs nothing.
/// Protocols 2 to 5 (PEP 307, PEP 3154; opcodes as in CPython's pickletools). `file` begins errors.
/// @throws InputError: another opcode (with its position and code), a damaged or truncated file,
/// more than 64 levels, 1,000,000 values, or texts that are, with every reference to a shared one
/// counted, more than 16 times the file's size (and 1 MiB).
Json read_pickle(std::string_view bytes, const std::string& file);

}  // namespace strata::data
