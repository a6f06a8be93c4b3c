#pragma once
/// \file
/// What tokenizer.json's `normalizer` does with a text before it is cut into words: one function a
/// type, and a row of the table in normalizers.cpp. Internal.

#include <functional>

#include "core/document.h"
#include "data/text/segment.h"

namespace strata::data {

using Normalizer = std::function<void(Segment&)>;

/// BertNormalizer, Lowercase, NFC, NFD, NFKC, NFKD, Precompiled, Prepend, Replace, Sequence, Strip,
/// StripAccents. @throws InputError naming the key for another type, and for wrong fields.
Normalizer read_normalizer(ObjectReader& reader);

}  // namespace strata::data
