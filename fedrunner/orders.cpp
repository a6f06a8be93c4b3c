#include "fedrunner/orders.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "fedrunner/rank_pruning.h"
#include "fedrunner/streams.h"
#include "fedrunner/training.h"

namespace strata::fedrunner {

const State& States::of(const std::string& client) const {
  const auto found = own.find(client);
  return found == own.end() ? shared : found->second;
}

std::map<std::string, ModelState> overlaid(std::map<std::string, ModelState> own,
                                           const std::map<std::string, ModelState>& with) {
  for (const auto& [client, weights] : with) {
    for (const auto& [name, weight] : weights) own[client][name] = weight;
  }
  return own;
}

States states_of(const ModelState& global, const std::map<std::string, ModelState>& local) {
  States states{std::make_shared<const ModelState>(global)};
  for (const auto& [client, weights] : local) {
    ModelState mixed = global;
    for (const auto& [name, weight] : weights) mixed[name] = weight;
    states.own[client] = std::make_shared<const ModelState>(std::move(mixed));
  }
  return states;
}

Orders::Orders(const FederatedTask& task, const PlannedRun& run, const RunUnits& units)
    : task_(task),
      run_(run),
      units_(units),
      clients_(task.clients),
      rank_of_(task.ranks),
      ranks_(units.pairs.all(), task.ranks) {
  if (!prunes() || !rank_of_.empty()) return;
  std::int64_t largest = 1;
  for (const UnitPair& pair : units.pairs.all()) largest = std::max(largest, pair.rank);
  rank_of_.assign(clients_.size(), largest);
}

std::int64_t Orders::pruned_rank(std::size_t client) const {
  return fedrunner::pruned_rank(rank_of_.at(client), task_.run.server.aggregation.rank_decay);
}

UnitRanks Orders::pruned_ranks(std::size_t client) const {
  return ClientRanks(units_.pairs.all(), {pruned_rank(client)}).of(0);
}

void Orders::set_pruned(const std::map<std::string, std::int64_t>& ranks) {
  if (ranks.empty()) return;
  for (std::size_t i = 0; i < clients_.size(); ++i) {
    const auto pruned = ranks.find(clients_[i]);
    if (pruned != ranks.end()) rank_of_.at(i) = pruned->second;
  }
  ranks_ = ClientRanks(units_.pairs.all(), rank_of_);
}

std::vector<Order> Orders::all(int round, const States& states,
                               const std::vector<std::string>& units, const Work& work) const {
  std::vector<Order> orders;
  for (const auto& client : clients_)
    orders.push_back({run_.fingerprint,
                      round,
                      client,
                      units,
                      task_.foundation_fingerprint,
                      states.of(client),
                      work,
                      {},
                      run_.experiment,
                      at::get_num_threads()});
  return orders;
}

std::vector<Order> Orders::hello() const {
  return all(0, {}, names_of(units_.all), HelloWork());
}

std::vector<Order> Orders::score(int round, const States& states) const {
  const auto& score = task_.run.score;
  auto orders = all(round, states, units_.selectable,
                    ScoreWork{run_.strategy.metric, score.samples, 0, score.answers,
                              score.top_answers, score.random_outputs});
  for (std::size_t i = 0; i < orders.size(); ++i) {
    auto& order = orders[i];
    std::get<ScoreWork>(order.work).seed = stream(run_.seed, Purpose::kScore, round, order.client);
    cut_pairs(order, ranks_.of(i));
  }
  return orders;
}

UnitRanks Orders::trained_ranks(const Plan& plan, std::size_t client) const {
  return plan.has_ranks() ? planned_ranks(plan, client) : ranks_.of(client);
}

bool Orders::cuts_pairs() const {
  return prunes() || ranks_.cut() || (task_.planned_ranks > 1 && !run_.strategy.own);
}

void Orders::cut_pairs(Order& order, UnitRanks ranks) const {
  order.ranks = std::move(ranks);
  if (order.ranks.empty()) return;
  order.state = std::make_shared<const ModelState>(
      cut(*order.state, cuts_of(units_.pairs.all(), order.ranks)));
}

void Orders::add_pruning(Order& order, std::size_t client) const {
  if (!prunes()) return;
  std::vector<UnitPair> pairs;
  for (const UnitPair& pair : units_.pairs.all())
    if (std::find(order.units.begin(), order.units.end(), pair.unit) != order.units.end())
      pairs.push_back(pair);
  std::get<TrainWork>(order.work).pruning = {task_.run.server.aggregation.rank_penalty,
                                             pruning_cuts(pairs, order.ranks, pruned_rank(client))};
}

void Orders::add_algorithm(Order& order, const AlgorithmState& algorithm) const {
  auto& work = std::get<TrainWork>(order.work);
  work.algorithm = task_.run.server.algorithm;
  const auto memory = algorithm.memory.find(order.client);
  if (memory != algorithm.memory.end()) work.memory = memory->second;
  const Algorithm& does = algorithm_of(work.algorithm.algorithm);
  const auto sent = sent_parameters(units_.all, order.units, work.frozen);
  if (does.partner) {
    std::copy_if(sent.begin(), sent.end(), std::back_inserter(work.companions),
                 [&](const std::string& name) { return units_.companions.count(name) > 0; });
  }
  if (!does.sends_control) return;
  for (const auto& name : sent) {
    const auto control = algorithm.control.find(name);
    if (control != algorithm.control.end()) work.control[name] = control->second;
  }
}

std::vector<Order> Orders::train(int round, int rounds, const Plan& plan, const States& states,
                                 const AlgorithmState& algorithm) const {
  LocalConfig local = local_of(task_.run, run_.strategy);
  auto over_rounds = local.training;
  over_rounds.schedule = local.schedule;
  local.training.learning_rate = learning_rate_at(over_rounds, round - 1, rounds);
  local.training.warmup = 0;  // of rounds, not of their steps
  auto orders = all(round, states, {}, TrainWork{local});
  for (std::size_t i = 0; i < orders.size(); ++i) {
    auto& order = orders[i];
    order.units = plan.units_of(static_cast<int>(i));
    order.units.insert(order.units.end(), units_.always.begin(), units_.always.end());
    auto& work = std::get<TrainWork>(order.work);
    work.seed = stream(run_.seed, Purpose::kTrain, round, order.client);
    work.frozen = units_.pairs.frozen(round, order.units);
    cut_pairs(order, trained_ranks(plan, i));
    add_algorithm(order, algorithm);
    add_pruning(order, i);
  }
  std::map<std::string, std::int64_t> cohorts;
  for (const auto& order : orders)
    for (const auto& unit : order.units) ++cohorts[unit];
  for (auto& order : orders)
    for (const auto& unit : order.units)
      std::get<TrainWork>(order.work).cohorts[unit] = cohorts.at(unit);
  return orders;
}

std::vector<Order> Orders::evaluate(int round, const States& states,
                                    const AlgorithmState& algorithm, bool slices) const {
  auto orders = all(round, states, {}, EvaluateWork{{}, slices});
  if (!algorithm_of(task_.run.server.algorithm.algorithm).partner) return orders;
  for (auto& order : orders) {
    const auto memory = algorithm.memory.find(order.client);
    if (memory != algorithm.memory.end())
      std::get<EvaluateWork>(order.work).companions = memory->second;
  }
  return orders;
}

}  // namespace strata::fedrunner
