#include "tasks/classification.h"

#include "tasks/loss_shape.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "models/batch.h"
#include "strata/core/error.h"
#include "tasks/metrics/metrics.h"

namespace strata::tasks {
namespace {

using torch::Tensor;

const LabelledData& labelled(const Dataset& data) {
  return dynamic_cast<const LabelledData&>(data);
}

bool several(const models::Batch& batch) {
  return batch.labels.is_floating_point();
}

const Tensor& logits_of(const models::State& output) {
  return output.values.at(models::kLogits);
}

/// Labels chosen from one row of logits, and how sure the model is of them.
struct Choice {
  std::vector<std::int64_t> labels;
  double log_probability = 0;
};

/// log(1 + eˣ)
double softplus(double x) {
  return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x)));
}

Choice choose(const float* logits, std::int64_t count, bool several) {
  Choice choice;
  if (several) {
    for (std::int64_t label = 0; label < count; ++label) {
      const bool chosen = logits[label] > 0;
      if (chosen) choice.labels.push_back(label);
      choice.log_probability -= softplus(chosen ? -logits[label] : logits[label]);
    }
    return choice;
  }
  const float* most = std::max_element(logits, logits + count);
  double sum = 0;
  for (std::int64_t label = 0; label < count; ++label)
    sum += std::exp(static_cast<double>(logits[label]) - static_cast<double>(*most));
  choice.labels = {most - logits};
  choice.log_probability = -std::log(sum);
  return choice;
}

std::vector<std::string> names_of(const std::vector<std::int64_t>& ids,
                                  const std::vector<std::string>& labels) {
  std::vector<std::string> names;
  for (const std::int64_t id : ids) names.push_back(labels[static_cast<std::size_t>(id)]);
  return names;
}

/// What is given most often for `train`: its most frequent target (of equally frequent ones the
/// smallest label), or with several labels those that more than half of the rows have.
std::vector<std::int64_t> majority(const LabelledData& train) {
  const Tensor counts = train.counts();
  const auto* count = counts.data_ptr<double>();
  const std::int64_t labels = counts.size(0);
  std::vector<std::int64_t> most;
  if (train.several()) {
    for (std::int64_t label = 0; label < labels; ++label)
      if (2 * count[label] > static_cast<double>(train.size())) most.push_back(label);
  } else if (labels > 0) {
    const double* best = std::max_element(count, count + labels);
    if (*best > 0) most.push_back(best - count);
  }
  return most;
}

}  // namespace

LabelIds::LabelIds(const std::vector<std::string>& labels) {
  for (std::size_t id = 0; id < labels.size(); ++id)
    ids_.emplace(labels[id], static_cast<std::int64_t>(id));
}

std::int64_t LabelIds::of(const std::string& label) const {
  const auto found = ids_.find(label);
  return found == ids_.end() ? kNoLabel : found->second;
}

LabelledData::LabelledData(std::shared_ptr<const Task> task, const Source& source, bool several,
                           std::string data::Example::*text)
    : Dataset(std::move(task), source),
      several_(several),
      labels_(static_cast<std::int64_t>(source.blueprint.architecture().labels().size())),
      text_(text),
      most_tokens_(source.blueprint.architecture().text_tokens()) {
  const models::Architecture& architecture = source.blueprint.architecture();
  if (architecture.segments()) {
    throw InputError("task: " + this->task().name() +
                     " is for models that choose a label; one of " + "the type \"" +
                     architecture.type() + "\" segments: segmentation is its task");
  }
  if (labels_ == 0) {
    throw InputError(
        "task: " + this->task().name() + " is for models with labels; one of the type \"" +
        architecture.type() + "\" " +
        (architecture.speech() ? "speaks: answer_generation is its task" : "has no head here") +
        ", and model.answers: data gives it the data's labels");
  }
  if (const auto speech = architecture.speech()) {
    writer_.emplace(*speech, source.language, source.prompt);
    image_tokens_ = speech->image_tokens;
  }
}

std::vector<std::int64_t> LabelledData::tokens(const Source& source,
                                               const data::Example& example) const {
  const std::string& text = example.*text_;
  if (writer_) {
    return writer_->prompt(text, static_cast<std::size_t>(image_tokens_ + most_tokens_),
                           tiles_of(example));
  }
  return most_tokens_ > 0 ? source.tokenizer.encode(text, static_cast<int>(most_tokens_))
                          : std::vector<std::int64_t>();
}

void LabelledData::add(const Source& source, const data::Example& example, Row row) {
  rows_.push_back(std::move(row));
  Dataset::add(example, tokens(source, example));
}

void LabelledData::finish(const Source& source, std::int64_t asked, const std::string& what) {
  asked_ = asked;
  if (size() == 0 && asked > 0) {
    throw InputError("no training example is left, as none of " + std::to_string(asked) + " has " +
                     what + " among the model's " + std::to_string(labels_) +
                     " labels (data.unseen_answers: drop)");
  }
  if (several_) {
    targets_ = torch::zeros({size(), labels_});
    for (std::int64_t i = 0; i < size(); ++i) {
      for (const std::int64_t label : row(i).truth)
        if (label != kNoLabel) targets_[i][label] = 1;
    }
  } else {
    std::vector<std::int64_t> labels;
    for (const Row& row : rows_)
      labels.push_back(row.truth.empty() ? kNoTarget : row.truth.front());
    targets_ = torch::tensor(labels, torch::kInt64);
  }
  Dataset::finish(source);
}

