#include "fedrunner/courier.h"

#include <iterator>
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
    } else if (first[place->second]) {
      log_warning("a second reply of client " + reply.client + " to the order \"" +
                  phases().name(orders[place->second].phase()) + "\" is passed over");
    } else {
      first[place->second] = std::move(reply);
    }
  }
  return first;
}

namespace {

std::string where(const Order& order) {
  return "round " + std::to_string(order.round) + ", client " + order.client + ": ";
}

std::string no_reply(const Order& order) {
  return where(order) + "no reply to the order \"" + phases().name(order.phase()) + "\"";
}

/// The replies to all orders. @throws as all_replies
std::vector<Reply> answers(const std::vector<Order>& orders,
                           std::vector<std::optional<Reply>> replies,
                           const std::vector<Unit>& units) {
  std::vector<Reply> all;
  for (std::size_t i = 0; i < orders.size(); ++i) {
    if (!replies[i]) throw WorkError(no_reply(orders[i]));
    try {
      check_reply(*replies[i], orders[i], {units});
    } catch (const InputError& error) {
      throw InputError(where(orders[i]) + error.what());
    }
    all.push_back(std::move(*replies[i]));
  }
  return all;
}

}  // namespace

std::vector<std::optional<Reply>> usable_replies(const Courier& courier,
                                                 const std::vector<Order>& orders,
                                                 std::vector<std::optional<Reply>> replies,
                                                 const std::vector<Unit>& units) {
  if (!courier.remote()) {
    auto all = answers(orders, std::move(replies), units);
    return {std::make_move_iterator(all.begin()), std::make_move_iterator(all.end())};
  }
  for (std::size_t i = 0; i < orders.size(); ++i) {
    if (!replies[i]) {
      log_warning(no_reply(orders[i]));
      continue;
    }
    try {
      check_reply(*replies[i], orders[i], {units});
    } catch (const InputError& error) {
      log_warning(where(orders[i]) + error.what());
      replies[i].reset();
    }
  }
  return replies;
}

std::vector<std::optional<Reply>> usable_replies(Courier& courier, const std::vector<Order>& orders,
                                                 Deadline deadline,
                                                 const std::vector<Unit>& units) {
  auto replies = first_replies(orders, courier.exchange(orders, deadline, {}));
  return usable_replies(courier, orders, std::move(replies), units);
}

std::vector<Reply> all_replies(Courier& courier, const std::vector<Order>& orders,
                               Deadline deadline, const std::vector<Unit>& units) {
  return answers(orders, first_replies(orders, courier.exchange(orders, deadline, {})), units);
}

}  // namespace strata::fedrunner
