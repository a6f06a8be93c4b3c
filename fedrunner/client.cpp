#include "fedrunner/client.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <set>

#include "fedrunner/training.h"
#include "models/device.h"
#include "strata/core/error.h"
#include "tasks/task.h"

namespace strata::fedrunner {
namespace {

/// A weight of another shape would be stretched to the model's.
void check(const models::Model& model, const Order& order) {
  for (const auto& [name, weight] : *order.state) {
    const auto found = model.weights().find(name);
    if (found == model.weights().end() || found->second.sizes() != weight.sizes())
      throw InputError("client " + order.client + " has no weight " + name +
                       " of the shape that the order has");
  }
}

/// Who left a weight as it is that the server does not mean would send others than are expected.
void check_frozen(const models::Model& model, const Order& order, const TrainWork& work) {
  std::set<std::string> trained;
  for (const auto& name : order.units) {
    const auto& parameters = model.unit(name).parameters;
    trained.insert(parameters.begin(), parameters.end());
  }
  for (const auto& name : work.frozen) {
    if (!trained.count(name))
      throw InputError("client " + order.client + " has no weight " + name +
                       " in the order's units that it could leave as it is");
  }
}

void load(models::Model& model, const Order& order) {
  check(model, order);
  model.load_state(*order.state);
}

}  // namespace

ClientUpdate train_client(models::Model& model, const ModelState& global,
                          const FederatedClient& client, const std::vector<std::string>& units,
                          const LocalConfig& local, std::uint64_t seed, double share,
                          const std::vector<std::string>& frozen) {
  ClientUpdate update;
  update.client = client.name;
  update.samples = client.train->size();
  update.units = units;
  model.load_state(global);
  update.steps = TrainWork{local, seed, share}.steps(update.samples);
  models::reset_peak_memory(model.device());
  const auto start = std::chrono::steady_clock::now();
  try {
    update.train_loss = train(model, *client.train, units, update.steps, local.training, seed, {},
                              /*parts=*/1, {frozen.begin(), frozen.end()});
  } catch (const WorkError& error) {
    update.failure = error.what();
    update.train_loss = std::numeric_limits<double>::quiet_NaN();
  }
  for (const auto& name : update.failure.empty() ? units : std::vector<std::string>()) {
    for (const auto& weight : state_of(model.unit(name))) {
      if (std::find(frozen.begin(), frozen.end(), weight) != frozen.end()) continue;
      update.weights[weight] = model.weight(weight).detach().clone();
    }
  }
  update.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  update.peak_memory = models::peak_memory(model.device());
  return update;
}

Reply Client::serve(const Order& order) const {
  if (order.client != data_.name)
    throw InputError("an order for client " + order.client + " has come to client " + data_.name);
  if (order.base != base_)
    throw InputError("client " + data_.name + " has another foundation than the order is for");
  Reply reply{order.id(), data_.name};
  if (std::holds_alternative<HelloWork>(order.work)) reply.result = introduce(order);
  if (const auto* work = std::get_if<ScoreWork>(&order.work)) reply.result = score(order, *work);
  if (std::holds_alternative<EvaluateWork>(order.work)) reply.result = evaluate(order);
  if (const auto* work = std::get_if<TrainWork>(&order.work); work && !order.units.empty())
    reply.result = train(order, *work);
  return reply;
}

HelloResult Client::introduce(const Order& order) const {
  const Workspaces::Loan loan(workspaces_);
  for (const auto& unit : order.units) loan.model().unit(unit);
  return {data_.train->size(), data_.test ? data_.test->size() : 0};
}

ScoreResult Client::score(const Order& order, const ScoreWork& work) const {
  const std::string where =
      "round " + std::to_string(order.round) + ", client " + data_.name + ": ";
  const Workspaces::Loan loan(workspaces_);
  load(loan.model(), order);
  try {
    return {scorer_(loan.model(), *data_.train, order.units,
                    {work.metric, static_cast<int>(work.samples), work.seed, data_.name,
                     work.answers, static_cast<int>(work.top_answers)})};
  } catch (const InputError& error) {
    throw InputError(where + error.what());
  } catch (const WorkError& error) {
    throw WorkError(where + error.what());
  }
}

ClientUpdate Client::train(const Order& order, const TrainWork& work) const {
  const Workspaces::Loan loan(workspaces_);
  check(loan.model(), order);
  check_frozen(loan.model(), order, work);
  return train_client(loan.model(), *order.state, data_, order.units, work.local, work.seed,
                      work.share, work.frozen);
}

EvaluateResult Client::evaluate(const Order& order) const {
  EvaluateResult result;
  if (!data_.test) return result;
  const Workspaces::Loan loan(workspaces_);
  load(loan.model(), order);
  const tasks::Task& task = data_.test->task();
  result.tally = task.evaluate(loan.model(), *data_.test, &result.right);
  result.majority = task.majority_right(*data_.train, *data_.test);
  return result;
}

}  // namespace strata::fedrunner
