#pragma once
// What autograd keeps, by the allocator's own account, beside what costs count.

#include <malloc.h>

#include <cmath>
#include <set>
#include <vector>

#include "catch.h"
#include "models/model.h"

namespace strata::test {

inline double heap_bytes() {
  const struct mallinfo2 info = mallinfo2();
  return static_cast<double>(info.uordblks + info.hblkhd);
}

/// Not of a build with sanitizers.
inline bool heap_is_known() {
  const double before = heap_bytes();
  const std::vector<char> block(1 << 20, 'x');
  return heap_bytes() - before >= (1 << 20);
}

/// Bytes that `forward`, which returns its result, leaves behind because autograd records it.
template <typename Forward>
double kept_bytes(const Forward& forward) {
  const auto left = [&](bool recording) {
    const torch::AutoGradMode mode(recording);
    const double before = heap_bytes();
    const auto result = forward();
    return heap_bytes() - before;
  };
  left(true);  // what libraries set up once
  const double with = left(true);
  return with - left(false);
}

/// What autograd keeps of a stage with the parameters that train now.
inline double kept_by_stage(const models::Model& model, const models::Batch& batch,
                            std::int64_t stage) {
  models::State input;
  {
    const torch::NoGradGuard no_grad;
    for (std::int64_t below = 0; below < stage; ++below)
      input = model.run_stage(below, batch, input);
  }
  return kept_bytes([&] {
    // The input belongs to what may be kept, so the stage gets the only handle of a copy.
    models::State own = input;
    for (auto& [name, value] : own.values) value = value.clone();
    // The output, too, stays only if autograd keeps it.
    torch::Tensor sum = torch::zeros({});
    for (const auto& [name, value] : model.run_stage(stage, batch, own).values)
      sum = sum + value.sum();
    return sum;
  });
}

/// Unit::activation_bytes of every unit above the first stage.
inline void check_activation_bytes(models::Model& model, const models::Batch& batch) {
  for (const Unit& unit : std::vector<Unit>(model.units())) {
    std::set<std::int64_t> stages;
    for (const std::string& parameter : unit.parameters) stages.insert(model.stage_of(parameter));
    if (stages.count(0)) continue;
    model.train_only({unit.name});
    double found = 0;
    for (const std::int64_t stage : stages) found += kept_by_stage(model, batch, stage);
    const double expected = static_cast<double>(batch.size()) * unit.activation_bytes;
    CAPTURE(unit.name, found, expected);
    CHECK(std::abs(found - expected) < 0.03 * expected + 16384);
  }
}

}  // namespace strata::test
