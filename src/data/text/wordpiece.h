#pragma once
/// \file
/// BERT's tokenizer: basic tokenization (lower-casing, accent stripping, punctuation, CJK
/// characters) and greedy longest-match WordPiece (Devlin et al. 2019; google-research/bert
/// tokenization.py).

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace strata::data {

template <typename Character>
class PrefixIndex;

/// What Hugging Face's files may set of it; the defaults are BERT's.
struct WordPieceOptions {
  bool lower_case = true;
  std::optional<bool> strip_accents = {};  ///< unset: as lower_case
  bool split_cjk = true;                   ///< each CJK character a word (handle_chinese_chars)
  bool clean_text = true;  ///< control characters are dropped; otherwise they are letters
  std::string prefix = "##";
  int longest_word = 100;  ///< characters; a longer one is unknown
  std::string pad = "[PAD]", unknown = "[UNK]", begin = "[CLS]", end = "[SEP]";

  bool strips_accents() const { return strip_accents.value_or(lower_case); }
};

class WordPiece {
 public:
  /// `vocab.txt`: one token a line, the line number is the id. The four special tokens must be
  /// there. @throws InputError
  static WordPiece from_file(const std::filesystem::path& vocab,
                             const WordPieceOptions& options = {});
  /// @throws InputError for a duplicate or a missing special token.
  explicit WordPiece(std::vector<std::string> vocabulary, const WordPieceOptions& options = {});

  /// Tokens, the prefix before continuations; a word with no match, or one that is too long, is
  /// unknown.
  std::vector<std::string> tokenize(const std::string& text) const;
  /// [CLS] tokens [SEP], cut to `max_length` (≥ 2) keeping [SEP] last.
  std::vector<std::int64_t> encode(const std::string& text, int max_length) const;

  const std::vector<std::string>& vocabulary() const { return vocabulary_; }
  std::int64_t pad_id() const { return pad_; }
  const WordPieceOptions& options() const { return options_; }

 private:
  std::vector<std::int64_t> ids_of(const std::string& text) const;

  std::vector<std::string> vocabulary_;
  std::shared_ptr<const PrefixIndex<char>> pieces_;  // immutable, so shared by copies
  std::int64_t pad_ = 0, unknown_ = 0, cls_ = 0, sep_ = 0;
  WordPieceOptions options_;
};

/// BERT's basic tokenizer alone: words and punctuation.
std::vector<std::string> basic_tokenize(const std::string& text, const WordPieceOptions& options);

/// A small word-level vocabulary for models of our own: [PAD] [UNK] [CLS] [SEP] [MASK], all
/// characters of the corpus and their "##" continuations, then its words, each group sorted.
std::vector<std::string> build_vocabulary(const std::vector<std::string>& texts);

}  // namespace strata::data
