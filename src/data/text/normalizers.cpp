#include "data/text/normalizers.h"

#include <unicode/uchar.h>

#include <memory>

#include "data/text/bert_text.h"
#include "data/text/library_unicode.h"
#include "data/text/part_table.h"
#include "data/text/pattern.h"
#include "data/text/precompiled.h"

namespace strata::data {
namespace {

icu::UnicodeString cleaned(const icu::UnicodeString& text) {
  icu::UnicodeString out;
  for_each_character(text, [&](UChar32 c) {
    if (c == '\t' || c == '\n' || c == '\r')
      out.append(UChar32{' '});
    else if (c != 0 && c != 0xFFFD && !is_library_control(c))
      out.append(u_isUWhiteSpace(c) ? UChar32{' '} : c);
  });
  return out;
}

icu::UnicodeString with_spaced_ideographs(const icu::UnicodeString& text) {
  icu::UnicodeString out;
  for_each_character(text, [&](UChar32 c) {
    // The library's extension E begins 256 characters late.
    const bool spaced = is_cjk(c) && !(c >= 0x2B820 && c < 0x2B920);
    if (spaced) out.append(UChar32{' '});
    out.append(c);
    if (spaced) out.append(UChar32{' '});
  });
  return out;
}

Normalizer read_bert_normalizer(ObjectReader& reader) {
  const bool clean = reader.boolean("clean_text", true);
  const bool ideographs = reader.boolean("handle_chinese_chars", true);
  const bool lower = reader.boolean("lowercase", true);
  const bool accents = read_switch(reader, "strip_accents", lower);
  const icu::Normalizer2& nfd = library_normal_form("NFD");
  return [=, &nfd](Segment& segment) {
    change_locally(segment, [&](icu::UnicodeString text) {
      if (clean) text = cleaned(text);
      if (ideographs) text = with_spaced_ideographs(text);
      if (accents)
        text = filtered(normal_form(nfd, text),
                        [](UChar32 c) { return !is_library_nonspacing_mark(c); });
      return lower ? lower_cased(text) : text;
    });
  };
}

Normalizer read_lowercase(ObjectReader&) {
  return [](Segment& segment) { change_locally(segment, lower_cased); };
}

Normalizer make_normal_form(const char* name) {
  const icu::Normalizer2& form = library_normal_form(name);
  return [&form](Segment& segment) {
    change_locally(segment,
                   [&](const icu::UnicodeString& text) { return normal_form(form, text); });
  };
}

Normalizer read_precompiled(ObjectReader& reader) {
  const auto bytes = base64_bytes(reader.text("precompiled_charsmap"));
  if (!bytes) reader.fail("precompiled_charsmap", "is no base64 text");
  // transformers writes an empty map where SentencePiece's model has none.
  if (bytes->empty()) return [](Segment&) {};
  const auto map =
      std::make_shared<const CharacterMap>(*bytes, reader.where("precompiled_charsmap"));
  return [map](Segment& segment) { map->apply(segment); };
}

Normalizer read_prepend(ObjectReader& reader) {
  const auto before = icu::UnicodeString::fromUTF8(reader.text("prepend"));
  return [before, where = reader.where("prepend")](Segment& segment) {
    if (segment.text.isEmpty()) return;
    check_growth(segment, before.length(), where);
    segment.text.insert(0, before);
    if (segment.from_start > 0) segment.from_start += before.length();
  };
}

Normalizer read_replace_normalizer(ObjectReader& reader) {
  const auto pattern = std::make_shared<const Pattern>(reader, "pattern");
  const auto content = icu::UnicodeString::fromUTF8(reader.text("content"));
  return [pattern, content, where = reader.where("content")](Segment& segment) {
    icu::UnicodeString out;
    std::int32_t from_start = 0;
    for (const Stretch& part : pattern->finder()(segment.text)) {
      if (part.match)
        out.append(content);
      else
        out.append(segment.text, part.begin, part.end - part.begin);
      // What is put in stands where the last replaced character stood.
      const bool first = part.end == 0 ? segment.first : part.end <= segment.from_start;
      if (first)
        from_start = out.length();
      else if (!part.match && part.begin < segment.from_start)
        from_start = out.length() - (part.end - segment.from_start);
      check_growth(segment, out.length(), where);
    }
    segment.text = std::move(out);
    segment.from_start = from_start;
  };
}

Normalizer read_strip_normalizer(ObjectReader& reader) {
  const bool left = reader.boolean("strip_left", true);
  const bool right = reader.boolean("strip_right", true);
  return [left, right](Segment& segment) {
    const icu::UnicodeString& text = segment.text;
    std::int32_t begin = 0, end = text.length();
    while (left && begin < end && u_isUWhiteSpace(text.char32At(begin)))
      begin = text.moveIndex32(begin, 1);
    while (right && end > begin && u_isUWhiteSpace(text.char32At(end - 1)))
      end = text.moveIndex32(end, -1);
    segment.text = icu::UnicodeString(text, begin, end - begin);
    segment.from_start = std::clamp(segment.from_start - begin, 0, end - begin);
  };
}

Normalizer read_strip_accents(ObjectReader&) {
  return [](Segment& segment) {
    change_locally(segment, [](const icu::UnicodeString& text) {
      return filtered(text, [](UChar32 c) { return !is_library_combining_mark(c); });
    });
  };
}

Normalizer read_normalizer_sequence(ObjectReader& reader) {
  const auto parts = read_parts(reader, "normalizers", read_normalizer);
  return [parts](Segment& segment) {
    for (const Normalizer& part : parts) part(segment);
  };
}

const PartType<Normalizer> kNormalizers[] = {
    {"BertNormalizer", read_bert_normalizer},
    {"Lowercase", read_lowercase},
    {"NFC", [](ObjectReader&) { return make_normal_form("NFC"); }},
    {"NFD", [](ObjectReader&) { return make_normal_form("NFD"); }},
    {"NFKC", [](ObjectReader&) { return make_normal_form("NFKC"); }},
    {"NFKD", [](ObjectReader&) { return make_normal_form("NFKD"); }},
    {"Precompiled", read_precompiled},
    {"Prepend", read_prepend},
    {"Replace", read_replace_normalizer},
    {"Sequence", read_normalizer_sequence},
    {"Strip", read_strip_normalizer},
    {"StripAccents", read_strip_accents},
};

}  // namespace

Normalizer read_normalizer(ObjectReader& reader) {
  return read_part<Normalizer>(reader, kNormalizers);
}

}  // namespace strata::data
