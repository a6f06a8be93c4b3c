#include "data/text/pre_tokenizers.h"

#include <unicode/uchar.h>

#include <memory>
#include <string>
#include <utility>

#include "core/choices.h"
#include "data/text/byte_level.h"
#include "data/text/library_unicode.h"
#include "data/text/part_table.h"
#include "data/text/pattern.h"

namespace strata::data {
namespace {

/// What becomes of the stretches that a pre-tokenizer looks for.
enum class Behavior { kRemoved, kIsolated, kMergedWithPrevious, kMergedWithNext, kContiguous };
const Choices<Behavior> kBehaviors({{Behavior::kRemoved, "Removed"},
                                    {Behavior::kIsolated, "Isolated"},
                                    {Behavior::kMergedWithPrevious, "MergedWithPrevious"},
                                    {Behavior::kMergedWithNext, "MergedWithNext"},
                                    {Behavior::kContiguous, "Contiguous"}});

/// Joins each match with the stretch before it, unless that is a match, too.
std::vector<Stretch> merged_with_previous(const std::vector<Stretch>& found) {
  std::vector<Stretch> merged;
  bool previous = false;
  for (const Stretch& next : found) {
    if (next.match && !previous && !merged.empty())
      merged.back().end = next.end;
    else
      merged.push_back(next);
    previous = next.match;
  }
  return merged;
}

std::vector<Stretch> merged_with_next(const std::vector<Stretch>& found) {
  std::vector<Stretch> merged;
  bool previous = false;
  for (auto next = found.rbegin(); next != found.rend(); ++next) {
    if (next->match && !previous && !merged.empty())
      merged.back().begin = next->begin;
    else
      merged.push_back(*next);
    previous = next->match;
  }
  return {merged.rbegin(), merged.rend()};
}

/// Joins matches with matches, and what is none with what is none.
std::vector<Stretch> contiguous(const std::vector<Stretch>& found) {
  std::vector<Stretch> merged;
  bool previous = false;
  for (const Stretch& next : found) {
    if (next.match == previous && !merged.empty())
      merged.back().end = next.end;
    else
      merged.push_back(next);
    previous = next.match;
  }
  return merged;
}

/// What is no match.
std::vector<Stretch> without_matches(const std::vector<Stretch>& found) {
  std::vector<Stretch> kept;
  for (const Stretch& next : found)
    if (!next.match) kept.push_back(next);
  return kept;
}

std::vector<Stretch> behaved(const std::vector<Stretch>& found, Behavior behavior) {
  switch (behavior) {
    case Behavior::kRemoved:
      return without_matches(found);
    case Behavior::kMergedWithPrevious:
      return merged_with_previous(found);
    case Behavior::kMergedWithNext:
      return merged_with_next(found);
    case Behavior::kContiguous:
      return contiguous(found);
    case Behavior::kIsolated:
      break;
  }
  return found;
}

/// Replaces each segment of text by its stretches.
void split_segments(std::vector<Segment>& segments, Behavior behavior, const Finder& find) {
  std::vector<Segment> out;
  for (Segment& segment : segments) {
    if (segment.token >= 0) {
      out.push_back(std::move(segment));
      continue;
    }
    for (const Stretch& part : behaved(find(segment.text), behavior))
      if (part.end > part.begin) out.push_back(slice(segment, part.begin, part.end));
  }
  segments = std::move(out);
}

/// Splits at characters.
void split_at(std::vector<Segment>& segments, Behavior behavior,
              const std::function<bool(UChar32)>& matches) {
  split_segments(segments, behavior,
                 [&](const icu::UnicodeString& text) { return stretches_of(text, matches); });
}

bool is_white_space(UChar32 c) {
  return u_isUWhiteSpace(c);
}

bool is_numeric(UChar32 c) {
  return (U_GET_GC_MASK(c) & U_GC_N_MASK) != 0;
}

PreTokenizer read_bert_pre_tokenizer(ObjectReader&) {
  return [](std::vector<Segment>& segments) {
    split_at(segments, Behavior::kRemoved, is_white_space);
    split_at(segments, Behavior::kIsolated, is_library_punctuation);
  };
}

PreTokenizer read_byte_level_pre_tokenizer(ObjectReader& reader) {
  const bool prefix = reader.boolean("add_prefix_space", true);
  const bool words = reader.boolean("use_regex", true);
  reader.boolean("trim_offsets", true);  // of offsets, which nobody asks for here
  static const char* const kGpt2 =
      R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
  const auto pattern = std::make_shared<const Pattern>(kGpt2);
  return [prefix, words, pattern](std::vector<Segment>& segments) {
    for (Segment& segment : segments) {
      if (!prefix || segment.token >= 0 || segment.text.startsWith(u" ")) continue;
      segment.text.insert(0, u" ");
      if (segment.from_start > 0) ++segment.from_start;
    }
    if (words) split_segments(segments, Behavior::kIsolated, pattern->finder());
    for (Segment& segment : segments)
      if (segment.token < 0) change_locally(segment, as_byte_characters);
  };
}

PreTokenizer read_digits(ObjectReader& reader) {
  const Behavior behavior =
      reader.boolean("individual_digits", false) ? Behavior::kIsolated : Behavior::kContiguous;
  return [behavior](std::vector<Segment>& segments) { split_at(segments, behavior, is_numeric); };
}

PreTokenizer read_metaspace_pre_tokenizer(ObjectReader& reader) {
  const MetaspaceFields fields = read_metaspace_fields(reader);
  const auto mark = icu::UnicodeString::fromUTF8(fields.replacement);
  const bool always = fields.prepend_scheme == PrependScheme::kAlways;
  const bool first = fields.prepend_scheme == PrependScheme::kFirst;
  const UChar32 character = mark.char32At(0);
  const bool split = fields.split;
  return [=](std::vector<Segment>& segments) {
    for (Segment& segment : segments) {
      if (segment.token >= 0) continue;
      change_locally(segment, [&](icu::UnicodeString text) {
        return text.findAndReplace(icu::UnicodeString(u" "), mark);
      });
      if (!(always || (first && segment.first)) || segment.text.startsWith(mark)) continue;
      segment.text.insert(0, mark);
      if (segment.from_start > 0) segment.from_start += mark.length();
    }
    if (split)
      split_at(segments, Behavior::kMergedWithNext, [&](UChar32 c) { return c == character; });
  };
}

PreTokenizer read_punctuation(ObjectReader& reader) {
  const Behavior behavior = kBehaviors.value(
      reader.choice("behavior", kBehaviors.names(), kBehaviors.name(Behavior::kIsolated)));
  return [behavior](std::vector<Segment>& segments) {
    split_at(segments, behavior, is_library_punctuation);
  };
}

PreTokenizer read_pre_tokenizer_sequence(ObjectReader& reader) {
  const auto parts = read_parts(reader, "pretokenizers", read_pre_tokenizer);
  return [parts](std::vector<Segment>& segments) {
    for (const PreTokenizer& part : parts) part(segments);
  };
}

PreTokenizer read_split(ObjectReader& reader) {
  const auto pattern = std::make_shared<const Pattern>(reader, "pattern");
  const Behavior behavior = kBehaviors.value(reader.choice("behavior", kBehaviors.names()));
  const bool invert = reader.boolean("invert", false);
  return [=](std::vector<Segment>& segments) {
    const Finder find = pattern->finder();
    split_segments(segments, behavior, [&](const icu::UnicodeString& text) {
      std::vector<Stretch> found = find(text);
      if (invert)
        for (Stretch& part : found) part.match = !part.match;
      return found;
    });
  };
}

PreTokenizer read_whitespace(ObjectReader&) {
  // Rust's \w, which has the joiners, as ICU's does.
  const auto pattern = std::make_shared<const Pattern>(R"(\w+|[^\w\s]+)");
  return [pattern](std::vector<Segment>& segments) {
    const Finder find = pattern->finder();
    split_segments(segments, Behavior::kRemoved, [&](const icu::UnicodeString& text) {
      std::vector<Stretch> found = find(text);
      for (Stretch& part : found) part.match = !part.match;
      return found;
    });
  };
}

PreTokenizer read_whitespace_split(ObjectReader&) {
  return [](std::vector<Segment>& segments) {
    split_at(segments, Behavior::kRemoved, is_white_space);
  };
}

const PartType<PreTokenizer> kPreTokenizers[] = {
    {"BertPreTokenizer", read_bert_pre_tokenizer},
    {"ByteLevel", read_byte_level_pre_tokenizer},
    {"Digits", read_digits},
    {"Metaspace", read_metaspace_pre_tokenizer},
    {"Punctuation", read_punctuation},
    {"Sequence", read_pre_tokenizer_sequence},
    {"Split", read_split},
    {"Whitespace", read_whitespace},
    {"WhitespaceSplit", read_whitespace_split},
};

}  // namespace

MetaspaceFields read_metaspace_fields(ObjectReader& reader) {
  MetaspaceFields fields;
  fields.replacement = read_character(reader, "replacement");
  fields.split = read_switch(reader, "split", true);
  reader.text("str_rep", "");  // the same once more, in files of 2021
  const bool prefix = read_switch(reader, "add_prefix_space", true);
  static const Choices<PrependScheme> schemes({{PrependScheme::kFirst, "first"},
                                               {PrependScheme::kNever, "never"},
                                               {PrependScheme::kAlways, "always"}});
  const auto usual = prefix ? PrependScheme::kAlways : PrependScheme::kNever;
  const std::string scheme = reader.choice("prepend_scheme", schemes.names(), schemes.name(usual));
  fields.prepend_scheme = schemes.value(scheme);
  if (!prefix && fields.prepend_scheme != PrependScheme::kNever)
    reader.fail("prepend_scheme",
                "\"" + scheme + "\" does not agree with an add_prefix_space of false");
  return fields;
}

PreTokenizer read_pre_tokenizer(ObjectReader& reader) {
  return read_part<PreTokenizer>(reader, kPreTokenizers);
}

}  // namespace strata::data
