#include "fedrunner/mpi.h"
#include "strata/core/error.h"

namespace strata::fedrunner {
namespace {

[[noreturn]] void refuse_mpi() {
  throw InputError(
      "--courier mpi: this strata was built without MPI; install libopenmpi-dev and openmpi-bin "
      "(scripts/install-dependencies does) and build it again");
}

}  // namespace

std::shared_ptr<Courier> open_mpi() {
  refuse_mpi();
}

void serve_mpi(const RunTools&, WorkerOptions) {
  refuse_mpi();
}

bool leads_mpi() {
  refuse_mpi();
}

}  // namespace strata::fedrunner
