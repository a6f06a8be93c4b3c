#include "fedrunner/streams.h"

#include "core/choices.h"
#include "strata/core/random.h"

namespace strata::fedrunner {
namespace {

/// The keys of the streams: other ones would change every run.
const Choices<Purpose>& purposes() {
  static const Choices<Purpose> table({{Purpose::kScore, "score"},
                                       {Purpose::kPlan, "plan"},
                                       {Purpose::kDropout, "dropout"},
                                       {Purpose::kTrain, "train"},
                                       {Purpose::kFailures, "failures"},
                                       {Purpose::kLora, "lora"}});
  return table;
}

}  // namespace

std::uint64_t stream(std::uint64_t seed, Purpose purpose, int round, const std::string& client) {
  const std::uint64_t of_purpose = derive_seed(seed, purposes().name(purpose));
  return derive_seed(derive_seed(of_purpose, {static_cast<std::uint64_t>(round)}), client);
}

}  // namespace strata::fedrunner
