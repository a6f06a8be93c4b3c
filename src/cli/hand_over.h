#pragma once
/// \file
/// From the torch-free `strata` to `strata-torch` beside it.

#include <filesystem>

namespace strata::cli {

/// Where strata-torch is expected: in the folder of this program, symbolic links resolved.
std::filesystem::path strata_torch_path();

/// LibTorch's OpenMP threads wait for each other by spinning, for milliseconds: beside another busy
/// program they keep each other from the cores, and a command takes many times as long. Sets
/// GOMP_SPINCOUNT, by which GNU's OpenMP soon puts them to sleep, unless the environment says
/// already how threads wait (OMP_WAIT_POLICY or GOMP_SPINCOUNT); true if it did. OpenMP reads its
/// variables when it is loaded, so only a program that is started afterwards heeds them.
bool bound_spinning();

/// Replaces this process by strata-torch with the same arguments. Returns only by throwing.
/// Bounds the spinning of its threads.
/// @throws WorkError naming the build option when strata-torch is not there or cannot be started,
/// or `ulimit -v` allows less address space than LibTorch needs.
[[noreturn]] void hand_over(char** argv);

}  // namespace strata::cli
