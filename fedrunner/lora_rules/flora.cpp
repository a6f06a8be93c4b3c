#include "fedrunner/lora_rules/average_product.h"
#include "fedrunner/lora_rules/lora_rules.h"

namespace strata::fedrunner {
namespace {

MergedPair merged_by_flora(const PairUploads& uploads) {
  return {uploads.draw_a(), torch::zeros_like(uploads.mean_b), 0, average_product(uploads)};
}

}  // namespace

LoraRule flora_rule() {
  return {.value = LoraAverage::kFlora,
          .merge = merged_by_flora,
          .changes_base = true,
          .draws_anew = true};
}

}  // namespace strata::fedrunner
