#include "fedrunner/lora_rules/drift.h"
#include "fedrunner/lora_rules/lora_rules.h"

namespace strata::fedrunner {
namespace {

/// The uploads with shares by the norms of their products, or with their own where all are 0.
PairUploads by_norms(const PairUploads& uploads) {
  PairUploads weighted = uploads;
  double sum = 0;
  for (PairShare& share : weighted.shares) {
    share.share = product_norm({share.b}, {share.a});
    sum += share.share;
  }
  if (sum == 0) return uploads;
  for (PairShare& share : weighted.shares) share.share /= sum;
  return weighted;
}

MergedPair merged_by_hetlora(const PairUploads& uploads) {
  if (uploads.shares.size() == 1) return {uploads.mean_a, uploads.mean_b};
  const PairUploads weighted = by_norms(uploads);
  auto a = torch::zeros_like(uploads.mean_a), b = torch::zeros_like(uploads.mean_b);
  for (const auto& [own_a, own_b, share] : weighted.shares) {
    const auto rank = own_a.size(0);
    a.narrow(0, 0, rank).add_(own_a, share);
    b.narrow(1, 0, rank).add_(own_b, share);
  }
  return {a, b, drift(weighted, a, b)};
}

}  // namespace

LoraRule hetlora_rule() {
  return {.value = LoraAverage::kHetlora,
          .merge = merged_by_hetlora,
          .loss = "drift",
          .any_ranks = true};
}

}  // namespace strata::fedrunner
