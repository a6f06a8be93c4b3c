#include "tasks/image_text_classification.h"

#include "tasks/label_classification.h"

namespace strata::tasks {

TaskPtr image_text_classification() {
  static const TaskPtr task =
      label_classification("image_text_classification", &data::Example::text);
  return task;
}

}  // namespace strata::tasks
