#pragma once
/// \file
/// A tokenizer.json of one's own: byte-pair encoding (Sennrich et al. 2016, 1508.07909) over bytes,
/// as GPT-2's, learnt from texts.

#include <cstdint>
#include <string>
#include <vector>

namespace strata::data {

/// The special tokens of a learnt tokenizer, at their ids, and the first of its other ones.
enum LearntToken : std::int64_t {
  kLearntPad,
  kLearntBegin,
  kLearntEnd,
  kLearntImage,
  kLearntBytes
};
inline const std::vector<std::string> kLearntTokens = {"<pad>", "<s>", "</s>", "<image>"};

/// A vocabulary that any text can be written with: these tokens, and one a byte.
constexpr std::int64_t kLeastLearntTokens = kLearntBytes + 256;

/// The text of a tokenizer.json (tokenizer.h) of at most `size` tokens: the special ones, the
/// bytes, and then, until there are `size` or every word is a token, the two neighbouring tokens
/// that stand together most often in the texts' words, of equally frequent pairs the one with the
/// lowest ids. These are the merges of the BpeTrainer of Hugging Face's `tokenizers`. Special
/// tokens in the texts are passed over. An encoded text has <s> before it. The order of the texts
/// does not matter. Of n letters of distinct words O(n log n) a token. `size` ≥ kLeastLearntTokens.
std::string learn_tokenizer(const std::vector<std::string>& texts, std::int64_t size);

}  // namespace strata::data
