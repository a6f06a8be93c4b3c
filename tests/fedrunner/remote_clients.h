#pragma once
// Clients behind a courier's bytes, as in another process or at another site.

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "fedrunner/courier.h"
#include "fedrunner/worker.h"

namespace strata::test {

/// Answers with a worker of this process whose orders and replies went through their bytes. `fault`
/// may change or drop what comes back.
class RemoteClients : public fedrunner::Courier {
 public:
  /// Makes of a reply's bytes what arrives: other bytes, or "" for nothing.
  using Fault = std::function<std::string(const fedrunner::Order&, std::string bytes)>;

  explicit RemoteClients(const fedrunner::RunTools& tools, fedrunner::WorkerOptions options = {},
                         Fault fault = {})
      : worker_(tools, std::move(options)), fault_(std::move(fault)) {}

  bool remote() const override { return true; }
  std::vector<fedrunner::Reply> exchange(const std::vector<fedrunner::Order>& orders,
                                         fedrunner::Deadline deadline,
                                         const fedrunner::Answered& answered) override {
    last_deadline = deadline;
    std::string phases;
    std::vector<fedrunner::Reply> replies;
    for (const auto& order : orders) {
      const auto name = fedrunner::phases().name(order.phase());
      if (phases.find(name) == std::string::npos) phases += (phases.empty() ? "" : "+") + name;
      const auto received = fedrunner::decode_order(fedrunner::encode(order));
      auto bytes = fedrunner::encode(fedrunner::serve_or_fail(worker_, received));
      if (fault_) bytes = fault_(order, std::move(bytes));
      if (answered) answered(order);
      if (!bytes.empty()) replies.push_back(fedrunner::decode_reply(std::move(bytes)));
    }
    exchanges.push_back(phases);
    return replies;
  }

  std::vector<std::string> exchanges;  ///< what each was for: "evaluate+score"
  fedrunner::Deadline last_deadline;

 private:
  fedrunner::Worker worker_;
  Fault fault_;
};

}  // namespace strata::test
