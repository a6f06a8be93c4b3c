#pragma once
/// \file
/// `model`: what is trained, and what is put beside it.

#include <cstdint>
#include <memory>
#include <string>

#include "core/fields.h"
#include "models/architecture.h"
#include "peft/methods.h"

namespace strata::experiment {

/// What the foundation is to answer: what its configuration lists, or the data's training answers,
/// with a fresh output layer.
enum class Answers { kOwn, kData };

struct ModelConfig {
  std::string folder;  ///< empty when the file does not say
  Answers answers = Answers::kOwn;
  std::int64_t image_size = 0;  ///< of images; 0: the foundation's
  std::uint64_t seed = 1;       ///< of a fresh output layer
  /// nullptr, or without labels and the number of words, which the data bring.
  std::shared_ptr<const models::Architecture> architecture;
  peft::Methods peft;  ///< what runs add to the foundation, with fresh weights from their seed
};

const Fields<ModelConfig>& model_fields();

}  // namespace strata::experiment
