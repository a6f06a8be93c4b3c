#pragma once
/// \file
/// Independent pieces of work on several threads. Internal.

#include <functional>

namespace strata {

/// Calls work(0), …, work(count - 1), each once, on `threads` threads (0: as many as the machine
/// has). If some throw, no further one is begun, and the error of the smallest index is rethrown at
/// the end, so that what a user reads does not depend on the threads either. A noted signal ends it
/// likewise (core/interrupt.h).
void parallel_for(int count, int threads, const std::function<void(int)>& work);

}  // namespace strata
