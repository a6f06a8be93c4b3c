#include "tasks/image_classification.h"

#include "tasks/label_classification.h"

namespace strata::tasks {

TaskPtr image_classification() {
  static const TaskPtr task =
      label_classification("image_classification", &data::Example::question);
  return task;
}

}  // namespace strata::tasks
