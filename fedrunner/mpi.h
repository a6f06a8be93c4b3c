#pragma once
/// \file
/// Clients in the other processes of an MPI job. mpi.cpp where CMake found MPI, no_mpi.cpp
/// elsewhere.

#include <memory>

#include "fedrunner/courier.h"
#include "fedrunner/worker.h"

namespace strata::fedrunner {

/// Rank 0's courier: every other rank hosts clients. A client stays with its rank, which then reads
/// the client's data once. Rank 0 waits without computing, so a job of n clients at a time has n +
/// 1 processes. Starts MPI. @throws InputError where the program was built without it, or the job
/// has one process.
std::shared_ptr<Courier> open_mpi();

/// Of any other rank: answers orders until rank 0 has no more. On a CUDA device it takes that of
/// its place on the machine, counted round. @throws InputError as open_mpi.
void serve_mpi(const RunTools& tools, WorkerOptions options);

/// Whether this is rank 0; starts MPI. @throws InputError as open_mpi.
bool leads_mpi();

}  // namespace strata::fedrunner
