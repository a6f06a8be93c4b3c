#pragma once
/// \file
/// A tokenizer's model: how a word becomes tokens of its vocabulary. One file a kind, and a row of
/// the table in token_model.cpp. Internal.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/document.h"
#include "data/text/vocabulary.h"

namespace strata::data {

class TokenModel {
 public:
  explicit TokenModel(Vocabulary vocabulary) : vocabulary_(std::move(vocabulary)) {}
  virtual ~TokenModel() = default;

  /// Appends the ids of a word, which is UTF-8 and not empty. @throws InputError where the
  /// vocabulary has neither a character nor a token for the unknown.
  virtual void encode(const std::string& word, std::vector<std::int64_t>& ids) const = 0;

  const Vocabulary& vocabulary() const { return vocabulary_; }

 protected:
  /// The ids of "<0xAB>" for each byte; none where one of them is missing.
  std::vector<std::int64_t> byte_ids(std::string_view text) const;

 private:
  Vocabulary vocabulary_;
};

using TokenModelPointer = std::unique_ptr<const TokenModel>;

/// BPE, Unigram or WordPiece; files without a type are told by their keys. @throws InputError
/// naming the key for another type, and for wrong fields.
TokenModelPointer read_token_model(ObjectReader& reader);

/// Bytes that the UTF-8 character at `begin` has, by its first one; at most what is left.
std::size_t character_size(std::string_view text, std::size_t begin);

}  // namespace strata::data
