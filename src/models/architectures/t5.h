#pragma once
/// \file
/// T5 v1.1 and FlanT5 (Raffel et al. 2020, 1910.10683; Chung et al. 2022, 2210.11416): an encoder
/// that reads a text, and a decoder that answers.

#include <cstdint>
#include <memory>

#include "core/document.h"
#include "models/architectures/language_model.h"

namespace strata::models {

/// Fields of transformers' T5Config.
struct T5Config {
  std::int64_t d_model = 512, d_kv = 64, d_ff = 2048, num_heads = 8;
  std::int64_t num_layers = 6, num_decoder_layers = 6, vocab_size = 32128;
  std::int64_t buckets = 32, max_distance = 128;  ///< relative_attention_…
  double layer_norm_epsilon = 1e-6, dropout_rate = 0.1, initializer_factor = 1;
  bool tied = true;                ///< the head's weight is that of the words
  bool scaled = true;              ///< what the words' head reads is divided by √d_model
  std::int64_t decoder_start = 0;  ///< decoder_start_token_id
  std::int64_t labels = 0;         ///< of a classifier, whose head stands in place of the words'
};

/// `text_config`. The first stage looks up the words of text and answer, then come the blocks of
/// the encoder, in the last one its final norm, those of the decoder, and the head. The tables of
/// relative positions, which all blocks of their stack use, are in no unit (Layer::frozen).
/// @throws InputError naming key, value and range; a feed-forward layer that is not gated
std::shared_ptr<const LanguageModel> read_t5(ObjectReader& reader);

/// int64 (queries, keys): the bucket of the distance from a query's place to a key's, of which the
/// queries are the last. `both_ways`: half of the buckets are for keys behind the query; otherwise
/// those are in the first. Near ones have one each, farther ones share them logarithmically up to
/// `max_distance`.
torch::Tensor relative_buckets(std::int64_t queries, std::int64_t keys, bool both_ways,
                               std::int64_t buckets, std::int64_t max_distance);

}  // namespace strata::models
