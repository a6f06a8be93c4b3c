#include "tasks/tasks.h"

#include <stdexcept>

#include "strata/core/error.h"
#include "tasks/answer_classification.h"
#include "tasks/answer_generation.h"
#include "tasks/image_classification.h"
#include "tasks/image_text_classification.h"
#include "tasks/segmentation.h"

namespace strata::tasks {
namespace {

constexpr const char* kAuto = "auto";

struct TaskRow {
  TaskPtr (*task)(const AnsweringOptions& answering);
  data::Reading reading;  ///< what of a data set is the task's
  bool in_words = false;  ///< a model answers so, not by its labels
};

template <TaskPtr (*task)()>
TaskPtr without_answering(const AnsweringOptions&) {
  return task();
}

// A further task is a file and a row. "auto" takes the first whose examples the data have.
constexpr TaskRow kTasks[] = {
    {without_answering<answer_classification>, data::Reading::kQuestions},
    {without_answering<image_classification>, data::Reading::kLabels},
    {without_answering<image_text_classification>, data::Reading::kLabelledTexts},
    {without_answering<segmentation>, data::Reading::kMasks},
    {answer_generation, data::Reading::kQuestions, /*in_words=*/true},
};

const TaskRow& row_of(const std::string& name) {
  for (const TaskRow& row : kTasks)
    if (row.task({})->name() == name) return row;
  throw std::out_of_range(name);
}

}  // namespace

std::vector<std::string> task_names() {
  std::vector<std::string> names = {kAuto};
  for (const TaskRow& row : kTasks) names.push_back(row.task({})->name());
  return names;
}

data::Reading reading_of(const std::string& name, const std::string& where) {
  require_name(where, name, task_names());
  return name == kAuto ? data::Reading::kEither : row_of(name).reading;
}

bool is_in_words(const std::string& name) {
  return name != kAuto && row_of(name).in_words;
}

TaskPtr choose_task(const std::string& name, const data::Manifest& manifest,
                    const AnsweringOptions& answering) {
  const auto task = [&] {
    if (name != kAuto) return row_of(name).task(answering);
    const auto found = manifest.has_masks()    ? data::Reading::kMasks
                       : manifest.has_labels() ? data::Reading::kLabels
                                               : data::Reading::kQuestions;
    for (const TaskRow& row : kTasks)
      if (row.reading == found) return row.task(answering);
    throw std::logic_error("no task for the data");
  }();
  const std::string speaks = answer_generation()->name();
  if (answering != AnsweringOptions{} && task->name() != speaks)
    throw InputError("answering: its options are for the task " + speaks + ", but the task is " +
                     task->name());
  return task;
}

}  // namespace strata::tasks
