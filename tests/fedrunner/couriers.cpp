#include "strata/fedrunner/couriers.h"

#include <cstdlib>
#include <filesystem>

#include "catch.h"
#include "fedrunner/without_mpi.h"
#include "strata/core/error.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::fedrunner;
using Catch::Matchers::Contains;

TEST_CASE("a courier has a name and, where it takes one, a folder behind a colon") {
  CHECK(courier_names() == std::vector<std::string>{"threads", "mpi", "pump:FOLDER"});
  CHECK(open_courier("threads", {}, {}).remote == nullptr);
  const test::TempDir dir;
  const OpenCourier pump = open_courier("pump:" + (dir / "mail").string(), {}, {});
  CHECK(pump.remote != nullptr);
  CHECK(pump.speaks);
  CHECK_FALSE(pump.only_works);
  CHECK(std::filesystem::is_directory(dir / "mail"));

  const auto refused = [](const std::string& name, const std::string& message) {
    CHECK_THROWS_WITH(open_courier(name, {}, {}), Contains(message));
    CHECK_THROWS_AS(open_courier(name, {}, {}), InputError);
  };
  refused("threads:4", "--courier threads:4: threads takes nothing behind it");
  refused("pump", "--courier pump: the mailbox is missing, as in pump:FOLDER");
  refused("pump:", "--courier pump: the mailbox is missing, as in pump:FOLDER");
  refused("pmup:mail", "--courier: unknown name \"pmup:mail\"");
  refused("pmup:mail", "\"pump:FOLDER\"");
}

TEST_CASE("without a name clients are threads, where no launcher has started several processes") {
  for (const char* variable :
       {"OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"})
    ::unsetenv(variable);
  CHECK(open_courier("", {}, {}).remote == nullptr);
  ::setenv("OMPI_COMM_WORLD_SIZE", "1", 1);
  CHECK(open_courier("", {}, {}).remote == nullptr);
  ::unsetenv("OMPI_COMM_WORLD_SIZE");
  // A batch script of Slurm's, which is started once and told how many tasks its step has.
  ::setenv("SLURM_STEP_NUM_TASKS", "4", 1);
  const OpenCourier script = open_courier("", {}, {});
  CHECK(script.remote == nullptr);
  CHECK_FALSE(script.only_works);
  ::unsetenv("SLURM_STEP_NUM_TASKS");
}

TEST_CASE("a program without MPI says what it takes to have it") {
  const std::string says =
      "--courier mpi: this strata was built without MPI; install libopenmpi-dev";
  CHECK_THROWS_WITH(open_without_mpi(), Contains(says));
  CHECK_THROWS_WITH(leads_without_mpi(), Contains(says));
  CHECK_THROWS_WITH(serve_without_mpi({}, {}), Contains(says));
}
