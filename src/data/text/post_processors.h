#pragma once
/// \file
/// What tokenizer.json's `post_processor` adds to a text's tokens: one function a type, and a row
/// of the table in post_processors.cpp. Internal.

#include <cstdint>
#include <vector>

#include "core/document.h"

namespace strata::data {

/// The ids that stand before and behind a text's own.
struct SpecialTokens {
  std::vector<std::int64_t> before, behind;
};

/// BertProcessing, ByteLevel, RobertaProcessing, Sequence, TemplateProcessing, of which the
/// template for one text counts. @throws InputError naming the key for another type, and for wrong
/// fields.
SpecialTokens read_post_processor(ObjectReader& reader);

}  // namespace strata::data
