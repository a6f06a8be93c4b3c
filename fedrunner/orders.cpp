#include "fedrunner/orders.h"

#include "fedrunner/streams.h"
#include "fedrunner/training.h"

namespace strata::fedrunner {

std::vector<Order> Orders::all(int round, const State& state, const std::vector<std::string>& units,
                               const Work& work) const {
  std::vector<Order> orders;
  for (const auto& client : clients_)
    orders.push_back(
        {run_.fingerprint, round, client, units, task_.foundation_fingerprint, state, work});
  return orders;
}

std::vector<Order> Orders::hello() const {
  return all(0, nullptr, strata::names_of(units_.all), HelloWork());
}

std::vector<Order> Orders::score(int round, const State& state) const {
  auto orders = all(round, state, units_.selectable,
                    ScoreWork{run_.strategy.metric, task_.run.score.samples});
  for (auto& order : orders)
    std::get<ScoreWork>(order.work).seed = stream(run_.seed, Purpose::kScore, round, order.client);
  return orders;
}

std::vector<Order> Orders::train(int round, int rounds, const Plan& plan,
                                 const State& state) const {
  LocalConfig local = task_.run.local;
  auto over_rounds = local.training;
  over_rounds.schedule = local.schedule;
  local.training.learning_rate = learning_rate_at(over_rounds, round - 1, rounds);
  auto orders = all(round, state, {}, TrainWork{local});
  for (std::size_t i = 0; i < orders.size(); ++i) {
    auto& order = orders[i];
    order.units = plan.units_of(static_cast<int>(i));
    order.units.insert(order.units.end(), units_.always.begin(), units_.always.end());
    std::get<TrainWork>(order.work).seed = stream(run_.seed, Purpose::kTrain, round, order.client);
  }
  return orders;
}

std::vector<Order> Orders::evaluate(int round, const State& state) const {
  return all(round, state, {}, EvaluateWork());
}

}  // namespace strata::fedrunner
