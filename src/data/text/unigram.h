#pragma once
/// \file
/// SentencePiece's unigram language model (Kudo 2018) as tokenizer.json has it. Internal.

#include "data/text/token_model.h"

namespace strata::data {

/// `vocab` (a list of [piece, score]), `unk_id`, `byte_fallback`. A word becomes the pieces with
/// the highest sum of scores; a character that is no piece counts the lowest score less 10, and
/// neighbours of that kind are one unknown. A word takes O(n × longest piece × log vocabulary).
/// @throws InputError for wrong fields.
TokenModelPointer read_unigram(ObjectReader& reader);

}  // namespace strata::data
