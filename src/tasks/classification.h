#pragma once
/// \file
/// What tasks have in common whose models choose among labels: cross-entropy, or, where an example
/// may have several labels, binary cross-entropy of each; the metrics of metrics/.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "models/torch.h"
#include "tasks/dataset.h"
#include "tasks/metrics/metric.h"
#include "tasks/prompts.h"
#include "tasks/rowwise_task.h"

namespace strata::tasks {

/// The target of a kept test example whose truth is outside the labels: what
/// torch::cross_entropy_loss passes over, with a loss of 0 and outside of the mean.
inline constexpr std::int64_t kNoTarget = -100;
/// In a row's truth: a label that the model does not have.
inline constexpr std::int64_t kNoLabel = -1;

/// Ids of a model's labels by their names.
class LabelIds {
 public:
  explicit LabelIds(const std::vector<std::string>& labels);
  /// Or kNoLabel.
  std::int64_t of(const std::string& label) const;

 private:
  std::unordered_map<std::string, std::int64_t> ids_;
};

/// Examples with the labels that are right for them, and the text that the model reads beside the
/// image: as BERT's tokenizer has it, or within the prompt of a language model, as much of it as
/// the model reads.
class LabelledData : public Dataset {
 public:
  struct Row {
    /// Without several labels: those that are accepted, of which the first is the target; none
    /// where the example is kept without a target. With several: exactly the right ones.
    std::vector<std::int64_t> truth;
    bool closed = false;  ///< the question is yes/no or a choice
  };

  /// `text` is the one of an example. @throws InputError for a model without labels
  LabelledData(std::shared_ptr<const Task> task, const Source& source, bool several,
               std::string data::Example::*text = &data::Example::question);

  /// Takes an example as the next row.
  void add(const Source& source, const data::Example& example, Row row);
  /// An unseen one: takes it, if it is of a test. `error` is called where they are not to be
  /// dropped, and throws.
  template <typename Error>
  void add_unseen(const Source& source, const data::Example& example, Row row, const Error& error) {
    if (!source.drop_unseen) error();
    ++unseen_;
    if (!example.trains()) add(source, example, std::move(row));
  }
  /// After the last one. `what` is for the message where none is left: "an answer".
  /// @throws InputError
  void finish(const Source& source, std::int64_t asked, const std::string& what);

  /// Whether an example may have any number of labels.
  bool several() const { return several_; }
  const Row& row(std::int64_t row) const { return rows_.at(static_cast<std::size_t>(row)); }
  /// The target, or kNoTarget; without several labels.
  std::int64_t label(std::int64_t row) const;
  /// Whether these labels, one without several, are right.
  bool accepts(std::int64_t row, const std::vector<std::int64_t>& labels) const;
  /// Beside the images'.
  std::int64_t max_tokens() const override { return Dataset::max_tokens() - image_tokens_; }
  bool has_target(std::int64_t row) const override { return several_ || label(row) != kNoTarget; }
  /// How many rows have each label as a target; (labels), float64.
  torch::Tensor counts() const;

 protected:
  torch::Tensor targets(const torch::Tensor& rows) const override;

 private:
  std::vector<std::int64_t> tokens(const Source& source, const data::Example& example) const;

  bool several_;
  std::int64_t labels_;
  std::string data::Example::*text_;
  std::optional<PromptWriter> writer_;  // of a language model
  std::int64_t image_tokens_ = 0, most_tokens_;
  std::vector<Row> rows_;
  torch::Tensor targets_;  // int64 (n), or with several labels float (n, labels)
};

class Classification : public RowwiseTask {
 public:
  explicit Classification(std::string name) : name_(std::move(name)) {}

  const std::string& name() const override { return name_; }
  at::Tensor losses(const models::State& output, const models::Batch& batch) const override;
  using Task::loss;
  at::Tensor loss(const models::State& output, const models::Batch& batch,
                  const LossShape& shape) const override;
  /// log((count + 1) / (samples + labels)) of every label, which is added to its logit: with
  /// several labels log((count + 1) / (samples - count + 1)).
  at::Tensor calibration(const Dataset& data) const override;
  /// n / (labels that occur · count) of each of n rows' labels, 0 of those that do not occur: the
  /// mean over the rows is 1.
  at::Tensor class_weights(const Dataset& data) const override;
  at::Tensor outputs(const models::State& output, const models::Batch& batch) const override;

  std::vector<std::string> metrics() const override;
  double value(const std::string& metric, const Tally& tally) const override;
  std::vector<bool> majority_right(const Dataset& train, const Dataset& test) const override;

 protected:
  void judge(const models::Model& model, const models::State& output, const models::Batch& batch,
             const std::vector<std::int64_t>& rows, Judgement& judgement) const override;
  /// What of an example counts as its truth, in words.
  virtual std::vector<std::string> truth_of(const data::Example& example) const = 0;

 private:
  std::string name_;
};

}  // namespace strata::tasks
