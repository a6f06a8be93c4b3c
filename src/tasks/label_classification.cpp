#include "tasks/label_classification.h"

#include <algorithm>

#include "strata/core/error.h"
#include "tasks/classification.h"

namespace strata::tasks {
namespace {

class LabelClassification : public Classification {
 public:
  LabelClassification(std::string name, std::string data::Example::*text)
      : Classification(std::move(name)), text_(text) {}

  /// All classes in the data sets' order, also those of which there is no example.
  std::vector<std::string> labels(const std::vector<Split>& training) const override {
    std::vector<std::string> classes;
    for (const Split& split : training) {
      for (const std::string& name : split.manifest.classes)
        if (std::find(classes.begin(), classes.end(), name) == classes.end())
          classes.push_back(name);
    }
    return classes;
  }

  std::unique_ptr<Dataset> encode(const std::vector<int>& indices,
                                  const Source& source) const override {
    const std::vector<std::string>& known = source.blueprint.architecture().labels();
    const LabelIds ids(known);
    const bool several = source.manifest.multi_label;
    auto data = std::make_unique<LabelledData>(shared_from_this(), source, several, text_);
    for (const int index : indices) {
      const data::Example& example = source.manifest.examples.at(static_cast<std::size_t>(index));
      LabelledData::Row row;
      std::string unseen;
      for (const std::string& label : example.labels) {
        const std::int64_t id = ids.of(label);
        if (id == kNoLabel) unseen = label;
        // A choice of several that leaves one out is wrong; one that is missing cannot be right.
        if (id != kNoLabel || several) row.truth.push_back(id);
      }
      if (unseen.empty()) {
        data->add(source, example, std::move(row));
      } else {
        data->add_unseen(source, example, std::move(row),
                         [&] { refuse(source.manifest, example, unseen, known); });
      }
    }
    data->finish(source, static_cast<std::int64_t>(indices.size()), "a class");
    return data;
  }

 protected:
  std::vector<std::string> truth_of(const data::Example& example) const override {
    return example.labels;
  }

 private:
  [[noreturn]] static void refuse(const data::Manifest& manifest, const data::Example& example,
                                  const std::string& label, const std::vector<std::string>& known) {
    throw InputError((manifest.folder / example.image).string() + ": the class \"" + label +
                     "\" is not one of the model's " + std::to_string(known.size()) + " labels" +
                     did_you_mean(label, known) +
                     "; model.answers: data makes a label of every class, data.unseen_answers: "
                     "drop (strata score: --unseen-answers drop) passes over such images");
  }

  std::string data::Example::*text_;
};

}  // namespace

TaskPtr label_classification(const std::string& name, std::string data::Example::*text) {
  return std::make_shared<const LabelClassification>(name, text);
}

}  // namespace strata::tasks
