#include "fedrunner/worker.h"

#include <algorithm>
#include <cmath>
#include <exception>
#include <map>
#include <set>
#include <utility>

#include "core/console.h"
#include "core/document.h"
#include "fedrunner/setup.h"
#include "fedrunner/site_rules.h"
#include "fedrunner/threads.h"
#include "models/device.h"
#include "strata/core/error.h"

namespace strata::fedrunner {

using namespace experiment;

namespace {

/// Everything before an order's experiment is the server's to say, but for where data and model are
/// here.
ExperimentConfig experiment_of(const Order& order, const RunTools& tools,
                               const WorkerOptions& options) {
  if (!order.experiment)
    throw InputError(
        "order: the experiment is missing, without which no other process than the "
        "server's can answer");
  auto config = read_experiment(parse_yaml(*order.experiment, "order: experiment"), tools.names);
  if (!config.run || config.run->strategies.size() != 1 || config.run->seeds.size() != 1)
    throw InputError("order: the experiment is not that of a single run");
  if (!options.data.empty()) {
    config.data.folder = options.data.string();
    config.data.sites.clear();
  }
  if (config.data.folder.empty())
    throw InputError("order: the experiment names no data folder, as its clients are at sites");
  if (!options.model.empty()) config.model.folder = options.model.string();
  return config;
}

RunOptions run_options(const Order& order, const WorkerOptions& options) {
  RunOptions run;
  run.device = options.device;
  run.threads = options.threads > 0 ? options.threads : order.threads;
  run.parallel = 1;
  run.spill = options.spill;
  return run;
}

/// A message says one line.
constexpr std::size_t kLongestReason = 1000;

}  // namespace

Reply failed_reply(const Order& order, const std::string& reason) {
  // What does not print takes more bytes when it is made to.
  std::string line = printable(reason.substr(0, reason.find('\n')).substr(0, kLongestReason));
  if (line.size() > kLongestReason) {
    std::size_t end = kLongestReason;
    while ((static_cast<unsigned char>(line[end]) & 0xc0) == 0x80) --end;  // within a character
    line.resize(end);
  }
  if (line.empty()) line = "an error without a message";
  log_warning("client " + order.client + ": " + line);
  Reply reply{order.id(), order.client};
  reply.failure = line;
  return reply;
}

/// What all orders of a run have in common, and the clients that were asked for.
struct Worker::Run {
  Run(const Order& order, const RunTools& tools, const WorkerOptions& options)
      : fingerprint(order.run),
        config(experiment_of(order, tools, options)),
        made(prepare(config, select_wanted(config), models::parse_device(options.device),
                     run_options(order, options), 0, inputs)),
        base(inputs.foundation->model.fingerprint()),
        model(begin_model(config, made.wanted.units, inputs.foundation->model,
                          config.run->seeds.front())),
        trained(units_of_run(made.wanted.units, config.run->strategies.front(), model,
                             config.run->server.aggregation.lora)
                    .weights),
        scorer(tools.score),
        gram(tools.gram) {}

  /// A client that was asked for, with its examples.
  struct Hosted {
    Hosted(const Run& run, const std::string& name)
        : data(make_clients(*run.inputs.data, *run.inputs.foundation, std::set<std::string>{name})),
          courier(data, {run.model, run.trained, run.scorer, run.base, run.gram}, {}) {}

    std::vector<FederatedClient> data;
    ThreadsCourier courier;
  };

  /// One client at a time, as their memory is measured.
  Hosted& client(const std::string& name) {
    auto found = clients.find(name);
    if (found == clients.end()) {
      found = clients.emplace(name, std::make_unique<Hosted>(*this, name)).first;
    }
    return *found->second;
  }

  std::string fingerprint;
  ExperimentConfig config;
  Inputs inputs;
  Prepared made;
  std::string base;
  models::Model model;
  std::set<std::string> trained;
  const Scorer& scorer;
  const GradientGram& gram;
  std::map<std::string, std::unique_ptr<Hosted>> clients;
};

Worker::Worker(const RunTools& tools, WorkerOptions options)
    : tools_(tools), options_(std::move(options)) {}
Worker::~Worker() = default;

Worker::Run& Worker::run_of(const Order& order) {
  if (!run_ || run_->fingerprint != order.run) {
    run_.reset();  // its memory first
    run_ = std::make_unique<Run>(order, tools_, options_);
  }
  return *run_;
}

Reply Worker::serve(const Order& order) {
  const auto& site = options_.site;
  if (site) {
    check_order(*site, order);
    check_cohorts(*site, order);
  }
  Run& run = run_of(order);
  auto& hosted = run.client(order.client);
  if (site) {
    check_budget(*site, order, run.made.wanted.units.selectable);
    check_samples(*site, order, hosted.data.front().train->size());
    count_training(*site, order, hosted.data.front().train->size(), tools_.score_noise);
    if (site->private_scores && order.phase() == Phase::kScore) count_release(*site, order);
  }
  auto replies = hosted.courier.exchange({order}, {}, {});
  Reply reply = std::move(replies.front());
  if (auto* hello = std::get_if<HelloResult>(&reply.result)) {
    hello->synthetic = run.inputs.data->manifest.synthetic;
    hello->several_labels = run.inputs.several_labels();
  }
  auto* score = std::get_if<ScoreResult>(&reply.result);
  if (score && site && site->private_scores) {
    const auto& privacy = *site->private_scores;
    score->noise = tools_.score_noise(privacy.epsilon, privacy.delta) *
                   std::sqrt(static_cast<double>(privacy.releases));
  }
  return reply;
}

Reply serve_or_fail(Worker& worker, const Order& order) {
  try {
    return worker.serve(order);
  } catch (const std::exception& error) {  // LibTorch's, too; an interruption is none
    return failed_reply(order, error.what());
  }
}

}  // namespace strata::fedrunner
