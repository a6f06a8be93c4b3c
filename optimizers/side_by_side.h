#pragma once
/// \file
/// Short pieces of work on several threads, many times a second. Internal.

#include <cstdint>
#include <functional>

namespace strata::optimizers {

/// Calls work(first, last) for pieces [first, last) that together are 0, …, count − 1, each once.
/// `steps` is what all of it takes, in inner steps: a build without TBB (no_tbb.cpp) starts threads
/// for much work alone, where one with TBB has them waiting. What `work` does for a piece must not
/// depend on the others.
void side_by_side(int count, std::int64_t steps, const std::function<void(int, int)>& work);

}  // namespace strata::optimizers
