#pragma once
/// \file
/// Questions about images with their answers as texts, for models that speak. Internal.

#include <string>
#include <vector>

#include "models/generation.h"
#include "tasks/dataset.h"
#include "tasks/prompts.h"

namespace strata::tasks {

/// In Batch::labels: a place that nobody asks about.
inline constexpr std::int64_t kNoWord = -100;

/// Answers as texts and as what comes behind a prompt, end included.
struct AnswerList {
  std::vector<std::string> texts;
  std::vector<models::Tokens> tokens;
};

/// The `most` answers that are the first of most examples; of equally frequent ones those whose
/// bytes come first.
std::vector<std::string> most_frequent_answers(const Dataset& data, std::int64_t most);

/// A batch's labels are the tokens of the answers, (n, 1, L) of the rows' own or (n, K, L), kNoWord
/// behind the ends of shorter ones. Those of a decoder-only model stand behind the prompt, K of
/// them as Batch::continuations, so that image and prompt are computed once.
class SpokenData : public Dataset {
 public:
  SpokenData(std::shared_ptr<const Task> task, const Source& source);

  /// @throws InputError naming image and question where there are more tokens than the model reads
  void add(const Source& source, const data::Example& example);
  void finish(const Source& source, std::int64_t asked);
  /// The answers that an evaluation ranks.
  void set_list(std::vector<std::string> texts) { list_ = listed(std::move(texts)); }
  const AnswerList& list() const { return list_; }
  const PromptWriter& writer() const { return writer_; }

  bool has_target(std::int64_t) const override { return true; }
  /// Beside the images'.
  std::int64_t max_tokens() const override { return Dataset::max_tokens() - speech_.image_tokens; }
  /// The questions alone, padded on the left unless an encoder reads them, with the images of a
  /// batch of the same rows.
  models::Batch prompts(const std::vector<std::int64_t>& rows, const models::Batch& batch) const;
  models::Batch outputs_batch(const std::vector<std::int64_t>& rows, torch::Device device,
                              const AnswerChoice& choice) const override;

 protected:
  torch::Tensor targets(const torch::Tensor&) const override { return {}; }
  void complete(models::Batch& batch, const std::vector<std::int64_t>& rows) const override;

 private:
  /// Whether a decoder answers what its encoder has read.
  bool apart() const { return speech_.decoder_start.has_value(); }
  void check_length(const std::string& image, const std::string& question,
                    std::size_t tokens) const;
  AnswerList listed(std::vector<std::string> texts) const;
  void ask_beside(models::Batch& batch, const std::vector<std::int64_t>& rows,
                  const std::vector<models::Tokens>& answers) const;
  void ask_decoder(models::Batch& batch,
                   const std::vector<std::vector<models::Tokens>>& answers) const;

  models::Speech speech_;
  PromptWriter writer_;
  std::int64_t most_;                              // tokens
  std::vector<models::Tokens> prompts_, answers_;  // of each row; the answers with their ends
  std::vector<std::int64_t> begins_;               // of the answers, in each row's text
  AnswerList list_;
};

}  // namespace strata::tasks
