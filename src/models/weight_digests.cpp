#include "models/weight_digests.h"

#include "models/tensor_bytes.h"
#include "strata/core/sha256.h"

namespace strata::models {

using torch::Tensor;

bool WeightDigests::Known::is(const Tensor& tensor) const {
  return !storage.expired() &&
         storage._unsafe_get_target() == tensor.storage().unsafeGetStorageImpl() &&
         version == tensor._version() && type == tensor.scalar_type() && tensor.sizes() == sizes &&
         tensor.strides() == strides;
}

std::string WeightDigests::of(const Tensor& tensor) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = known_.find(tensor.data_ptr());
  if (found != known_.end() && found->second.is(tensor)) return found->second.digest;
  for (auto entry = known_.begin(); entry != known_.end();)
    entry = entry->second.storage.expired() ? known_.erase(entry) : std::next(entry);
  const Tensor values = plain(tensor);
  hashed_bytes_ += static_cast<std::int64_t>(values.nbytes());
  const std::string digest = sha256_hex(bytes_of(values));
  known_.insert_or_assign(
      tensor.data_ptr(),
      Known{tensor.storage().getWeakStorageImpl(), static_cast<std::int64_t>(tensor._version()),
            tensor.sizes().vec(), tensor.strides().vec(), tensor.scalar_type(), digest});
  release_pages(tensor);
  return digest;
}

std::int64_t WeightDigests::hashed_bytes() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return hashed_bytes_;
}

}  // namespace strata::models
