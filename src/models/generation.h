#pragma once
/// \file
/// Answers in words: what a model that speaks makes of a prompt, one token after another, with the
/// keys and values of earlier tokens kept.

#include <cstdint>
#include <vector>

#include "models/model.h"

namespace strata::models {

/// As transformers' GenerationConfig.
struct GenerationOptions {
  std::int64_t most_tokens = 20;   ///< max_new_tokens
  std::int64_t beams = 1;          ///< num_beams; 1 takes the likeliest token each time
  double length_penalty = 1;       ///< a beam's score is its log-likelihood / length^length_penalty
  std::vector<std::int64_t> ends;  ///< eos_token_id: tokens behind which nothing comes
};

struct Generated {
  std::vector<std::int64_t> tokens;  ///< without the end
  bool ended = false;                ///< before there were most_tokens
  /// The sum of the tokens' log-likelihoods, the end's among them; in nats.
  double log_likelihood = 0;
};

/// One a sample. The batch's prompts are padded on the left. Beams end as in transformers with
/// `early_stopping` false: when as many have ended as there are beams, and no running one, at its
/// length, would be better than the worst of them. O(tokens) passes of the blocks, with one row a
/// beam each but for the first. Without gradients.
/// \throws InputError for a model that does not speak
std::vector<Generated> generate(const Model& model, const Batch& batch,
                                const GenerationOptions& options);

}  // namespace strata::models
