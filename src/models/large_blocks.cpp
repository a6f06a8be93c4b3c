#include "models/large_blocks.h"

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace strata::models {
namespace {

constexpr std::size_t kPage = 4096;

/// Lives as long as the process: tensors of static lifetime give their blocks back at its end.
LargeBlocks& blocks() {
  static auto* const all = new LargeBlocks;
  return *all;
}

/// Of large tensors and others: LibTorch wants one function for both.
void release(void* data) {
  const bool begins_page = reinterpret_cast<std::uintptr_t>(data) % kPage == 0;
  if (data && begins_page && blocks().give_back(data)) return;
  c10::GetDefaultCPUAllocator()->raw_deleter()(data);
}

/// LibTorch's own, but for large tensors.
class TensorAllocator : public c10::Allocator {
 public:
  // Constant until LibTorch 2.3, and not from then on; so neither is marked as an override.
  c10::DataPtr allocate(std::size_t bytes) const { return made(bytes); }
  c10::DataPtr allocate(std::size_t bytes) { return made(bytes); }
  c10::DeleterFnPtr raw_deleter() const override { return &release; }
  void copy_data(void* to, const void* from, std::size_t bytes) const {
    std::memcpy(to, from, bytes);
  }

 private:
  static c10::DataPtr made(std::size_t bytes) {
    void* data = bytes >= kLargeBlock ? blocks().take(bytes) : nullptr;
    if (!data) data = c10::GetDefaultCPUAllocator()->raw_allocate(bytes);
    return {data, data, &release, c10::Device(c10::DeviceType::CPU)};
  }
};

}  // namespace

LargeBlocks::~LargeBlocks() {
  for (const Block& block : idle_) ::munmap(block.begin, block.bytes);
}

void* LargeBlocks::take(std::size_t bytes) {
  const std::size_t whole = (bytes + kPage - 1) / kPage * kPage;
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto kept = std::find_if(idle_.rbegin(), idle_.rend(),
                                 [&](const Block& block) { return block.bytes == whole; });
  void* begin = nullptr;
  if (kept != idle_.rend()) {
    begin = kept->begin;
    idle_bytes_ -= whole;
    idle_.erase(std::next(kept).base());
  } else {
    begin = ::mmap(nullptr, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (begin == MAP_FAILED) return nullptr;
  }
  taken_[begin] = whole;
  return begin;
}

bool LargeBlocks::give_back(void* block) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = taken_.find(block);
  if (found == taken_.end()) return false;
  idle_.push_back({block, found->second});
  idle_bytes_ += found->second;
  taken_.erase(found);
  while (idle_bytes_ > kept_bytes_) {
    const Block oldest = idle_.front();
    idle_.erase(idle_.begin());
    idle_bytes_ -= oldest.bytes;
    ::munmap(oldest.begin, oldest.bytes);
  }
  return true;
}

std::size_t LargeBlocks::idle_bytes() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return idle_bytes_;
}

void map_large_tensors() {
  static TensorAllocator allocator;
  c10::SetCPUAllocator(&allocator, /*priority=*/200);
}

}  // namespace strata::models
