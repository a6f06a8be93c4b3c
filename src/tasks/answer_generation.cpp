#include "tasks/answer_generation.h"

#include <algorithm>
#include <map>

#include "models/generation.h"
#include "models/model.h"
#include "strata/core/error.h"
#include "tasks/answer_words.h"
#include "tasks/dataset.h"
#include "tasks/metrics/metrics.h"
#include "tasks/prompts.h"

namespace strata::tasks {
namespace {

using torch::Tensor;

constexpr std::int64_t kNoWord = -100;  // in Batch::labels: nobody asks for it
const std::string kWords = "answer_generation";

/// Questions with their answers as texts.
class SpokenData : public Dataset {
 public:
  SpokenData(std::shared_ptr<const Task> task, const Source& source)
      : Dataset(std::move(task), source),
        writer_(*source.blueprint.architecture().speech(), source.language, source.prompt),
        image_tokens_(source.blueprint.architecture().speech()->image_tokens),
        most_(image_tokens_ + source.blueprint.architecture().text_tokens()) {}

  void add(const Source& source, const data::Example& example) {
    Written written = writer_.with_answer(example.question, example.answers.front());
    if (static_cast<std::int64_t>(written.ids.size()) > most_) {
      throw InputError((source.manifest.folder / example.image).string() + ", question \"" +
                       example.question + "\": prompt and answer have " +
                       std::to_string(written.ids.size()) + " tokens, the model reads at most " +
                       std::to_string(most_));
    }
    begins_.push_back(static_cast<std::int64_t>(written.answer));
    prompts_.push_back(std::move(written.prompt));
    Dataset::add(example, std::move(written.ids));
  }
  void finish(const Source& source, std::int64_t asked) {
    asked_ = asked;
    Dataset::finish(source);
  }

  bool has_target(std::int64_t) const override { return true; }
  /// Beside the images'.
  std::int64_t max_tokens() const override { return Dataset::max_tokens() - image_tokens_; }

  /// The questions alone, padded on the left, with the images of a batch of the same rows.
  models::Batch prompts(const std::vector<std::int64_t>& rows, models::Batch batch) const {
    std::size_t longest = 0;
    for (const std::int64_t row : rows)
      longest = std::max(longest, prompts_[static_cast<std::size_t>(row)].size());
    const auto n = static_cast<std::int64_t>(rows.size()),
               width = static_cast<std::int64_t>(longest);
    Tensor ids = torch::zeros({n, width}, torch::kInt64), mask = torch::zeros({n, width});
    for (std::int64_t i = 0; i < n; ++i) {
      const auto& own = prompts_[static_cast<std::size_t>(rows[static_cast<std::size_t>(i)])];
      const auto length = static_cast<std::int64_t>(own.size());
      ids[i].narrow(0, width - length, length).copy_(torch::tensor(own, torch::kInt64));
      mask[i].narrow(0, width - length, length).fill_(1);
    }
    const auto device = batch.pixels.device();
    return {ids.to(device), mask.to(device), batch.pixels, Tensor(), batch.grids};
  }
  const PromptWriter& writer() const { return writer_; }

 protected:
  Tensor targets(const Tensor&) const override { return {}; }
  /// labels: the answer's tokens where they stand, kNoWord elsewhere.
  void complete(models::Batch& batch, const std::vector<std::int64_t>& rows) const override {
    std::vector<std::int64_t> begins;
    for (const std::int64_t row : rows) begins.push_back(begins_[static_cast<std::size_t>(row)]);
    const Tensor begin = torch::tensor(begins, torch::kInt64).to(batch.input_ids.device());
    const Tensor place =
        torch::arange(batch.input_ids.size(1), batch.input_ids.options()).unsqueeze(0);
    batch.answers = (place >= begin.unsqueeze(1)).logical_and(batch.attention_mask > 0);
    batch.labels = batch.input_ids.masked_fill(batch.answers.logical_not(), kNoWord);
    // As many of each sample, whose rows then stand together: behind the end of a shorter answer
    // the first token is asked about, which is no answer's.
    const Tensor lengths = batch.answers.sum(1, /*keepdim=*/true);
    const Tensor count = torch::arange(lengths.max().item<std::int64_t>(), place.options());
    const Tensor places = torch::where(count.unsqueeze(0) < lengths, begin.unsqueeze(1) - 1 + count,
                                       torch::zeros_like(count));
    const Tensor samples = torch::arange(places.size(0), place.options()).unsqueeze(1);
    batch.outputs = torch::stack({samples.expand_as(places), places}, 2).view({-1, 2});
  }

