// The memory that lntk.h and importance_metrics.h promise to keep to, measured: LibTorch's
// allocator counts.

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>

#include "catch.h"
#include "ntk/importance_metrics.h"
#include "ntk/lntk.h"
#include "strata/core/error.h"
#include "support/answers.h"
#include "support/tiny_model.h"

using namespace strata;
using namespace strata::models;
using namespace strata::ntk;
using Catch::Matchers::Contains;
using torch::Tensor;

namespace {

/// Counts the bytes of all tensors. LibTorch keeps the pointer, so there is one for the process.
class CountingAllocator : public at::Allocator {
 public:
  // Constant until LibTorch 2.3, and not from then on; so neither is marked as an override.
  at::DataPtr allocate(std::size_t bytes) const { return counted(bytes); }
  at::DataPtr allocate(std::size_t bytes) { return counted(bytes); }
  at::DeleterFnPtr raw_deleter() const override { return &release; }
  void copy_data(void* to, const void* from, std::size_t bytes) const {
    std::memcpy(to, from, bytes);
  }

  /// The most bytes that `work` holds at a time beyond those before it.
  template <typename Work>
  static double peak_of(const Work& work) {
    static CountingAllocator* const allocator = [] {
      auto* made = new CountingAllocator;
      c10::SetCPUAllocator(made, 255);
      return made;
    }();
    REQUIRE(c10::GetCPUAllocator() == allocator);
    const std::int64_t before = held_;
    peak_ = before;
    work();
    return static_cast<double>(peak_ - before);
  }

 private:
  /// Before the data, and a multiple of their alignment: how many they are.
  static constexpr std::size_t kHeader = 64;

  static at::DataPtr counted(std::size_t bytes) {
    const std::size_t whole = (bytes + 2 * kHeader - 1) / kHeader * kHeader;
    auto* block = static_cast<char*>(std::aligned_alloc(kHeader, whole));
    if (!block) throw std::bad_alloc();
    std::memcpy(block, &bytes, sizeof bytes);
    const std::int64_t now = held_ += static_cast<std::int64_t>(bytes);
    for (std::int64_t peak = peak_; now > peak && !peak_.compare_exchange_weak(peak, now);) {
    }
    return {block + kHeader, block + kHeader, &release, at::Device(at::kCPU)};
  }

  static void release(void* data) {
    if (!data) return;
    char* block = static_cast<char*>(data) - kHeader;
    std::size_t bytes;
    std::memcpy(&bytes, block, sizeof bytes);
    held_ -= static_cast<std::int64_t>(bytes);
    std::free(block);
  }

  static inline std::atomic<std::int64_t> held_ = 0, peak_ = 0;
};

test::ModelShape small_config(std::int64_t labels) {
  test::ModelShape config;
  config.hidden_size = 16;
  config.num_attention_heads = 2;
  config.num_hidden_layers = 2;
  config.intermediate_size = 32;
  config.image_size = 8;
  config.patch_size = 4;
  config.vocab_size = 20;
  config.max_position_embeddings = 12;
  config.initializer_range = 0.2;
  for (std::int64_t i = 0; i < labels; ++i) config.labels.push_back("answer " + std::to_string(i));
  return config;
}

Batch small_batch(std::int64_t n) {
  torch::manual_seed(6);
  return {torch::randint(1, 19, {n, 7}, torch::kInt64), torch::ones({n, 7}),
          torch::randn({n, 3, 8, 8}), torch::zeros({n}, torch::kInt64)};
}

}  // namespace

TEST_CASE("the counting allocator sees what a tensor holds, and that it lets go") {
  Tensor kept;
  const double peak = CountingAllocator::peak_of([&] {
    kept = torch::zeros({1000});
    torch::zeros({5000}).sum();
  });
  CHECK(peak >= 24000);
  CHECK(peak < 25000);
  CHECK(CountingAllocator::peak_of([&] { kept = torch::Tensor(); }) == 0);
  CHECK(CountingAllocator::peak_of([] { torch::zeros({1000}); }) < 5000);
}

TEST_CASE("the layerwise kernels keep to their memory limit") {
  // 288 rows: a kernel has 660 kB, more than a block's activations.
  const std::int64_t samples = 12;
  const Model model = test::make_model(small_config(24), 5);
  const Batch batch = small_batch(samples);
  double activations = 0;
  for (const Unit& unit : model.units()) {
    activations = std::max(activations, static_cast<double>(samples) * unit.activation_bytes);
  }
  LntkOptions options;
  const auto peak = [&] {
    return CountingAllocator::peak_of(
        [&] { layerwise_spectra(model, test::answering(), batch, model.units(), options); });
  };
  for (const NtkMethod method : {NtkMethod::kGram, NtkMethod::kLanczos}) {
    options.method = method;
    options.memory_bytes = LntkOptions().memory_bytes;
    const ScoreEstimate roomy =
        estimate_spectra(model, test::answering(), batch, samples, model.units(), options);
    for (const double share : {1.0, 0.1, 0.0}) {
      options.memory_bytes =
          roomy.least_bytes +
          static_cast<std::int64_t>(share * static_cast<double>(roomy.bytes - roomy.least_bytes));
      const double found = peak(), limit = static_cast<double>(options.memory_bytes);
      CAPTURE(share, found, limit, activations);
      CHECK(found <= limit + 1.5 * activations);
      // With room to spare much of the limit is a last-level cache's panels, which are small here.
      if (share < 0.5) CHECK(found >= 0.4 * limit);
      if (share == 0.0) {
        options.memory_bytes -= 1;
        CHECK_THROWS_AS(peak(), WorkError);
        CHECK_THROWS_WITH(peak(),
                          Contains(std::to_string(roomy.least_bytes) + " bytes are needed"));
      }
    }
  }
}

TEST_CASE("the other metrics keep to the memory that they plan") {
  const Model model = test::make_model(small_config(3), 5);
  const Batch batch = small_batch(24);
  for (const std::string& metric : importance_metrics()) {
    ImportanceOptions options;
    options.memory_bytes =
        plan_importance(model, batch, 24, model.units(), {metric}, options).bytes;
    for (int step = 0; step < 3; ++step) {
      const ImportancePlan plan =
          plan_importance(model, batch, 24, model.units(), {metric}, options);
      const double found = CountingAllocator::peak_of([&] {
        importance_scores(model, test::answering(), batch, model.units(), {metric}, options);
      });
      CAPTURE(metric, step, found, plan.bytes, plan.least_bytes);
      CHECK(found <= 1.1 * static_cast<double>(plan.bytes));
      CHECK(found >= 0.3 * static_cast<double>(plan.bytes));
      options.memory_bytes = (plan.bytes + plan.least_bytes) / 2;
    }
  }
}
