#pragma once
/// \file
/// Clients as threads of this process.

#include <map>
#include <set>
#include <string>
#include <vector>

#include "fedrunner/client.h"
#include "fedrunner/courier.h"
#include "fedrunner/workspaces.h"

namespace strata::fedrunner {

struct ThreadOptions {
  int parallel = 1;      ///< clients that work at a time; at most as many as there are
  bool encoded = false;  ///< orders and replies go through their bytes, as between machines
};

/// What the clients of a process have in common.
struct ClientTools {
  const models::Model& model;            ///< the foundation with the run's PEFT weights
  const std::set<std::string>& trained;  ///< the weights that each client at work has for itself
  const Scorer& scorer;
  const std::string& base;  ///< fingerprint of the foundation
  const GradientGram& gram;
};

/// Waits for every client, so it needs no deadline. Every thread computes with as many threads as
/// the one that calls, so that results depend neither on `parallel` nor on `encoded`. Orders and
/// replies share their tensors unless they are encoded. Where several clients work at a time, peak
/// memory is not measured, as they share the process.
class ThreadsCourier : public Courier {
 public:
  /// `clients`, scorer, base and gram are to outlive it.
  ThreadsCourier(const std::vector<FederatedClient>& clients, const ClientTools& tools,
                 const ThreadOptions& options);
  /// @throws what the client of the first order in trouble throws. Orders that are not begun by
  /// then are not carried out.
  std::vector<Reply> exchange(const std::vector<Order>& orders, Deadline deadline,
                              const Answered& answered) override;

 private:
  Reply answer(const Order& order) const;

  int parallel_;
  bool encoded_;
  Workspaces workspaces_;
  std::map<std::string, Client> clients_;
};

}  // namespace strata::fedrunner
