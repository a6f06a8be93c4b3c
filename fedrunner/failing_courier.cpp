#include "fedrunner/failing_courier.h"

#include <limits>
#include <map>
#include <utility>

#include "fedrunner/streams.h"
#include "strata/core/random.h"

namespace strata::fedrunner {
namespace {

/// Makes of the update what the failure does to it.
void corrupt(ClientUpdate& update, const ModelState& before, Failure::Corruption corruption) {
  const torch::NoGradGuard no_grad;
  if (corruption == Failure::Corruption::nan && !update.weights.empty())
    update.weights.begin()->second.view(-1)[0] = std::numeric_limits<float>::quiet_NaN();
  if (corruption == Failure::Corruption::scaled) {
    for (auto& [name, weight] : update.weights) {
      const auto old = before.at(name).to(weight.device());
      weight = old + (weight - old) * 1000;
    }
  }
}

}  // namespace

Failure draw_failure(const FailureOptions& options, std::uint64_t seed) {
  Random random(seed);
  // Every number is drawn whatever the others say, so that one probability does not move another's
  // failures.
  const double dropout = random.uniform(0, 1), late = random.uniform(0, 1);
  const double corruption = random.uniform(0, 1), kind = random.uniform(0, 1);
  Failure failure;
  failure.dropped = dropout < options.dropout;
  failure.late = !failure.dropped && late < options.stragglers;
  if (!failure.dropped && corruption < options.corruption)
    failure.corruption = kind < 0.5 ? Failure::Corruption::nan : Failure::Corruption::scaled;
  return failure;
}

std::vector<Reply> FailingCourier::exchange(const std::vector<Order>& orders, Deadline deadline,
                                            const Answered& answered) {
  struct Sent {
    Failure failure;
    std::shared_ptr<const ModelState> before;
  };
  std::map<std::string, Sent> sent;  // by the order's id
  std::vector<Order> passed;
  std::vector<Reply> replies;
  for (const auto& order : orders) {
    passed.push_back(order);
    auto* work = std::get_if<TrainWork>(&passed.back().work);
    if (!work) continue;
    const Failure failure =
        draw_failure(options_, stream(seed_, Purpose::kFailures, order.round, order.client));
    const bool unheard = failure.late && options_.late == Late::kDrop;
    if (failure.dropped || unheard) {
      passed.pop_back();
      if (unheard) replies.push_back({order.id(), order.client, {}, /*late=*/true});
      if (answered) answered(order);
      continue;
    }
    if (failure.late) work->share = options_.straggler_share;
    sent[order.id()] = {failure, order.state};
  }
  for (auto& reply : inner_.exchange(passed, deadline, answered)) {
    const auto found = sent.find(reply.order);
    if (found != sent.end()) {
      const auto& [failure, before] = found->second;
      reply.late = failure.late;
      auto* update = std::get_if<ClientUpdate>(&reply.result);
      if (update) corrupt(*update, *before, failure.corruption);
    }
    replies.push_back(std::move(reply));
  }
  return replies;
}

}  // namespace strata::fedrunner
