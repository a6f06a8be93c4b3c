#include "fedrunner/lora_rules/average_product.h"
#include "fedrunner/lora_rules/lora_rules.h"

namespace strata::fedrunner {
namespace {

MergedPair merged_by_flora(const PairUploads& uploads) {
  const torch::Tensor a = uploads.draw_a();
  const auto b = torch::zeros({uploads.mean_b.size(0), a.size(0)}, a.options());
  return {a, b, 0, average_product(uploads)};
}

}  // namespace

LoraRule flora_rule() {
  return {.value = LoraAverage::kFlora,
          .merge = merged_by_flora,
          .changes_base = true,
          .draws_anew = true,
          .any_ranks = true};
}

}  // namespace strata::fedrunner
