#include "fedrunner/lora_rules/average_product.h"
#include "fedrunner/lora_rules/lora_rules.h"

namespace strata::fedrunner {
namespace {

MergedPair merged_by_fedex(const PairUploads& uploads) {
  const auto &a = uploads.mean_a, &b = uploads.mean_b;
  if (uploads.shares.size() == 1) return {a, b};
  return {a, b, 0, average_product(uploads) - torch::matmul(b, a)};
}

}  // namespace

LoraRule fedex_rule() {
  return {.value = LoraAverage::kFedex, .merge = merged_by_fedex, .changes_base = true};
}

}  // namespace strata::fedrunner
