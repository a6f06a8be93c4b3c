#pragma once
/// \file
/// `pretrain`: the central training of a foundation.

#include <cstdint>
#include <string>
#include <vector>

#include "core/fields.h"
#include "experiment/training_options.h"

namespace strata::experiment {

/// `pretrain.data` that is the public share of `data.folder`.
inline const std::string kPublicData = "public";

struct PretrainConfig {
  std::string from;  ///< the model to begin with, which gets a fresh output layer; "" for none
  std::string data;  ///< "public" or a folder; "" without epochs
  std::vector<std::string> vocabulary;
  std::int64_t epochs = 0;
  TrainingOptions training = {.warmup = 0.05, .schedule = Schedule::kCosine};
  std::int64_t evaluate_every = 1;  ///< epochs
  std::uint64_t seed = 1;
};

const Fields<PretrainConfig>& pretrain_fields();

}  // namespace strata::experiment
