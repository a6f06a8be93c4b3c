#include "fedrunner/streams.h"

#include <set>

#include "catch.h"
#include "strata/core/random.h"

using namespace strata;
using namespace strata::fedrunner;

TEST_CASE("a stream has its purpose, its round and its client as keys") {
  // As the first runs had it: other seeds would change what they resume to.
  CHECK(stream(1, Purpose::kTrain, 2, "ct") ==
        derive_seed(derive_seed(derive_seed(1, "train"), {2}), "ct"));
  CHECK(stream(1, Purpose::kPlan, 2) == derive_seed(derive_seed(derive_seed(1, "plan"), {2}), ""));
  std::set<std::uint64_t> seeds;
  for (const auto purpose : {Purpose::kScore, Purpose::kPlan, Purpose::kDropout, Purpose::kTrain,
                             Purpose::kFailures, Purpose::kLora}) {
    for (const int round : {1, 2}) {
      for (const char* client : {"ct", "mri"}) seeds.insert(stream(3, purpose, round, client));
    }
  }
  CHECK(seeds.size() == 24);
}
