#pragma once
/// \file
/// How a server reaches its clients: threads of its own process, the other ranks of an MPI job
/// (docs/cluster.md), or files that somebody carries (docs/pump.md).
/// \code
/// const RunTools tools;
/// assert(!open_courier("threads", tools, {}).remote);  // clients are threads of this process
/// const OpenCourier pump = open_courier("pump:mailbox", tools, {});
/// assert(pump.remote && pump.speaks && std::filesystem::is_directory("mailbox"));
/// \endcode

#include <memory>
#include <string>
#include <vector>

#include "strata/fedrunner/run.h"

namespace strata::fedrunner {

struct OpenCourier {
  std::shared_ptr<Courier> remote = nullptr;  ///< for RunOptions; none: clients are threads
  bool speaks = false;                        ///< standard output is its own: a line of JSON each
  bool only_works = false;  ///< this process answered orders until the server had no more
};

/// "threads", "mpi", "pump:FOLDER".
std::vector<std::string> courier_names();

/// The courier of that name; "" is threads, or mpi where mpirun or srun has started several
/// processes. With mpi a process of a rank above 0 answers orders before this returns: it scores
/// with `tools`, on the device of `options`, and `only_works` then. @throws InputError for an
/// unknown name, a folder that is no mailbox, a program that was built without MPI.
OpenCourier open_courier(const std::string& name, const RunTools& tools, const RunOptions& options);

}  // namespace strata::fedrunner