std::int64_t LabelledData::label(std::int64_t row) const {
  return targets_.data_ptr<std::int64_t>()[row];
}

bool LabelledData::accepts(std::int64_t row, const std::vector<std::int64_t>& labels) const {
  const std::vector<std::int64_t>& truth = this->row(row).truth;
  if (several_) {
    return labels.size() == truth.size() &&
           std::is_permutation(labels.begin(), labels.end(), truth.begin());
  }
  return labels.size() == 1 && std::find(truth.begin(), truth.end(), labels.front()) != truth.end();
}

Tensor LabelledData::counts() const {
  if (several_) return targets_.sum(0, /*keepdim=*/false, torch::kFloat64);
  Tensor counts = torch::zeros({labels_}, torch::kFloat64);
  auto* count = counts.data_ptr<double>();
  for (std::int64_t i = 0; i < size(); ++i)
    if (label(i) != kNoTarget) ++count[label(i)];
  return counts;
}

Tensor LabelledData::targets(const Tensor& rows) const {
  return targets_.index_select(0, rows);
}

Tensor Classification::losses(const models::State& output, const models::Batch& batch) const {
  const Tensor& logits = logits_of(output);
  if (!several(batch))
    return torch::cross_entropy_loss(logits, batch.labels, {}, at::Reduction::None);
  return torch::binary_cross_entropy_with_logits(logits, batch.labels, {}, {}, at::Reduction::None)
      .mean(1);
}

Tensor Classification::loss(const models::State& output, const models::Batch& batch,
                            const LossShape& shape) const {
  Tensor logits = logits_of(output);
  if (shape.calibration.defined()) logits = logits + shape.calibration;
  const bool plain = shape.focal_gamma == 0 && !shape.class_weights.defined();
  const auto focal = [&](const Tensor& each) {
    return shape.focal_gamma == 0 ? each : (1 - (-each).exp()).pow(shape.focal_gamma) * each;
  };
  if (several(batch)) {
    if (plain) return torch::binary_cross_entropy_with_logits(logits, batch.labels);
    return focal(torch::binary_cross_entropy_with_logits(logits, batch.labels, {}, {},
                                                         at::Reduction::None))
        .mean();
  }
  if (plain) return torch::cross_entropy_loss(logits, batch.labels);
  Tensor each = focal(torch::cross_entropy_loss(logits, batch.labels, {}, at::Reduction::None));
  if (shape.class_weights.defined())
    each = each * shape.class_weights.index_select(0, batch.labels.clamp_min(0));
  return each.sum() / batch.labels.ne(kNoTarget).sum();
}

Tensor Classification::class_weights(const Dataset& data) const {
  const LabelledData& labels = labelled(data);
  if (labels.several()) {
    throw InputError(
        "run.local.class_weights: balanced is for one label an example; these have several");
  }
  const Tensor counts = labels.counts(), occurs = counts > 0;
  const Tensor each = counts.sum() / (occurs.sum() * counts.clamp_min(1));
  return (each * occurs).to(torch::kFloat);
}

Tensor Classification::calibration(const Dataset& data) const {
  const LabelledData& labels = labelled(data);
  const Tensor counts = labels.counts() + 1;
  const Tensor others =
      labels.several() ? static_cast<double>(data.size()) + 2 - counts : counts.sum();
  return counts.div(others).log_().to(torch::kFloat);
}

Tensor Classification::outputs(const models::State& output, const models::Batch&) const {
  return logits_of(output);
}

std::vector<std::string> Classification::metrics() const {
  return metric_names(name_);
}

double Classification::value(const std::string& metric, const Tally& tally) const {
  return metric_of(metric).value(tally);
}

std::vector<bool> Classification::majority_right(const Dataset& train, const Dataset& test) const {
  const std::vector<std::int64_t> most = majority(labelled(train));
  std::vector<bool> right;
  for (std::int64_t row = 0; row < test.size(); ++row)
    right.push_back(labelled(test).accepts(row, most));
  return right;
}

void Classification::judge(const models::Model&, const models::State& output, const models::Batch&,
                           const std::vector<std::int64_t>& rows, Judgement& to) const {
  const Tensor outputs = logits_of(output).to(torch::kCPU, torch::kFloat).contiguous();
  const LabelledData& data = labelled(to.data);
  const std::int64_t count = outputs.size(1);
  const std::vector<const Metric*> metrics = metrics_of(name_);
  const float* logits = outputs.data_ptr<float>();
  for (const std::int64_t row : rows) {
    const Choice choice = choose(logits, count, data.several());
    const Outcome outcome{.truth = data.row(row).truth,
                          .chosen = choice.labels,
                          .logits = {logits, static_cast<std::size_t>(count)},
                          .several = data.several(),
                          .right = data.accepts(row, choice.labels),
                          .closed = data.row(row).closed};
    for (const Metric* metric : metrics) metric->add(outcome, to.tally);
    if (to.right) to.right->push_back(outcome.right);
    if (to.predictions) {
      to.predictions->push_back({truth_of(data.example(row)), names_of(choice.labels, to.labels),
                                 choice.log_probability,
                                 std::vector<double>(logits, logits + count)});
    }
    logits += count;
  }
}

}  // namespace strata::tasks
