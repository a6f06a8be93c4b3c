#include "models/large_blocks.h"

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "catch.h"
#include "models/device.h"

using namespace strata::models;

namespace {

constexpr std::size_t kMiB = 1 << 20;

}  // namespace

TEST_CASE("a block that was given back serves the next of its size") {
  LargeBlocks blocks(8 * kMiB);
  void* const first = blocks.take(2 * kMiB);
  REQUIRE(first);
  CHECK(reinterpret_cast<std::uintptr_t>(first) % 4096 == 0);
  std::memset(first, 1, 2 * kMiB);
  void* const second = blocks.take(2 * kMiB);
  CHECK(second != first);
  CHECK(blocks.idle_bytes() == 0);
  blocks.give_back(first);
  CHECK(blocks.idle_bytes() == 2 * kMiB);
  void* const larger = blocks.take(3 * kMiB);
  std::memset(larger, 1, 3 * kMiB);
  CHECK(blocks.idle_bytes() == 2 * kMiB);
  CHECK(blocks.take(2 * kMiB - 5) == first);  // the same number of pages
  CHECK(blocks.idle_bytes() == 0);
}

TEST_CASE("no more is kept than was said, and the oldest goes first") {
  LargeBlocks blocks(8 * kMiB);
  void* const oldest = blocks.take(3 * kMiB);
  void* const middle = blocks.take(4 * kMiB);
  void* const newest = blocks.take(4 * kMiB);
  void* const huge = blocks.take(9 * kMiB);
  for (void* block : {oldest, middle, newest}) blocks.give_back(block);
  CHECK(blocks.idle_bytes() == 8 * kMiB);
  CHECK_FALSE(blocks.give_back(newest));
  CHECK(blocks.idle_bytes() == 8 * kMiB);
  CHECK(blocks.take(4 * kMiB) == newest);
  CHECK(blocks.take(4 * kMiB) == middle);
  blocks.give_back(huge);
  CHECK(blocks.idle_bytes() == 0);
}

TEST_CASE("what was let go is the system's again: a step's holes stay out of memory") {
  map_large_tensors();
  // From its first large block on that is let go, the C library takes such blocks from its heap.
  void* volatile const large = std::malloc(16 * kMiB);
  std::free(large);
  const auto resident = [] {
    reset_peak_memory(torch::kCPU);
    return peak_memory(torch::kCPU);
  };
  const std::int64_t before = resident();
  std::vector<torch::Tensor> kept;
  for (int i = 0; i < 40; ++i) {
    kept.push_back(torch::ones({1, 1 << 20}));  // 4 MiB
    kept.push_back(torch::ones({1, 5 << 18}));  // 5 MiB
  }
  CHECK(resident() - before > 350 * static_cast<std::int64_t>(kMiB));
  for (std::size_t i = 0; i < kept.size(); i += 2) kept[i] = torch::Tensor();
  CHECK(resident() - before < (200 + 64 + 8) * static_cast<std::int64_t>(kMiB));
}

TEST_CASE("threads take and give back side by side, and their blocks are their own") {
  LargeBlocks blocks(8 * kMiB);
  std::vector<int> wrong(4, 0);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 200; ++i) {
        auto* const block = static_cast<unsigned char*>(blocks.take((1 + i % 3) * kMiB));
        std::memset(block, t, 64);
        std::this_thread::yield();
        for (int k = 0; k < 64; ++k) wrong[static_cast<std::size_t>(t)] += block[k] != t;
        blocks.give_back(block);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(wrong == std::vector<int>(4, 0));
  CHECK(blocks.idle_bytes() <= 8 * kMiB);
}
