#pragma once
/// \file
/// Byte-pair encoding (Sennrich et al. 2016) as tokenizer.json has it, over characters, bytes'
/// characters (GPT-2) or SentencePiece's pieces. Internal.

#include "data/text/token_model.h"

namespace strata::data {

/// `vocab`, `merges` ("a b" or ["a", "b"]), `unk_token`, `fuse_unk`, `byte_fallback`,
/// `ignore_merges`. A word takes O(n log n). @throws InputError for a merge that is none, and by
/// name for dropout and for prefixes and suffixes of pieces, which are not read.
TokenModelPointer read_bpe(ObjectReader& reader);

}  // namespace strata::data
