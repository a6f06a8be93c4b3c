#pragma once
/// \file
/// SHA-256 (FIPS 180-4), for fingerprints of models and score tables.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace strata {

/// \code
/// Sha256 hash;
/// hash.update("a");
/// hash.update("bc");
/// assert(hash.hex() == sha256_hex("abc"));
/// assert(sha256_hex("abc").substr(0, 8) == "ba7816bf");
/// \endcode
class Sha256 {
 public:
  Sha256();
  void update(std::string_view bytes);
  /// Hex digest; the object must not be used afterwards.
  std::string hex();

 private:
  void block(const unsigned char* data);
  std::uint32_t state_[8];
  std::uint64_t length_ = 0;
  unsigned char buffer_[64];
  std::size_t buffered_ = 0;
};

std::string sha256_hex(std::string_view bytes);

}  // namespace strata
