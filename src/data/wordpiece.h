#pragma once
/// \file
/// BERT's tokenizer: basic tokenization (lower-casing, accent stripping, punctuation, CJK
/// characters) and greedy longest-match WordPiece (Devlin et al. 2019; google-research/bert
/// tokenization.py).

#include <cstdint>
#include <filesystem>
#include <string>
#include <unordered_map>
#include <vector>

namespace strata {

class WordPiece {
 public:
  /// `vocab.txt`: one token a line, the line number is the id. [PAD], [UNK], [CLS] and [SEP] must
  /// be there. @throws InputError
  static WordPiece from_file(const std::filesystem::path& vocab, bool lower_case = true);
  /// @throws InputError for a duplicate or a missing special token.
  explicit WordPiece(std::vector<std::string> vocabulary, bool lower_case = true);

  /// Tokens, "##" before continuations; a word with no match, or of more than 100 characters, is
  /// [UNK].
  std::vector<std::string> tokenize(const std::string& text) const;
  /// [CLS] tokens [SEP], cut to `max_length` (≥ 2) keeping [SEP] last.
  std::vector<std::int64_t> encode(const std::string& text, int max_length) const;

  const std::vector<std::string>& vocabulary() const { return vocabulary_; }
  std::int64_t pad_id() const { return pad_; }
  bool lower_case() const { return lower_case_; }

 private:
  std::vector<std::string> vocabulary_;
  std::unordered_map<std::string, std::int64_t> ids_;
  std::int64_t pad_ = 0, unk_ = 0, cls_ = 0, sep_ = 0;
  bool lower_case_ = true;
};

/// BERT's basic tokenizer alone: words and punctuation, lower-cased and stripped of accents if
/// asked.
std::vector<std::string> basic_tokenize(const std::string& text, bool lower_case);

/// A small word-level vocabulary for models of our own: [PAD] [UNK] [CLS] [SEP] [MASK], all
/// characters of the corpus and their "##" continuations, then its words, each group sorted.
std::vector<std::string> build_vocabulary(const std::vector<std::string>& texts);

}  // namespace strata
