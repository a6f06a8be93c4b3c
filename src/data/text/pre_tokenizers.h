#pragma once
/// \file
/// What tokenizer.json's `pre_tokenizer` cuts a text into before the model sees it: one function a
/// type, and a row of the table in pre_tokenizers.cpp. Internal.

#include <cstdint>
#include <functional>
#include <vector>

#include "core/document.h"
#include "data/text/segment.h"

namespace strata::data {

/// Cuts segments that are no added tokens, and may change their text.
using PreTokenizer = std::function<void(std::vector<Segment>&)>;

/// BertPreTokenizer, ByteLevel, Digits, Metaspace, Punctuation, Sequence, Split, Whitespace,
/// WhitespaceSplit. @throws InputError naming the key for another type, and for wrong fields.
PreTokenizer read_pre_tokenizer(ObjectReader& reader);

/// Where a text begins with the mark that stands for a space.
enum class PrependScheme : std::uint8_t { kFirst, kNever, kAlways };

/// Metaspace as a pre-tokenizer or a decoder: ▁ in place of spaces.
struct MetaspaceFields {
  std::string replacement;  ///< one character
  PrependScheme prepend_scheme = PrependScheme::kAlways;
  bool split = true;
};
/// In today's form, or in the older one with `add_prefix_space`. @throws InputError
MetaspaceFields read_metaspace_fields(ObjectReader& reader);

}  // namespace strata::data
