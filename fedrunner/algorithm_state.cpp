#include "fedrunner/algorithm_state.h"

namespace strata::fedrunner {
namespace {

/// Those that trained it, in the order of their names, with what they remember of it.
std::vector<WeightShare> shares_of(const std::string& name, const FinishedRound& round,
                                   const AlgorithmState& state) {
  static const ModelState kNothing;
  std::map<std::string, const ClientUpdate*> by_client;
  for (const auto& update : round.updates)
    if (update.weights.count(name)) by_client[update.client] = &update;
  std::vector<WeightShare> shares;
  for (const auto& [client, update] : by_client) {
    const torch::Tensor trained = update->weights.at(name).to(torch::kFloat64);
    const auto earlier = state.memory.find(client);
    const ModelState& remembered = earlier == state.memory.end() ? kNothing : earlier->second;
    shares.push_back({round.parts.at(client), trained, value_or_zero(remembered, name, trained),
                      value_or_zero(update->memory, name, trained)});
  }
  return shares;
}

}  // namespace

std::map<std::string, double> client_parts(const std::vector<ClientSize>& clients,
                                           experiment::ClientWeights weights) {
  const auto counts = [&](const ClientSize& client) {
    return weights == experiment::ClientWeights::kPlain ? 1.0
                                                        : static_cast<double>(client.train_samples);
  };
  double all = 0;
  for (const auto& client : clients) all += counts(client);
  std::map<std::string, double> parts;
  for (const auto& client : clients) parts[client.name] = counts(client) / all;
  return parts;
}

void finish_round(const FinishedRound& round, ModelState& global, AlgorithmState& state) {
  const torch::NoGradGuard no_grad;
  const Algorithm& algorithm = algorithm_of(round.options.algorithm);
  for (const Unit& unit : round.units) {
    if (!algorithm.finish) break;
    for (const auto& name : unit.parameters) {
      auto shares = shares_of(name, round, state);
      if (shares.empty()) continue;
      torch::Tensor& weight = global.at(name);
      WeightRound of{round.options, round.before.at(name).to(torch::kFloat64), std::move(shares),
                     weight.to(torch::kFloat64), value_or_zero(state.control, name, weight)};
      const torch::Tensor averaged = of.weight;
      algorithm.finish(of);
      if (!of.weight.is_same(averaged)) weight = of.weight.to(weight.scalar_type());
      state.control[name] = of.control.to(weight.scalar_type());
    }
  }
  for (const auto& update : round.updates) {
    for (const auto& [name, memory] : update.memory) state.memory[update.client][name] = memory;
  }
}

void fail_spoiled_memories(std::vector<ClientUpdate>& updates) {
  for (auto& update : updates) {
    for (const auto& [name, memory] : update.memory) {
      if (torch::isfinite(memory).all().item<bool>()) continue;
      update.failure = "what it remembers of the weight " + name + " is not finite";
      update.weights.clear();
      break;
    }
  }
}

std::vector<Unit> with_control(const Algorithm& algorithm, std::vector<Unit> units,
                               const ModelState& weights) {
  if (!algorithm.sends_control) return units;
  constexpr std::int64_t kNumberBytes = 4;  // of a number on its way
  for (Unit& unit : units) {
    std::int64_t buffers = 0;
    for (const auto& name : unit.buffers)
      if (!is_local(unit, name)) buffers += kNumberBytes * weights.at(name).numel();
    unit.bytes += unit.bytes - buffers;
  }
  return units;
}

}  // namespace strata::fedrunner
