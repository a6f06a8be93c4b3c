#include "cli/hand_over.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "strata/core/error.h"

namespace strata {

std::filesystem::path strata_torch_path() {
  return std::filesystem::canonical("/proc/self/exe").parent_path() / "strata-torch";
}

void hand_over(char** argv) {
  const auto program = strata_torch_path();
  if (!std::filesystem::exists(program))
    throw WorkError(
        "this subcommand needs LibTorch, but there is no strata-torch beside this program: build "
        "with "
        "-DSTRATA_WITH_TORCH=ON (preset release)");
  ::execv(program.c_str(), argv);
  throw WorkError(program.string() + ": cannot be started: " + std::strerror(errno));
}

}  // namespace strata
