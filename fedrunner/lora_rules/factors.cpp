#include "fedrunner/lora_rules/drift.h"
#include "fedrunner/lora_rules/lora_rules.h"

namespace strata::fedrunner {

LoraRule factors_rule() {
  const auto merge = [](const PairUploads& uploads) -> MergedPair {
    const auto &a = uploads.mean_a, &b = uploads.mean_b;
    return {a, b, uploads.shares.size() > 1 ? drift(uploads, a, b) : 0};
  };
  return {.value = LoraAverage::kFactors, .merge = merge, .loss = "drift", .any_ranks = true};
}

}  // namespace strata::fedrunner
