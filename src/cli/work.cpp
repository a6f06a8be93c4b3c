#include <iostream>
#include <optional>
#include <string>
#include <vector>

#include "cli/command_line.h"
#include "cli/run_tools.h"
#include "cli/runner_names.h"
#include "cli/system_seed.h"
#include "core/console.h"
#include "core/document.h"
#include "fedrunner/worker.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"
#include "strata/ntk/private_scores.h"

namespace strata::cli {
namespace {

using experiment::SitePrivacy;
using fedrunner::ScoreRequest;

/// One client's scores with the noise of one of so many releases, from the system's randomness.
std::vector<double> noised(const std::vector<double>& scores, const std::vector<std::string>& units,
                           const ScoreRequest& request, const SitePrivacy& privacy) {
  ScoreTable table;
  table.metric = request.metric;
  table.clients = {request.client};
  table.units = units;
  table.scores =
      Eigen::Map<const Eigen::RowVectorXd>(scores.data(), static_cast<Eigen::Index>(scores.size()));
  ntk::PrivacyOptions options;
  options.epsilon = privacy.epsilon;
  options.delta = privacy.delta;
  options.releases = static_cast<int>(privacy.releases);
  options.seed = system_seed();
  const Eigen::RowVectorXd row = ntk::privatise_scores(table, options).table.scores.row(0);
  return {row.data(), row.data() + row.size()};
}

fedrunner::RunTools tools_of(const std::optional<experiment::SiteFile>& site) {
  auto tools = run_tools();
  if (!site || !site->private_scores) return tools;
  tools.score = [score = tools.score, privacy = *site->private_scores](
                    const models::Model& model, const tasks::Dataset& data,
                    const std::vector<std::string>& units, const ScoreRequest& request) {
    return noised(score(model, data, units, request), units, request, privacy);
  };
  return tools;
}

fedrunner::WorkerOptions options_of(const WorkArguments& arguments) {
  fedrunner::WorkerOptions options;
  if (!arguments.site.empty()) {
    options.site = experiment::read_site_file(arguments.site, fedrunner::phases().names(),
                                              runner_names().metrics);
    options.data = options.site->data;
    options.model = options.site->model;
  }
  if (!arguments.data.empty()) options.data = arguments.data;
  if (!arguments.model.empty()) options.model = arguments.model;
  options.device = arguments.device;
  options.threads = arguments.threads;
  options.spill = arguments.spill;
  return options;
}

}  // namespace

int run_work(const WorkArguments& arguments, const CommonArguments& common) {
  const auto options = options_of(arguments);
  const fedrunner::RunTools tools = tools_of(options.site);
  const auto order = with_context(
      arguments.order, [&] { return fedrunner::decode_order(read_file(arguments.order)); });
  fedrunner::Worker worker(tools, options);
  const auto reply = fedrunner::serve_or_fail(worker, order);
  write_file(arguments.out, fedrunner::encode(reply));
  const std::string phase = fedrunner::phases().name(order.phase());
  if (common.json) {
    std::cout << printable_json(Json{{"version", 1},
                                     {"client", order.client},
                                     {"round", order.round},
                                     {"phase", phase},
                                     {"failed", reply.failure}}
                                    .dump(1))
              << std::endl;
  } else if (!common.quiet) {
    log_info("client " + order.client + ": round " + std::to_string(order.round) + ", " + phase);
  }
  return kExitDone;
}

}  // namespace strata::cli
