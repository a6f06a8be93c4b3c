#pragma once
/// \file
/// Greedy longest-match WordPiece (Devlin et al. 2019): a word is the longest piece that it begins
/// with, and so on with pieces that continue a word. Internal.

#include <optional>

#include "data/text/prefix_index.h"
#include "data/text/token_model.h"

namespace strata::data {

/// The ids of the longest pieces; none where the word cannot be written in pieces. `prefix` stands
/// before pieces that continue a word.
std::optional<std::vector<std::int64_t>> longest_pieces(const PrefixIndex<char>& pieces,
                                                        const std::string& prefix,
                                                        const std::string& word);

/// Of UTF-8.
std::int64_t character_count(const std::string& text);

/// `vocab`, `unk_token`, `continuing_subword_prefix`, `max_input_chars_per_word`.
/// @throws InputError for wrong fields, and an unknown token that is not in the vocabulary.
TokenModelPointer read_wordpiece_model(ObjectReader& reader);

}  // namespace strata::data
