#include "tasks/answer_classification.h"

#include <set>

#include "strata/core/error.h"
#include "tasks/classification.h"

namespace strata::tasks {
namespace {

class AnswerClassification : public Classification {
 public:
  AnswerClassification() : Classification("answer_classification") {}

  /// All first answers, sorted.
  std::vector<std::string> labels(const std::vector<Split>& training) const override {
    std::set<std::string> answers;
    for (const Split& split : training) {
      for (const int i : split.examples)
        answers.insert(split.manifest.examples[static_cast<std::size_t>(i)].answers.front());
    }
    return {answers.begin(), answers.end()};
  }

  std::unique_ptr<Dataset> encode(const std::vector<int>& indices,
                                  const Source& source) const override {
    const std::vector<std::string>& known = source.blueprint.architecture().labels();
    const LabelIds ids(known);
    auto data = std::make_unique<LabelledData>(shared_from_this(), source, /*several=*/false);
    for (const int index : indices) {
      const data::Example& example = source.manifest.examples.at(static_cast<std::size_t>(index));
      LabelledData::Row row{{}, example.closed()};
      for (const std::string& answer : example.answers)
        if (const std::int64_t id = ids.of(answer); id != kNoLabel) row.truth.push_back(id);
      if (!row.truth.empty()) {
        data->add(source, example, std::move(row));
      } else {
        data->add_unseen(source, example, std::move(row),
                         [&] { refuse(source.manifest, example, known); });
      }
    }
    data->finish(source, static_cast<std::int64_t>(indices.size()), "an answer");
    return data;
  }

 protected:
  std::vector<std::string> truth_of(const data::Example& example) const override {
    return example.answers;
  }

 private:
  [[noreturn]] static void refuse(const data::Manifest& manifest, const data::Example& example,
                                  const std::vector<std::string>& known) {
    const std::string answer = example.answers.empty() ? "" : example.answers.front();
    throw InputError((manifest.folder / example.image).string() + ", question \"" +
                     example.question + "\": the answer \"" + answer +
                     "\" is not one of the model's " + std::to_string(known.size()) + " labels" +
                     did_you_mean(answer, known) +
                     "; data.unseen_answers: drop (strata score: --unseen-answers drop) passes "
                     "over such questions, model.answers: "
                     "data makes a label of every training answer");
  }
};

}  // namespace

TaskPtr answer_classification() {
  static const TaskPtr task = std::make_shared<const AnswerClassification>();
  return task;
}

}  // namespace strata::tasks
