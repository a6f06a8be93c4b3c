#include "tasks/answer_generation.h"

#include <algorithm>
#include <numeric>
#include <set>

#include "models/generation.h"
#include "models/model.h"
#include "strata/core/error.h"
#include "tasks/answer_words.h"
#include "tasks/loss_shape.h"
#include "tasks/metrics/metrics.h"
#include "tasks/rowwise_task.h"
#include "tasks/spoken_data.h"

namespace strata::tasks {
namespace {

using models::Tokens;
using torch::Tensor;

const std::string kWords = "answer_generation";

const SpokenData& spoken(const Dataset& data) {
  return static_cast<const SpokenData&>(data);
}

bool accepts(const data::Example& example, const std::string& text) {
  return std::any_of(example.answers.begin(), example.answers.end(),
                     [&](const std::string& answer) { return same_answer(answer, text); });
}

/// What an evaluation takes as the answer.
struct Answer {
  std::string text;
  double log_likelihood;
};

std::vector<Answer> say(const models::Model& model, const models::Prompted& prompted,
                        const SpokenData& data, const AnsweringOptions& answering) {
  const models::Speech speech = *model.architecture().speech();
  models::GenerationOptions options;
  options.beams = answering.beams;
  options.most_tokens = answering.most_tokens;
  options.ends = {speech.end_token};
  std::vector<Answer> answers;
  for (const models::Generated& generated : prompted.generate(options))
    answers.push_back({data.writer().text(generated.tokens), generated.log_likelihood});
  return answers;
}

/// The `count` answers of a list whose first tokens are likeliest, in the list's order.
std::vector<std::size_t> best_begun(const AnswerList& list, const float* first,
                                    std::int64_t count) {
  std::vector<std::size_t> order(list.texts.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  if (static_cast<std::int64_t>(order.size()) <= count) return order;
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return first[list.tokens[a].front()] > first[list.tokens[b].front()];
  });
  order.resize(static_cast<std::size_t>(count));
  std::sort(order.begin(), order.end());
  return order;
}

std::vector<Answer> rank(const models::Prompted& prompted, const AnswerList& list,
                         std::int64_t candidates) {
  const Tensor first = prompted.first_log_likelihoods().to(torch::kCPU).contiguous();
  std::vector<std::vector<std::size_t>> chosen;
  std::vector<std::vector<Tokens>> tokens;
  for (std::int64_t i = 0; i < first.size(0); ++i) {
    chosen.push_back(best_begun(list, first[i].data_ptr<float>(), candidates));
    auto& own = tokens.emplace_back();
    for (const std::size_t answer : chosen.back()) own.push_back(list.tokens[answer]);
  }
  const auto found = prompted.log_likelihoods(tokens);
  std::vector<Answer> answers;
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    const auto best = std::max_element(found[i].begin(), found[i].end());
    answers.push_back(
        {list.texts[chosen[i][static_cast<std::size_t>(best - found[i].begin())]], *best});
  }
  return answers;
}

/// "yes" or "no" as a closed question's accepted answer writes it, and the other one, which is
/// wrong; nothing of other questions.
std::optional<std::pair<std::string, std::string>> yes_or_no(const data::Example& example) {
  if (!example.closed()) return std::nullopt;
  for (const std::string& answer : example.answers) {
    for (const bool yes : {true, false}) {
      if (!same_answer(answer, yes ? "yes" : "no")) continue;
      const bool capital = answer.front() == 'Y' || answer.front() == 'N';
      const std::string texts[] = {capital ? "No" : "no", capital ? "Yes" : "yes"};
      return std::pair(texts[yes], texts[!yes]);
    }
  }
  return std::nullopt;
}

/// See Outcome::right_is_likelier.
std::vector<std::optional<bool>> right_is_likelier(const models::Prompted& prompted,
                                                   const SpokenData& data,
                                                   const std::vector<std::int64_t>& rows) {
  std::vector<std::vector<Tokens>> tokens;
  bool any = false;
  for (const std::int64_t row : rows) {
    auto& own = tokens.emplace_back();
    const auto pair = yes_or_no(data.example(row));
    any = any || pair;
    if (pair) own = {data.writer().answer(pair->first), data.writer().answer(pair->second)};
  }
  std::vector<std::optional<bool>> likelier(rows.size());
  if (!any) return likelier;
  const auto found = prompted.log_likelihoods(tokens);
  for (std::size_t i = 0; i < rows.size(); ++i)
    if (!found[i].empty()) likelier[i] = found[i][0] > found[i][1];
  return likelier;
}

