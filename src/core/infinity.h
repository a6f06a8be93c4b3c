#pragma once
/// \file
/// The doubles that stand for "no bound" and "no value".

#include <limits>

namespace strata {

inline constexpr double kInfinity = std::numeric_limits<double>::infinity();
inline constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

}  // namespace strata
