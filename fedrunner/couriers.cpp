#include "strata/fedrunner/couriers.h"

#include <cstdlib>
#include <iostream>

#include "fedrunner/mpi.h"
#include "fedrunner/pump.h"
#include "strata/core/error.h"

namespace strata::fedrunner {
namespace {

OpenCourier open_threads(const std::string&, const RunTools&, const RunOptions&) {
  return {};
}

OpenCourier open_job(const std::string&, const RunTools& tools, const RunOptions& options) {
  if (leads_mpi()) return {.remote = open_mpi()};
  WorkerOptions worker;
  worker.device = options.device;
  worker.threads = options.threads;
  worker.spill = options.spill;
  serve_mpi(tools, worker);
  return {.only_works = true};
}

OpenCourier open_pump(const std::string& folder, const RunTools&, const RunOptions&) {
  if (folder.empty()) throw InputError("--courier pump: the mailbox is missing, as in pump:FOLDER");
  return {.remote = std::make_shared<Pump>(folder, std::cout, std::cin), .speaks = true};
}

struct CourierRow {
  const char* name;
  const char* argument;  ///< behind a colon; "" where there is none
  OpenCourier (*open)(const std::string& argument, const RunTools&, const RunOptions&);
};

constexpr CourierRow kThreads = {"threads", "", open_threads};
constexpr CourierRow kMpi = {"mpi", "", open_job};
constexpr CourierRow kCouriers[] = {kThreads, kMpi, {"pump", "FOLDER", open_pump}};

/// How many processes the launcher (Open MPI's mpirun, Slurm's srun with PMIx or PMI-2) has started
/// with this one; 1: none has. Of the environment alone: MPI is not started.
int mpi_job_size() {
  const auto number = [](const char* variable) {
    const char* text = std::getenv(variable);
    return text ? std::atoi(text) : 0;
  };
  if (const int size = number("OMPI_COMM_WORLD_SIZE")) return size;
  // Of a batch script itself Slurm says how many tasks it has, and starts it once.
  if (!std::getenv("PMIX_RANK") && !std::getenv("PMI_RANK")) return 1;
  for (const char* variable : {"PMI_SIZE", "SLURM_STEP_NUM_TASKS"})
    if (const int size = number(variable)) return size;
  return 1;
}

}  // namespace

std::vector<std::string> courier_names() {
  std::vector<std::string> names;
  for (const auto& row : kCouriers) {
    const std::string argument = row.argument;
    names.push_back(row.name + (argument.empty() ? "" : ":" + argument));
  }
  return names;
}

OpenCourier open_courier(const std::string& name, const RunTools& tools,
                         const RunOptions& options) {
  const std::string wanted = !name.empty() ? name : mpi_job_size() > 1 ? kMpi.name : kThreads.name;
  const auto colon = wanted.find(':');
  const std::string kind = wanted.substr(0, colon);
  const std::string argument = colon == std::string::npos ? "" : wanted.substr(colon + 1);
  for (const auto& row : kCouriers) {
    if (kind != row.name) continue;
    if (row.argument[0] == '\0' && colon != std::string::npos)
      throw InputError("--courier " + wanted + ": " + kind + " takes nothing behind it");
    return row.open(argument, tools, options);
  }
  require_name("--courier", wanted, courier_names());
  return {};
}

}  // namespace strata::fedrunner
