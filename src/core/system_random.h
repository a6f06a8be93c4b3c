#pragma once
/// \file
/// Random numbers of the operating system, which nobody can draw again: for noise that is to hide
/// something.

#include <cstddef>
#include <cstdint>
#include <vector>

namespace strata {

class SystemRandom {
 public:
  /// @throws WorkError where the system gives none
  std::uint64_t bits();
  /// In [0, 1), of 53 bits.
  double uniform() { return static_cast<double>(bits() >> 11) * 0x1p-53; }
  /// Of the standard normal distribution.
  double normal();

 private:
  std::vector<std::uint64_t> drawn_;
  std::size_t next_ = 0;
  double spare_ = 0;
  bool has_spare_ = false;
};

}  // namespace strata