 private:
  PromptWriter writer_;
  std::int64_t image_tokens_, most_;
  std::vector<std::int64_t> begins_;                // of the answer, in each row's ids
  std::vector<std::vector<std::int64_t>> prompts_;  // of each row
};

const SpokenData& spoken(const Dataset& data) {
  return static_cast<const SpokenData&>(data);
}

bool accepts(const data::Example& example, const std::string& text) {
  return std::any_of(example.answers.begin(), example.answers.end(),
                     [&](const std::string& answer) { return same_answer(answer, text); });
}

class AnswerGeneration : public Task {
 public:
  const std::string& name() const override { return kWords; }
  std::vector<std::string> labels(const std::vector<Split>&) const override { return {}; }

  std::unique_ptr<Dataset> encode(const std::vector<int>& indices,
                                  const Source& source) const override {
    const models::Architecture& architecture = source.blueprint.architecture();
    if (!architecture.labels().empty() || !architecture.speech() || !source.language) {
      throw InputError("task: " + kWords + " is for models that speak; one of the type \"" +
                       source.blueprint.architecture().type() + "\" chooses among labels");
    }
    auto data = std::make_unique<SpokenData>(shared_from_this(), source);
    for (const int index : indices)
      data->add(source, source.manifest.examples.at(static_cast<std::size_t>(index)));
    data->finish(source, static_cast<std::int64_t>(indices.size()));
    return data;
  }

  /// Sums over each sample's tokens.
  Tensor losses(const models::State& output, const models::Batch& batch) const override {
    const Tensor& logits = output.values.at(models::kTokenLogits);
    const Tensor sample = batch.outputs.select(1, 0), place = batch.outputs.select(1, 1);
    const Tensor targets = batch.labels.index({sample, place + 1});
    const Tensor of_tokens = torch::cross_entropy_loss(logits, targets, {}, at::Reduction::None);
    return torch::zeros({batch.size()}, of_tokens.options()).index_add(0, sample, of_tokens);
  }
  using Task::loss;
  Tensor loss(const models::State& output, const models::Batch& batch,
              const Tensor&) const override {
    return losses(output, batch).mean();
  }
  Tensor calibration(const Dataset&) const override {
    throw InputError("run.local.calibrate_labels: " + kWords + " has no labels to calibrate");
  }
  Tensor outputs(const models::State& output, const models::Batch& batch) const override {
    return -losses(output, batch).unsqueeze(1);
  }

  std::vector<std::string> metrics() const override { return metric_names(kWords); }
  double value(const std::string& metric, const Tally& tally) const override {
    return metric_of(metric).value(tally);
  }

  /// The most frequent first answer; of equally frequent ones the first by its bytes.
  std::vector<bool> majority_right(const Dataset& train, const Dataset& test) const override {
    std::map<std::string, std::int64_t> counts;
    for (std::int64_t row = 0; row < train.size(); ++row)
      ++counts[train.example(row).answers.front()];
    std::string most;
    std::int64_t count = 0;
    for (const auto& [answer, times] : counts)
      if (times > count) most = answer, count = times;
    std::vector<bool> right;
    for (std::int64_t row = 0; row < test.size(); ++row)
      right.push_back(accepts(test.example(row), most));
    return right;
  }

 protected:
  void judge(const models::Model& model, const models::State&, const models::Batch& batch,
             const std::vector<std::int64_t>& rows, Judgement& to) const override {
    const SpokenData& data = spoken(to.data);
    models::GenerationOptions options;
    options.most_tokens = kMostAnswerTokens;
    options.ends = {model.architecture().speech()->end_token};
    const auto answers = models::generate(model, data.prompts(rows, batch), options);
    const std::vector<const Metric*> metrics = metrics_of(kWords);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const data::Example& example = data.example(rows[i]);
      const std::string text = data.writer().text(answers[i].tokens);
      const std::vector<std::int64_t> none;
      const Outcome outcome{.truth = none,
                            .chosen = none,
                            .logits = {},
                            .right = accepts(example, text),
                            .closed = example.closed(),
                            .answers = &example.answers,
                            .text = text};
      for (const Metric* metric : metrics) metric->add(outcome, to.tally);
      if (to.right) to.right->push_back(outcome.right);
      if (to.predictions)
        to.predictions->push_back({example.answers, {text}, answers[i].log_likelihood, {}});
    }
  }
};

}  // namespace

TaskPtr answer_generation() {
  static const TaskPtr task = std::make_shared<const AnswerGeneration>();
  return task;
}

}  // namespace strata::tasks
