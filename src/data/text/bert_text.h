#pragma once
/// \file
/// What BERT's tokenization takes characters for (google-research/bert, tokenization.py), for its
/// two readers: vocab.txt and tokenizer.json. Internal.

#include <unicode/umachine.h>

namespace strata::data {

/// All printable ASCII but letters, digits and the space: BERT's punctuation has also those, such
/// as $ and ^, that Unicode classes as symbols.
bool is_ascii_symbol(UChar32 c);

/// The blocks of ideographs that BERT spaces apart; Hangul and kana are left to WordPiece.
bool is_cjk(UChar32 c);

}  // namespace strata::data
