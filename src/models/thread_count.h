#pragma once
/// \file
/// How many threads a model's work feeds. No LibTorch here.

#include <cstdint>

namespace strata::models {

/// Threads that share every matrix product, of at most `most`: one more for every kFlopsPerThread
/// (thread_count.cpp) of a block's mean product on a batch of `rows` samples, at least 1.
/// `block_flops` are those of one sample (models/cost.h). A block has eight products (query, key,
/// value, their two, the output, the two of the MLP); each of them starts and joins all threads,
/// which costs more than it saves where it is small. Depends on the arguments alone: the number of
/// threads decides how sums are split, and so the last bits of results.
int fed_threads(double block_flops, std::int64_t rows, int most);

/// How `cores` are used for work of `pieces` that need not wait for each other (a round's clients,
/// parts of a batch): `parallel` of them at a time, each with so many `threads`. A product of one
/// piece on all cores is worth its waiting only where it is large, so pieces come first until a
/// product has kFlopsForCore for each core; threads are then as many as fed_threads says.
struct CoreShares {
  int threads = 1;
  int parallel = 1;
};
CoreShares share_cores(double block_flops, std::int64_t rows, std::int64_t pieces, int cores);

/// Cores of this machine that the process may use, at least 1.
int core_count();

}  // namespace strata::models
