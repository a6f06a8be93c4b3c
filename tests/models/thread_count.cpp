#include "models/thread_count.h"

#include "catch.h"
#include "models/cost.h"
#include "support/tiny_model.h"

using namespace strata;
using namespace strata::models;

namespace {

/// dandelin/vilt-b32-finetuned-vqa.
double published() {
  return block_flops(test::ModelShape());
}

/// FLOPs of a block of the model of configs/demo.yaml, or of another size.
double model(std::int64_t hidden, std::int64_t layers = 12) {
  test::ModelShape config;
  config.hidden_size = hidden;
  config.num_hidden_layers = layers;
  config.num_attention_heads = 4;
  config.intermediate_size = 2 * hidden;
  config.image_size = 64;
  config.patch_size = 16;
  config.max_position_embeddings = 16;
  return block_flops(config);
}

}  // namespace

TEST_CASE("a small model with few samples gets one thread, a published one every core") {
  CHECK(fed_threads(model(64), 8, 16) == 1);
  CHECK(fed_threads(model(16), 32, 2) == 1);
  // dandelin/vilt-b32-finetuned-vqa, one sample: 12 × 2.2 GFLOPs.
  CHECK(fed_threads(published(), 1, 16) == 16);
  CHECK(fed_threads(published(), 32, 64) == 64);
}

TEST_CASE("threads grow with the samples and with the model, from one to as many as there may be") {
  for (const int most : {1, 2, 3, 8, 64}) {
    int before = 1;
    for (std::int64_t rows = 1; rows <= 4096; rows *= 2) {
      const int threads = fed_threads(model(64), rows, most);
      CHECK(threads >= before);
      CHECK(threads <= most);
      CHECK(threads <= fed_threads(model(128), rows, most));
      before = threads;
    }
    CHECK(before == most);
  }
  // Layers follow one another: more of them feed no more threads.
  CHECK(fed_threads(model(64, 24), 64, 64) == fed_threads(model(64, 12), 64, 64));
}

TEST_CASE("as many samples as there are threads feed them as one feeds one") {
  const int one = fed_threads(model(64), 256, 1000);
  REQUIRE(one > 1);
  CHECK(fed_threads(model(64), 4 * 256, 1000) >= 4 * one);
  CHECK(fed_threads(model(64), 4 * 256, 1000) < 4 * (one + 1));
}

TEST_CASE("cores go to pieces side by side first, and to one product where it is large") {
  const auto is = [](const CoreShares& shares, int threads, int parallel) {
    CHECK(shares.threads == threads);
    CHECK(shares.parallel == parallel);
  };
  is(share_cores(model(64), 32, 9, 2), 1, 2);
  is(share_cores(model(64), 32, 3, 16), 1, 3);
  is(share_cores(model(64), 32, 0, 16), 1, 1);
  // A product of 467 million FLOPs is worth two threads only if no other piece is there for them.
  is(share_cores(model(384), 32, 9, 2), 1, 2);
  is(share_cores(model(384), 32, 1, 2), 2, 1);
  is(share_cores(model(384), 32, 2, 16), 8, 2);
  // A published ViLT takes every core for each product.
  is(share_cores(published(), 32, 9, 16), 16, 1);
  for (const int cores : {1, 2, 3, 8, 64}) {
    for (const std::int64_t rows : {1, 32, 1024}) {
      const CoreShares shares = share_cores(model(192), rows, 5, cores);
      CHECK(shares.threads * shares.parallel <= cores);
    }
  }
}
