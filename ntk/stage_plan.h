#pragma once
/// \file
/// What of a stage is differentiated together within the memory, and which units' kernels are never
/// formed: decided on sizes alone. Internal.

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "ntk/lntk.h"
#include "strata/core/unit.h"

namespace strata::ntk {

/// J is multiplied by itself a block of this size at a time, which a last-level cache holds.
constexpr std::int64_t kLargestChunk = 32 << 20;

/// A size in bytes that was reckoned with as a double, whole.
inline std::int64_t whole_bytes(double bytes) {
  return static_cast<std::int64_t>(std::ceil(bytes));
}

/// Sizes of an operation for any number of samples.
struct OpShape {
  std::string weight, bias;  ///< to differentiate by; "" for none
  std::size_t output = 0;    ///< operations with the same number share an output
  double tokens = 0, in = 0, out = 0;
  bool factored = false;  ///< the weight's Jacobian is kept as input and δ
  double row_tokens = 1;  ///< otherwise: its width over `out`
  bool patches = false;   ///< the rows are made from images when they are used
};

/// Operations that share a weight or an output: their δ's are needed together. They are split by
/// columns of the output, over which a kernel is a sum.
struct Cluster {
  std::vector<std::size_t> ops;
  std::set<std::size_t> outputs;
  std::int64_t columns = 0;
  double column_bytes = 0;  ///< of the δ's

  double bytes() const { return column_bytes * static_cast<double>(columns); }
};

/// Part of a stage's work for one sweep of K backward passes through it.
struct Part {
  std::size_t cluster;
  std::int64_t begin, size;  ///< columns
};
using Group = std::vector<Part>;

struct StagePlan {
  std::vector<Cluster> clusters;
  /// Every column of every cluster once; empty where the memory is too small, or nothing is to do.
  std::vector<Group> groups;
  std::set<std::size_t> by_lanczos;  ///< units
  std::int64_t chunk_bytes = 0;      ///< for add_gram
  double kernel_multiply_adds = 0;
  double bytes = 0, least_bytes = 0;  ///< that it takes; below which there is no plan
};

/// A stage, and what the plan is for.
struct StageSizes {
  const std::vector<OpShape>& ops;
  const std::vector<Unit>& units;
  std::set<std::size_t> here;   ///< units with weights in the stage
  std::set<std::size_t> whole;  ///< those of them with all their weights in it
  double samples = 0, outputs = 0;
  double element_bytes = 0;
  double fixed_bytes = 0;  ///< held whatever the plan is
};

/// O(units · operations). Units go by block Lanczos where that costs less than their kernel, or
/// `options.method` wants it, as long as all their δ's fit at once.
StagePlan plan_stage(const StageSizes& stage, const LntkOptions& options);

}  // namespace strata::ntk
