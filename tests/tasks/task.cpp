#include "tasks/task.h"

#include <numeric>

#include "catch.h"
#include "models/model.h"
#include "strata/core/error.h"
#include "tasks/tasks.h"

using namespace strata;
using namespace strata::tasks;
using Catch::Matchers::Contains;

namespace {

data::Manifest labelled(bool labels) {
  data::Manifest manifest;
  if (labels) manifest.classes = {"a", "b"};
  for (const char* split : {"train", "test", "train"}) {
    data::Example example;
    example.split = split;
    manifest.examples.push_back(example);
  }
  return manifest;
}

}  // namespace

TEST_CASE("a task is chosen by its name, or by what the data are") {
  CHECK(task_names() ==
        std::vector<std::string>{"auto", "answer_classification", "image_classification"});
  CHECK(choose_task("auto", labelled(false))->name() == "answer_classification");
  CHECK(choose_task("auto", labelled(true))->name() == "image_classification");
  CHECK(choose_task("image_classification", labelled(false))->name() == "image_classification");
  CHECK(reading_of("auto", "task") == data::Reading::kEither);
  CHECK(reading_of("answer_classification", "task") == data::Reading::kQuestions);
  CHECK(reading_of("image_classification", "task") == data::Reading::kLabels);
  CHECK_THROWS_WITH(reading_of("image_clasification", "--task"),
                    Contains("--task: unknown name \"image_clasification\" (did you mean "
                             "\"image_classification\"?)"));
}

TEST_CASE("a split is the examples of its name") {
  const data::Manifest manifest = labelled(true);
  CHECK(split_of(manifest, "train").examples == std::vector<int>{0, 2});
  CHECK(split_of(manifest, "test").examples == std::vector<int>{1});
}
