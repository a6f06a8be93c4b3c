#pragma once
/// \file
/// Answers orders in another process than the server's: `strata work`, and the ranks of an MPI job.

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "experiment/site_file.h"
#include "fedrunner/messages.h"
#include "strata/fedrunner/run.h"

namespace strata::fedrunner {

/// What a worker has beside its orders.
struct WorkerOptions {
  std::filesystem::path data = {};   ///< in place of the experiment's `data.folder`; empty: that
  std::filesystem::path model = {};  ///< likewise of `model.folder`
  std::string device = "cpu";
  int threads = 0;  ///< LibTorch's; 0: as many as the order says, for the same last bits
  std::filesystem::path spill = {};  ///< see RunOptions
  /// What the site allows; none: everything.
  std::optional<experiment::SiteFile> site = {};
};

/// Clients of whose data it has a part or all. An answer depends on the order, the data and the
/// foundation alone; what was read for one order serves the next ones of its run.
class Worker {
 public:
  /// `tools` is to outlive it; of these it scores.
  Worker(const RunTools& tools, WorkerOptions options);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  /// @throws InputError: an order that the site does not allow, or without its experiment, a
  /// client, foundation or unit that is not here, data that cannot be read. @throws WorkError: a
  /// score that cannot be computed.
  Reply serve(const Order& order);

 private:
  struct Run;
  Run& run_of(const Order& order);

  const RunTools& tools_;
  WorkerOptions options_;
  std::unique_ptr<Run> run_;  ///< of the last order
};

/// The reply that says why there is no result: the reason's first line, which is logged here, too.
Reply failed_reply(const Order& order, const std::string& reason);

/// What `serve` gives, or the reply that says why it gives nothing: one worker's trouble is not the
/// run's. An interruption ends the process, as it is meant to.
Reply serve_or_fail(Worker& worker, const Order& order);

}  // namespace strata::fedrunner