class AnswerGeneration : public RowwiseTask {
 public:
  explicit AnswerGeneration(const AnsweringOptions& options) : options_(options) {
    if (!options.answer_list.empty()) list_ = read_answer_list(options.answer_list);
  }

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
    if (options_.method == Answering::kRank) data->set_list(list_of(source.manifest));
    return data;
  }

  Tensor losses(const models::State& output, const models::Batch& batch) const override {
    return -outputs(output, batch).squeeze(1);
  }
  using Task::loss;
  Tensor loss(const models::State& output, const models::Batch& batch,
              const LossShape& shape) const override {
    if (shape.focal_gamma > 0) {
      throw InputError("run.local.focal_gamma: " + kWords + " has no labels, of which it is");
    }
    return losses(output, batch).mean();
  }
  Tensor class_weights(const Dataset&) const override {
    throw InputError("run.local.class_weights: " + kWords + " has no labels to weigh");
  }
  Tensor calibration(const Dataset&) const override {
    throw InputError("run.local.calibrate_labels: " + kWords + " has no labels to calibrate");
  }
  Tensor outputs(const models::State& output, const models::Batch& batch) const override {
    const Tensor each =
        torch::cross_entropy_loss(output.values.at(models::kTokenLogits), batch.labels.view(-1), {},
                                  at::Reduction::None, kNoWord);
    return -each.view(batch.labels.sizes()).sum(2);
  }

  std::vector<std::string> metrics() const override { return metric_names(kWords); }
  double value(const std::string& metric, const Tally& tally) const override {
    return metric_of(metric).value(tally);
  }

  /// The most frequent first answer; of equally frequent ones the first by its bytes.
  std::vector<bool> majority_right(const Dataset& train, const Dataset& test) const override {
    const std::string most = most_frequent_answers(train, 1).front();
    std::vector<bool> right;
    for (std::int64_t row = 0; row < test.size(); ++row)
      right.push_back(accepts(test.example(row), most));
    return right;
  }

 protected:
  void judge(const models::Model& model, const models::State&, const models::Batch& batch,
             const std::vector<std::int64_t>& rows, Judgement& to) const override {
    const SpokenData& data = spoken(to.data);
    const models::Prompted prompted(model, data.prompts(rows, batch));
    const std::vector<Answer> answers = options_.method == Answering::kRank
                                            ? rank(prompted, data.list(), options_.candidates)
                                            : say(model, prompted, data, options_);
    const auto likelier = right_is_likelier(prompted, data, rows);
    const std::vector<const Metric*> metrics = metrics_of(kWords);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const data::Example& example = data.example(rows[i]);
      const std::string& text = answers[i].text;
      const std::vector<std::int64_t> none;
      const Outcome outcome{.truth = none,
                            .chosen = none,
                            .logits = {},
                            .right = accepts(example, text),
                            .closed = example.closed(),
                            .answers = &example.answers,
                            .text = text,
                            .right_is_likelier = likelier[i]};
      for (const Metric* metric : metrics) metric->add(outcome, to.tally);
      if (to.right) to.right->push_back(outcome.right);
      if (to.predictions)
        to.predictions->push_back({example.answers, {text}, answers[i].log_likelihood, {}});
    }
  }

 private:
  std::vector<std::string> list_of(const data::Manifest& manifest) const {
    if (!list_.empty()) return list_;
    std::set<std::string> answers;
    for (const data::Example& example : manifest.examples)
      if (example.trains()) answers.insert(example.answers.front());
    if (answers.empty())
      throw InputError(
          "answering: the data have no training examples, whose answers would be "
          "ranked; answer_list names a file of answers");
    return {answers.begin(), answers.end()};
  }

  AnsweringOptions options_;
  std::vector<std::string> list_;  ///< of the options' file
};

}  // namespace

TaskPtr answer_generation(const AnsweringOptions& options) {
  return std::make_shared<const AnswerGeneration>(options);
}

}  // namespace strata::tasks
