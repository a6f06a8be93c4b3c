#pragma once
/// \file
/// Answers in words: what a model that speaks makes of a prompt, one token after another, with the
/// keys and values of earlier tokens kept.

#include <cstdint>
#include <memory>
#include <vector>

#include "models/model.h"

namespace strata::models {

/// As transformers' GenerationConfig.
struct GenerationOptions {
  /// max_new_tokens; a text also ends where the model has no place for more.
  std::int64_t most_tokens = 20;
  std::int64_t beams = 1;          ///< num_beams; 1 takes the likeliest token each time
  double length_penalty = 1;       ///< a beam's score is its log-likelihood / length^length_penalty
  std::vector<std::int64_t> ends;  ///< eos_token_id: tokens behind which nothing comes
};

struct Generated {
  std::vector<std::int64_t> tokens;  ///< without the end
  bool ended = false;  ///< by an end, before there were most_tokens or no place was left
  /// The sum of the tokens' log-likelihoods, the end's among them; in nats.
  double log_likelihood = 0;
};

using Tokens = std::vector<std::int64_t>;

/// Prompts that a model which speaks has read, once, for all that is then asked of it. Without
/// gradients; all but the answers' own tokens is computed a single time.
class Prompted {
 public:
  /// The batch's prompts are padded on the left, or on the right where an encoder reads them. The
  /// model must outlive this. @throws InputError for a model that does not speak
  Prompted(const Model& model, const Batch& prompts);
  ~Prompted();

  /// Of each word to be the first of an answer, (n, vocabulary), float32.
  torch::Tensor first_log_likelihoods() const;
  /// For every sample those of whole answers, in nats. An answer's tokens are those behind the
  /// prompt, its end among them; samples may have different numbers of answers. One pass over all
  /// answers' tokens of a sample side by side, or more where their logits would take over 256 MiB.
  std::vector<std::vector<double>> log_likelihoods(
      const std::vector<std::vector<Tokens>>& answers) const;
  /// One a sample. Beams end as in transformers with `early_stopping` false: when as many have
  /// ended as there are beams, and no running one, at its length, would be better than the worst of
  /// them. O(tokens) passes of the blocks, with one row a beam each but for the first.
  std::vector<Generated> generate(const GenerationOptions& options) const;

 private:
  class Writer;
  std::unique_ptr<const Writer> begun_;
};

/// Prompted(model, batch).generate(options).
std::vector<Generated> generate(const Model& model, const Batch& batch,
                                const GenerationOptions& options);

}  // namespace strata::models
