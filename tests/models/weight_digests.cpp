#include "models/weight_digests.h"

#include "catch.h"
#include "strata/core/sha256.h"
#include "support/tiny_model.h"

using namespace strata;
using namespace strata::models;
using torch::Tensor;

TEST_CASE("a tensor is read once for as long as it stays what it is") {
  WeightDigests digests;
  const torch::NoGradGuard no_grad;
  Tensor tensor = torch::arange(6, torch::kFloat).view({2, 3});
  const std::string expected =
      sha256_hex({static_cast<const char*>(tensor.data_ptr()), tensor.nbytes()});
  const auto reads = [&](const Tensor& of) {
    const std::int64_t before = digests.hashed_bytes();
    const std::string digest = digests.of(of);
    return std::pair(digests.hashed_bytes() - before, digest);
  };
  CHECK(reads(tensor) == std::pair(std::int64_t{24}, expected));
  CHECK(reads(tensor) == std::pair(std::int64_t{0}, expected));
  CHECK(reads(tensor.detach()) == std::pair(std::int64_t{0}, expected));
  // A copy is other memory; so is what is changed, through whichever handle.
  CHECK(reads(tensor.clone()) == std::pair(std::int64_t{24}, expected));
  Tensor handle = tensor.detach();
  handle.add_(1);
  const auto [bytes, changed] = reads(tensor);
  CHECK(bytes == 24);
  CHECK(changed != expected);
  handle.sub_(1);
  CHECK(reads(tensor).second == expected);
  // Its first row, and its transpose, begin where it does.
  CHECK(reads(tensor[0]).second != expected);
  CHECK(reads(tensor).second == expected);
  CHECK(reads(tensor.t()).second != expected);
}

TEST_CASE("memory that another tensor has taken over is another's") {
  WeightDigests digests;
  std::set<std::string> seen;
  std::set<const void*> addresses;
  for (int i = 0; i < 50; ++i) {
    const Tensor tensor = torch::full({1000}, i);
    addresses.insert(tensor.data_ptr());
    seen.insert(digests.of(tensor.to(torch::kFloat)));
  }
  CHECK(seen.size() == 50);
  CHECK(digests.hashed_bytes() == 50 * 4000);
}

TEST_CASE("short numbers are digested as float32") {
  WeightDigests digests;
  const Tensor wide = torch::randn({10}).to(torch::kBFloat16).to(torch::kFloat);
  CHECK(digests.of(wide.to(torch::kBFloat16)) == digests.of(wide));
}

TEST_CASE("a scored round reads its state anew, and the base once for all copies of a model") {
  Model base = test::make_model(test::narrow_shape("vit"), 1);
  const std::int64_t all = 4 * base.blueprint().parameter_count();
  const std::string begin = base.fingerprint();
  CHECK(base.digests().hashed_bytes() == all);
  Model one = base, other = base;
  std::set<std::string> names;
  std::int64_t state = 0;
  for (const std::string& name : base.unit("block.3").parameters) {
    names.insert(name);
    state += 4 * base.weight(name).numel();
  }
  one.own(names);
  other.own(names);
  CHECK(one.fingerprint() == begin);
  CHECK(base.digests().hashed_bytes() == all + state);
  for (int round = 1; round <= 3; ++round) {
    CAPTURE(round);
    const torch::NoGradGuard no_grad;
    Weights trained;
    for (const std::string& name : names) trained[name] = one.weight(name) + 1;
    one.load_state(trained);
    CHECK(one.fingerprint() != begin);
    CHECK(base.digests().hashed_bytes() == all + (1 + round) * state);
  }
  CHECK(other.fingerprint() == begin);
  CHECK(base.fingerprint() == begin);
  CHECK(base.digests().hashed_bytes() == all + 5 * state);
}
