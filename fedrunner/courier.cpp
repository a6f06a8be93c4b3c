#include "fedrunner/courier.h"

#include <unordered_map>
#include <utility>

#include "core/console.h"
#include "strata/core/error.h"

namespace strata::fedrunner {

std::vector<std::optional<Reply>> first_replies(const std::vector<Order>& orders,
                                                std::vector<Reply> replies) {
  std::unordered_map<std::string, std::size_t> places;
  for (std::size_t i = 0; i < orders.size(); ++i) places[orders[i].id()] = i;
  std::vector<std::optional<Reply>> first(orders.size());
  for (auto& reply : replies) {
    const auto place = places.find(reply.order);
    if (place == places.end()) {
      log_warning("a reply of client " + reply.client +
                  " is passed over: it is to none of the orders that are out");
    } else if (!first[place->second]) {
      first[place->second] = std::move(reply);
    }
  }
  return first;
}

std::vector<Reply> all_replies(Courier& courier, const std::vector<Order>& orders,
                               const std::vector<Unit>& units) {
  auto replies = first_replies(orders, courier.exchange(orders, {}, {}));
  std::vector<Reply> all;
  for (std::size_t i = 0; i < orders.size(); ++i) {
    const std::string where =
        "round " + std::to_string(orders[i].round) + ", client " + orders[i].client + ": ";
    if (!replies[i])
      throw WorkError(where + "no reply to the order \"" + phases().name(orders[i].phase()) + "\"");
    try {
      check_reply(*replies[i], orders[i], {units});
    } catch (const InputError& error) {
      throw InputError(where + error.what());
    }
    all.push_back(std::move(*replies[i]));
  }
  return all;
}

}  // namespace strata::fedrunner
