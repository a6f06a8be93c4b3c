#pragma once
/// \file
/// What tokenizer.json's `decoder` makes of tokens so that they are text again: one function a
/// type, and a row of the table in decoders.cpp. Internal.

#include <functional>
#include <string>
#include <vector>

#include "core/document.h"

namespace strata::data {

/// Changes the tokens, which are then joined.
using TokenDecoder = std::function<void(std::vector<std::string>&)>;

/// ByteFallback, ByteLevel, Fuse, Metaspace, Replace, Sequence, Strip, WordPiece. @throws
/// InputError naming the key for another type, and for wrong fields.
TokenDecoder read_decoder(ObjectReader& reader);

}  // namespace strata::data
