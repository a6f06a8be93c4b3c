#include "fedrunner/threads.h"

#include <algorithm>
#include <mutex>

#include "core/parallel.h"
#include "models/torch.h"

namespace strata::fedrunner {

ThreadsCourier::ThreadsCourier(const std::vector<FederatedClient>& clients,
                               const ClientTools& tools, const ThreadOptions& options)
    : parallel_(std::max(1, std::min(options.parallel, static_cast<int>(clients.size())))),
      encoded_(options.encoded),
      workspaces_(tools.model, tools.trained, parallel_) {
  for (const auto& client : clients)
    clients_.emplace(client.name,
                     Client(client, workspaces_, tools.scorer, tools.base, &tools.gram));
}

Reply ThreadsCourier::answer(const Order& order) const {
  const Client& client = clients_.at(order.client);
  Reply reply = encoded_ ? decode_reply(encode(client.serve(decode_order(encode(order)))))
                         : client.serve(order);
  auto* update = std::get_if<ClientUpdate>(&reply.result);
  if (update && parallel_ > 1) update->peak_memory.reset();
  return reply;
}

std::vector<Reply> ThreadsCourier::exchange(const std::vector<Order>& orders, Deadline,
                                            const Answered& answered) {
  const int threads = at::get_num_threads();
  std::vector<Reply> replies(orders.size());
  std::mutex mutex;
  parallel_for(static_cast<int>(orders.size()), parallel_, [&](int i) {
    if (parallel_ > 1) at::set_num_threads(threads);
    const auto& order = orders[static_cast<std::size_t>(i)];
    replies[static_cast<std::size_t>(i)] = answer(order);
    const std::lock_guard<std::mutex> lock(mutex);
    if (answered) answered(order);
  });
  return replies;
}

}  // namespace strata::fedrunner
