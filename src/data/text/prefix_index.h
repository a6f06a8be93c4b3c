#pragma once
/// \file
/// Which of many strings a text goes on with at a place. Internal.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace strata::data {

/// Strings with a number each, sorted. A look-up narrows the range of those that agree with the
/// text, character by character: O(length log n), and nothing beside the strings is kept.
template <typename Character>
class PrefixIndex {
 public:
  using String = std::basic_string<Character>;
  using View = std::basic_string_view<Character>;
  struct Entry {
    String text;
    std::int64_t value;
  };

  PrefixIndex() = default;
  /// Of equal strings the last one given counts.
  explicit PrefixIndex(std::vector<Entry> entries) : entries_(std::move(entries)) {
    std::stable_sort(entries_.begin(), entries_.end(),
                     [](const Entry& a, const Entry& b) { return a.text < b.text; });
    std::size_t kept = 0;
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      if (i + 1 < entries_.size() && entries_[i].text == entries_[i + 1].text) continue;
      if (kept != i) entries_[kept] = std::move(entries_[i]);
      ++kept;
    }
    entries_.resize(kept);
  }

  bool empty() const { return entries_.empty(); }

  /// The strings that begin with what has been read so far.
  struct Range {
    std::size_t low, high, depth;
  };
  Range all() const { return {0, entries_.size(), 0}; }
  Range after(Range range, View text) const {
    for (const Character c : text) range = narrowed(range, c);
    return range;
  }

  /// Calls visit(length, value) for each string, but the empty one, that the rest of `text` from
  /// `begin` starts with, the shortest first. `range`: what stands before, as `after` gives it.
  template <typename Visit>
  void for_each_prefix(View text, std::size_t begin, Range range, Visit visit) const {
    for (std::size_t i = begin; i < text.size(); ++i) {
      range = narrowed(range, text[i]);
      if (range.low == range.high) return;
      // Sorted, a string comes before those that it begins.
      if (entries_[range.low].text.size() == range.depth)
        visit(i + 1 - begin, entries_[range.low].value);
    }
  }

 private:
  Range narrowed(Range range, Character c) const {
    const auto key = [&](const Entry& entry) {
      return entry.text.size() > range.depth
                 ? static_cast<std::int64_t>(order(entry.text[range.depth]))
                 : std::int64_t{-1};
    };
    const auto first = entries_.begin() + static_cast<std::ptrdiff_t>(range.low);
    const auto last = entries_.begin() + static_cast<std::ptrdiff_t>(range.high);
    const auto wanted = static_cast<std::int64_t>(order(c));
    const auto low =
        std::partition_point(first, last, [&](const Entry& e) { return key(e) < wanted; });
    const auto high =
        std::partition_point(low, last, [&](const Entry& e) { return key(e) <= wanted; });
    return {static_cast<std::size_t>(low - entries_.begin()),
            static_cast<std::size_t>(high - entries_.begin()), range.depth + 1};
  }

  /// As std::char_traits compares.
  static std::uint32_t order(char c) { return static_cast<unsigned char>(c); }
  static std::uint32_t order(char16_t c) { return c; }

  std::vector<Entry> entries_;
};

}  // namespace strata::data
