#pragma once
// Questions as a data set, with its labels in reach.

#include <memory>
#include <vector>

#include "tasks/answer_classification.h"
#include "tasks/classification.h"

namespace strata::test {

inline const tasks::Task& answering() {
  return *tasks::answer_classification();
}

using Answers = std::shared_ptr<const tasks::LabelledData>;

inline Answers answers(const data::Manifest& manifest, const std::vector<int>& indices,
                       const models::Blueprint& blueprint, const data::WordPiece& tokenizer,
                       bool drop_unseen = false) {
  std::shared_ptr<const tasks::Dataset> data = tasks::answer_classification()->encode(
      indices, {manifest, blueprint, tokenizer, drop_unseen, nullptr});
  return std::dynamic_pointer_cast<const tasks::LabelledData>(data);
}

}  // namespace strata::test
