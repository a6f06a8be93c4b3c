#include "core/system_random.h"

#include <sys/random.h>

#include <cerrno>
#include <cmath>
#include <cstring>
#include <string>

#include "strata/core/error.h"

namespace strata {

std::uint64_t SystemRandom::bits() {
  if (next_ == drawn_.size()) {
    drawn_.resize(4096);
    char* bytes = reinterpret_cast<char*>(drawn_.data());
    const std::size_t size = drawn_.size() * sizeof(std::uint64_t);
    for (std::size_t done = 0; done < size;) {
      const auto count = ::getrandom(bytes + done, size - done, 0);
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0)
        throw WorkError(std::string("the system gives no random numbers: ") + std::strerror(errno));
      done += static_cast<std::size_t>(count);
    }
    next_ = 0;
  }
  // What was given away is not kept.
  const std::uint64_t value = drawn_[next_];
  drawn_[next_++] = 0;
  return value;
}

double SystemRandom::normal() {
  if (has_spare_) {
    has_spare_ = false;
    return spare_;
  }
  // Box and Muller's, of a radius that is never infinite.
  const double radius = std::sqrt(-2 * std::log(1 - uniform()));
  const double angle = 2 * M_PI * uniform();
  spare_ = radius * std::sin(angle);
  has_spare_ = true;
  return radius * std::cos(angle);
}

}  // namespace strata
