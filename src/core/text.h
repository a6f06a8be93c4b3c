#pragma once
/// \file
/// Words for people: lists, shapes. quoted_list and did_you_mean are in strata/core/error.h.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace strata {

/// "ct, mri, oct": at most `most` parts, then "…" for what was left out.
std::string joined(const std::vector<std::string>& parts, std::string_view separator = ", ",
                   std::size_t most = static_cast<std::size_t>(-1));

/// With a to z in place of A to Z; other bytes, those of UTF-8 among them, stay.
std::string lower_case(std::string_view text);

/// Whether it is digits, 0 to 9, and at least one.
bool all_digits(std::string_view text);

/// Whether one of the names is `name`. O(their number); of many look-ups NameIndex makes O(1) each.
bool contains(const std::vector<std::string>& names, std::string_view name);

/// "(3, 4)".
std::string shape_text(const std::vector<std::int64_t>& shape);

}  // namespace strata
