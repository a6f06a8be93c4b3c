#pragma once
/// \file
/// Memory for large tensors. No LibTorch here but in large_blocks.cpp.

#include <cstddef>
#include <map>
#include <mutex>
#include <vector>

namespace strata::models {

/// Tensors of at least so many bytes get a block of their own.
inline constexpr std::size_t kLargeBlock = std::size_t{1} << 20;
/// So much of what has been let go is kept for tensors of the same size.
inline constexpr std::size_t kKeptBytes = std::size_t{64} << 20;

/// Blocks that are mapped one by one, and given back to the system but for the last few. In a heap
/// the activations of a training step, of many sizes and let go in another order, leave holes that
/// stay resident: twice the memory that a step of ViT-B/16 takes. Mapped and unmapped every time,
/// they cost a page fault for every page. May be used by several threads.
class LargeBlocks {
 public:
  explicit LargeBlocks(std::size_t kept_bytes = kKeptBytes) : kept_bytes_(kept_bytes) {}
  ~LargeBlocks();
  LargeBlocks(const LargeBlocks&) = delete;
  LargeBlocks& operator=(const LargeBlocks&) = delete;

  /// At least so many bytes, which begin a page; nullptr where the system has none left.
  void* take(std::size_t bytes);
  /// Of those kept, the ones that were given back first go to the system. False, and nothing done,
  /// for an address that was not taken.
  bool give_back(void* block);
  std::size_t idle_bytes() const;

 private:
  struct Block {
    void* begin;
    std::size_t bytes;
  };

  std::size_t kept_bytes_;
  mutable std::mutex mutex_;
  std::map<void*, std::size_t> taken_;
  std::vector<Block> idle_;  ///< the oldest first
  std::size_t idle_bytes_ = 0;
};

/// From now on LibTorch takes the memory of large tensors on the CPU from one LargeBlocks.
void map_large_tensors();

}  // namespace strata::models
