#include "data/text/wordpiece.h"

#include <unicode/locid.h>
#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>

#include <set>
#include <string_view>
#include <unordered_map>

#include "data/text/bert_text.h"
#include "data/text/segment.h"
#include "data/text/wordpiece_model.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"

namespace strata::data {
namespace {

/// As BERT's cleaning has it, or by Unicode's property.
bool is_whitespace(UChar32 c, bool clean) {
  if (!clean) return u_isUWhiteSpace(c);
  // The line and paragraph separators are neither control characters nor spaces by category, yet
  // Python's str.split(), on which BERT relies, splits at them.
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == 0x2028 || c == 0x2029 ||
         u_charType(c) == U_SPACE_SEPARATOR;
}

bool is_dropped(UChar32 c) {
  if (c == 0 || c == 0xFFFD) return true;
  switch (u_charType(c)) {
    case U_UNASSIGNED:
    case U_CONTROL_CHAR:
    case U_FORMAT_CHAR:
    case U_PRIVATE_USE_CHAR:
    case U_SURROGATE:
      return true;
    default:
      return false;
  }
}

/// All ASCII symbols count as punctuation, also those (such as $ and ^) that Unicode classes as
/// symbols.
bool is_punctuation(UChar32 c) {
  return is_ascii_symbol(c) || u_ispunct(c);
}

icu::UnicodeString strip_accents(const icu::UnicodeString& text) {
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* nfd = icu::Normalizer2::getNFDInstance(status);
  if (U_FAILURE(status)) throw WorkError(std::string("ICU: no NFD data: ") + u_errorName(status));
  const icu::UnicodeString decomposed = nfd->normalize(text, status);
  if (U_FAILURE(status)) throw WorkError(std::string("ICU: NFD failed: ") + u_errorName(status));
  return filtered(decomposed, [](UChar32 c) { return u_charType(c) != U_NON_SPACING_MARK; });
}

/// Byte offsets at which the characters of valid UTF-8 begin, then the length.
std::vector<std::size_t> character_offsets(const std::string& word) {
  std::vector<std::size_t> offsets;
  for (std::size_t i = 0; i < word.size(); ++i)
    if ((static_cast<unsigned char>(word[i]) & 0xC0) != 0x80) offsets.push_back(i);
  offsets.push_back(word.size());
  return offsets;
}

}  // namespace

std::vector<std::string> basic_tokenize(const std::string& text, const WordPieceOptions& options) {
  std::vector<icu::UnicodeString> words(1);
  for_each_character(icu::UnicodeString::fromUTF8(text), [&](UChar32 c) {
    if (is_whitespace(c, options.clean_text)) {
      words.emplace_back();
    } else if (options.split_cjk && is_cjk(c)) {
      words.emplace_back(c);
      words.emplace_back();
    } else if (!options.clean_text || !is_dropped(c)) {
      words.back().append(c);
    }
  });
  std::vector<std::string> tokens;
  for (icu::UnicodeString& word : words) {
    if (options.lower_case) word.toLower(icu::Locale::getRoot());
    if (options.strips_accents()) word = strip_accents(word);
    icu::UnicodeString token;
    const auto finish = [&] {
      if (!token.isEmpty()) tokens.push_back(utf8_of(token));
      token.remove();
    };
    for_each_character(word, [&](UChar32 c) {
      if (is_punctuation(c)) {
        finish();
        tokens.push_back(utf8_of(icu::UnicodeString(c)));
      } else {
        token.append(c);
      }
    });
    finish();
  }
  return tokens;
}

WordPiece WordPiece::from_file(const std::filesystem::path& vocab,
                               const WordPieceOptions& options) {
  const std::string text = read_file(vocab);
  std::vector<std::string> tokens;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    tokens.push_back(text.substr(begin, end - begin));
    if (!tokens.back().empty() && tokens.back().back() == '\r') tokens.back().pop_back();
    begin = end + 1;
  }
  return with_context(vocab.string(), [&] { return WordPiece(std::move(tokens), options); });
}

WordPiece::WordPiece(std::vector<std::string> vocabulary, const WordPieceOptions& options)
    : vocabulary_(std::move(vocabulary)), options_(options) {
  std::unordered_map<std::string_view, std::int64_t> ids;
  std::vector<PrefixIndex<char>::Entry> pieces;
  for (std::size_t i = 0; i < vocabulary_.size(); ++i) {
    const auto [entry, fresh] = ids.emplace(vocabulary_[i], static_cast<std::int64_t>(i));
    if (!fresh)
      throw InputError("line " + std::to_string(i + 1) + ": the token \"" + vocabulary_[i] +
                       "\" is already on line " + std::to_string(entry->second + 1));
    pieces.push_back({vocabulary_[i], static_cast<std::int64_t>(i)});
  }
  const auto special = [&](const std::string& token) {
    const auto found = ids.find(token);
    if (found == ids.end())
      throw InputError("the vocabulary lacks the special token " + token + "; " + options_.pad +
                       ", " + options_.unknown + ", " + options_.begin + " and " + options_.end +
                       " must be there");
    return found->second;
  };
  pad_ = special(options_.pad);
  unknown_ = special(options_.unknown);
  cls_ = special(options_.begin);
  sep_ = special(options_.end);
  pieces_ = std::make_shared<const PrefixIndex<char>>(std::move(pieces));
}

std::vector<std::int64_t> WordPiece::ids_of(const std::string& text) const {
  std::vector<std::int64_t> ids;
  for (const std::string& word : basic_tokenize(text, options_)) {
    const auto found = character_count(word) > options_.longest_word
                           ? std::nullopt
                           : longest_pieces(*pieces_, options_.prefix, word);
    if (found)
      ids.insert(ids.end(), found->begin(), found->end());
    else
      ids.push_back(unknown_);
  }
  return ids;
}

std::vector<std::string> WordPiece::tokenize(const std::string& text) const {
  std::vector<std::string> tokens;
  for (const std::int64_t id : ids_of(text))
    tokens.push_back(vocabulary_[static_cast<std::size_t>(id)]);
  return tokens;
}

std::vector<std::int64_t> WordPiece::encode(const std::string& text, int max_length) const {
  if (max_length < 2)
    throw InputError("a text cannot be encoded in " + std::to_string(max_length) +
                     " tokens: [CLS] and [SEP] need 2");
  std::vector<std::int64_t> ids = {cls_};
  for (const std::int64_t id : ids_of(text)) {
    if (static_cast<int>(ids.size()) == max_length - 1) break;
    ids.push_back(id);
  }
  ids.push_back(sep_);
  return ids;
}

std::vector<std::string> build_vocabulary(const std::vector<std::string>& texts) {
  const WordPieceOptions options;
  std::set<std::string> characters, words;
  for (const std::string& text : texts)
    for (const std::string& word : basic_tokenize(text, options)) {
      const std::vector<std::size_t> offsets = character_offsets(word);
      const std::size_t length = offsets.size() - 1;
      for (std::size_t i = 0; i < length; ++i)
        characters.insert(word.substr(offsets[i], offsets[i + 1] - offsets[i]));
      if (length > 1 && static_cast<int>(length) <= options.longest_word) words.insert(word);
    }
  std::vector<std::string> vocabulary = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
  vocabulary.insert(vocabulary.end(), characters.begin(), characters.end());
  for (const std::string& character : characters) vocabulary.push_back("##" + character);
  vocabulary.insert(vocabulary.end(), words.begin(), words.end());
  return vocabulary;
}

}  // namespace strata::data
