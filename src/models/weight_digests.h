#pragma once
/// \file
/// Digests of weights, each computed once for as long as its tensor does not change.

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "models/torch.h"

namespace strata::models {

/// Shared by the copies of a model, so that the base they share is read once, whoever asks first.
/// A tensor is known again by its memory and autograd's count of its changes in place; who writes
/// through a pointer after it was asked for is not noticed. May be used by several threads.
class WeightDigests {
 public:
  /// SHA-256, in hex, of the tensor's numbers as float32, row-major: the same in any type that
  /// holds them.
  std::string of(const torch::Tensor& tensor);
  /// How many bytes have been read for it so far.
  std::int64_t hashed_bytes() const;

 private:
  struct Known {
    c10::weak_intrusive_ptr<c10::StorageImpl> storage;  ///< its address is not another's meanwhile
    std::int64_t version;
    std::vector<std::int64_t> sizes, strides;
    torch::ScalarType type;
    std::string digest;
    bool is(const torch::Tensor& tensor) const;
  };

  mutable std::mutex mutex_;
  std::map<const void*, Known> known_;  ///< by where the numbers begin
  std::int64_t hashed_bytes_ = 0;
};

}  // namespace strata::models
