#pragma once
/// \file
/// Clients in the other processes of an MPI job. mpi.cpp where CMake found MPI, no_mpi.cpp
/// elsewhere.

#include <memory>

#include "fedrunner/courier.h"
#include "fedrunner/worker.h"

namespace strata::fedrunner {

/// How many processes the launcher (Open MPI's mpirun, Slurm's srun with PMIx or PMI-2) has started
/// with this one; 1: none has. Of the environment alone: MPI is not started.
int mpi_job_size();

/// Rank 0's: every other rank hosts clients. A client stays with its rank, which then reads the
/// client's data once. Rank 0 waits without computing, so a job of n clients at a time has n + 1
/// processes.
class MpiCourier : public Courier {
 public:
  bool remote() const override { return true; }
};

/// Starts MPI in the job's rank 0. @throws InputError where the program was built without it, or
/// the job has one process.
std::shared_ptr<MpiCourier> open_mpi();

/// Of any other rank: answers orders until rank 0 has no more. On a CUDA device it takes that of
/// its place on the machine, counted round. @throws InputError as open_mpi.
void serve_mpi(const RunTools& tools, WorkerOptions options);

/// Whether this is rank 0; starts MPI. @throws InputError as open_mpi.
bool leads_mpi();

}  // namespace strata::fedrunner
