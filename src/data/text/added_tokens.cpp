#include "data/text/added_tokens.h"

#include <unicode/uchar.h>

#include <algorithm>
#include <string_view>

#include "strata/core/error.h"

namespace strata::data {
namespace {

/// A token is looked for at every place of a text.
constexpr std::size_t kLongestAddedToken = 1000;

std::u16string_view view_of(const icu::UnicodeString& text) {
  return {text.getBuffer(), static_cast<std::size_t>(text.length())};
}

bool is_word_character(UChar32 c) {
  constexpr std::uint32_t kWord = U_GC_M_MASK | U_GC_ND_MASK | U_GC_PC_MASK;
  return u_isUAlphabetic(c) || (U_GET_GC_MASK(c) & kWord) != 0 || c == 0x200C || c == 0x200D;
}

bool is_within_word(const icu::UnicodeString& text, std::int32_t begin, std::int32_t end) {
  return (begin > 0 && is_word_character(text.char32At(begin - 1))) ||
         (end < text.length() && is_word_character(text.char32At(end)));
}

std::int32_t before_spaces(const icu::UnicodeString& text, std::int32_t begin) {
  while (begin > 0 && u_isUWhiteSpace(text.char32At(begin - 1))) --begin;
  return begin;
}

std::int32_t behind_spaces(const icu::UnicodeString& text, std::int32_t end) {
  while (end < text.length() && u_isUWhiteSpace(text.char32At(end))) ++end;
  return end;
}

AddedToken read_added_token(ObjectReader& reader) {
  AddedToken token;
  token.content = reader.filled_text("content");
  token.id = reader.integer("id", 0, Vocabulary::kMostIds - 1);
  token.special = reader.boolean("special", false);
  token.normalized = reader.boolean("normalized", true);
  token.lstrip = reader.boolean("lstrip", false);
  token.rstrip = reader.boolean("rstrip", false);
  token.single_word = reader.boolean("single_word", false);
  if (token.content.size() > kLongestAddedToken)
    reader.fail("content", "the token has " + std::to_string(token.content.size()) +
                               " bytes, more than " + std::to_string(kLongestAddedToken));
  reader.finish();
  return token;
}

}  // namespace

AddedTokens::AddedTokens(ObjectReader& root, const Vocabulary& vocabulary,
                         const Normalizer& normalizer) {
  // A file without any may leave the list out.
  if (root.raw("added_tokens").is_null()) return;
  std::int64_t next = vocabulary.count();
  for (ObjectReader& reader : root.objects("added_tokens")) {
    const AddedToken token = read_added_token(reader);
    const auto known = vocabulary.id(token.content);
    const std::int64_t expected = known ? *known : next;
    if (token.id != expected)
      reader.fail("id", excerpt(Json(token.content)) + " has the id " + std::to_string(token.id) +
                            (known ? ", but the vocabulary gives it "
                                   : ", but the tokens that the vocabulary lacks are counted on, "
                                     "and it would be ") +
                            std::to_string(expected));
    if (!known) ++next;
    if (!by_content_.emplace(token.content, tokens_.size()).second)
      reader.fail("content", excerpt(Json(token.content)) + " stands twice");
    by_id_.emplace(token.id, tokens_.size());
    if (token.special) special_.insert(token.content);
    tokens_.push_back(token);
  }
  raw_ = index_of(root, false, normalizer);
  normalized_ = index_of(root, true, normalizer);
}

AddedTokens::Index AddedTokens::index_of(ObjectReader& root, bool normalized,
                                         const Normalizer& normalizer) {
  std::vector<Index::Entry> entries;
  std::map<std::u16string, std::string> seen;
  for (const AddedToken& token : tokens_) {
    if (token.normalized != normalized) continue;
    Segment segment = whole_text(icu::UnicodeString::fromUTF8(token.content));
    if (normalized && normalizer) {
      normalizer(segment);
      const std::string form = utf8_of(segment.text);
      if (form != token.content) normal_forms_[token.id] = form;
    }
    const std::u16string text(view_of(segment.text));
    const auto [other, fresh] = seen.emplace(text, token.content);
    if (!fresh || text.empty())
      root.fail("added_tokens",
                excerpt(Json(token.content)) + " is " +
                    (text.empty() ? "nothing" : "the same as " + excerpt(Json(other->second))) +
                    " once normalised");
    entries.push_back({text, token.id});
  }
  return Index(std::move(entries));
}

void AddedTokens::split(std::vector<Segment>& segments, const Index& index) const {
  if (index.empty()) return;
  std::vector<Segment> out;
  for (Segment& segment : segments) {
    if (segment.token >= 0)
      out.push_back(std::move(segment));
    else
      split_one(segment, index, out);
  }
  segments = std::move(out);
}

void AddedTokens::split_one(const Segment& segment, const Index& index,
                            std::vector<Segment>& out) const {
  const icu::UnicodeString& text = segment.text;
  const auto view = view_of(text);
  std::int32_t done = 0;
  for (std::int32_t at = 0; at < text.length();) {
    std::int32_t end = at;
    std::int64_t id = -1;
    index.for_each_prefix(view, static_cast<std::size_t>(at), index.all(),
                          [&](std::size_t length, std::int64_t found) {
                            end = at + static_cast<std::int32_t>(length);
                            id = found;
                          });
    if (id < 0) {
      ++at;
      continue;
    }
    const AddedToken& token = *this->token(id);
    std::int32_t begin = at;
    at = end;
    if (token.single_word && is_within_word(text, begin, end)) continue;
    // What the token before has swallowed stays with it.
    if (token.lstrip) begin = std::max(before_spaces(text, begin), done);
    // Also for a token of spaces among those.
    if (token.rstrip) end = end < done ? done : behind_spaces(text, end);
    if (done < begin) out.push_back(slice(segment, done, begin));
    out.emplace_back().token = id;
    done = end;
  }
  if (done < text.length()) out.push_back(slice(segment, done, text.length()));
}

std::optional<std::int64_t> AddedTokens::id(const std::string& token) const {
  const auto found = by_content_.find(token);
  if (found == by_content_.end()) return {};
  return tokens_[found->second].id;
}

const AddedToken* AddedTokens::token(std::int64_t id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : &tokens_[found->second];
}

const std::string& AddedTokens::decoded_form(const AddedToken& token) const {
  const auto form = normal_forms_.find(token.id);
  return form == normal_forms_.end() ? token.content : form->second;
}

}  // namespace strata::data
