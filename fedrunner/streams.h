#pragma once
/// \file
/// The random streams of a run.

#include <cstdint>
#include <string>

namespace strata::fedrunner {

/// What random numbers are for.
enum class Purpose { kScore, kPlan, kDropout, kTrain, kFailures, kLora };

/// The seed of one stream. Streams are keyed by what they are for, never by the strategy or by what
/// ran before: strategies are compared on the same batches, and a resumed run needs no generator
/// state. Of a whole round the client is "".
std::uint64_t stream(std::uint64_t seed, Purpose purpose, int round,
                     const std::string& client = "");

}  // namespace strata::fedrunner
