#pragma once
/// \file
/// Seeds that nobody knows.

#include <cstdint>
#include <random>

namespace strata::cli {

/// 64 bits of the system's random device.
inline std::uint64_t system_seed() {
  std::random_device device;
  return (std::uint64_t{device()} << 32) | device();
}

}  // namespace strata::cli
