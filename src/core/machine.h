#pragma once
/// \file
/// The machine that this runs on. Internal.

#include <cstdint>

namespace strata {

/// Bytes of memory that it has, used or not.
std::uint64_t physical_memory();

}  // namespace strata
