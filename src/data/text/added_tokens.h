#pragma once
/// \file
/// Tokens that are found in a text before anything else, such as `<image>`. Internal.

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "data/text/normalizers.h"
#include "data/text/prefix_index.h"
#include "data/text/segment.h"
#include "data/text/tokenizer.h"
#include "data/text/vocabulary.h"

namespace strata::data {

class AddedTokens {
 public:
  /// `added_tokens` of tokenizer.json. An id is the vocabulary's, where that has the token, or else
  /// counts on from the largest. @throws InputError for another id, a token that stands twice or
  /// is longer than 1,000 bytes, two that are the same once normalised.
  AddedTokens(ObjectReader& root, const Vocabulary& vocabulary, const Normalizer& normalizer);

  /// Cuts segments at the tokens that are looked for in the text as it is, the longest first.
  void split_raw(std::vector<Segment>& segments) const { split(segments, raw_); }
  /// … at those that are looked for in the normalised text.
  void split_normalized(std::vector<Segment>& segments) const { split(segments, normalized_); }

  std::optional<std::int64_t> id(const std::string& token) const;
  /// nullptr where no added token has the id.
  const AddedToken* token(std::int64_t id) const;
  /// What a decoder gets for it: as it is looked for.
  const std::string& decoded_form(const AddedToken& token) const;
  bool is_special(const std::string& token) const { return special_.count(token) > 0; }
  const std::vector<AddedToken>& all() const { return tokens_; }

 private:
  using Index = PrefixIndex<char16_t>;

  Index index_of(ObjectReader& root, bool normalized, const Normalizer& normalizer);
  void split(std::vector<Segment>& segments, const Index& index) const;
  void split_one(const Segment& segment, const Index& index, std::vector<Segment>& out) const;

  std::vector<AddedToken> tokens_;
  std::map<std::string, std::size_t> by_content_;
  std::map<std::int64_t, std::size_t> by_id_;
  std::map<std::int64_t, std::string> normal_forms_;  // where they differ from the content
  std::set<std::string> special_;
  Index raw_, normalized_;
};

}  // namespace strata::data
