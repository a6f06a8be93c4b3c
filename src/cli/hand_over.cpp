#include "cli/hand_over.h"

#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>

#include "strata/core/error.h"

namespace strata::cli {

std::filesystem::path strata_torch_path() {
  return std::filesystem::canonical("/proc/self/exe").parent_path() / "strata-torch";
}

namespace {

/// OpenBLAS asks for its buffers again and again, for ever, where there is no room for them:
/// already while it is loaded, so that strata-torch itself cannot say so.
void check_address_space() {
  // LibTorch's libraries alone take 0.55 GiB; with 0.85 a run did not get beyond its first product.
  constexpr rlim_t kLeast = (rlim_t{11} << 30) / 10;
  rlimit limit{};
  if (::getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY ||
      limit.rlim_cur >= kLeast)
    return;
  throw WorkError("the address space is limited to " + std::to_string(limit.rlim_cur >> 20) +
                  " MiB (ulimit -v), but LibTorch needs at least " + std::to_string(kLeast >> 20));
}

}  // namespace

bool bound_spinning() {
  // About 10 µs: longer than threads that have a core of their own are apart.
  constexpr const char* kSpins = "1000";
  if (std::getenv("OMP_WAIT_POLICY") || std::getenv("GOMP_SPINCOUNT")) return false;
  return ::setenv("GOMP_SPINCOUNT", kSpins, 1) == 0;
}

void hand_over(char** argv) {
  check_address_space();
  const auto program = strata_torch_path();
  if (!std::filesystem::exists(program))
    throw WorkError(
        "this subcommand needs LibTorch, but there is no strata-torch beside this program: build "
        "with "
        "-DSTRATA_WITH_TORCH=ON (preset release)");
  bound_spinning();
  ::execv(program.c_str(), argv);
  throw WorkError(program.string() + ": cannot be started: " + std::strerror(errno));
}

}  // namespace strata::cli
