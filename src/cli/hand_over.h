#pragma once
/// \file
/// From the torch-free `strata` to `strata-torch` beside it.

#include <filesystem>

namespace strata {

/// Where strata-torch is expected: in the folder of this program, symbolic links resolved.
std::filesystem::path strata_torch_path();

/// Replaces this process by strata-torch with the same arguments. Returns only by throwing.
/// @throws WorkError naming the build option when strata-torch is not there or cannot be started, or
/// `ulimit -v` allows less address space than LibTorch needs.
[[noreturn]] void hand_over(char** argv);

}  // namespace strata
