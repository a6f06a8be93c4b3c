#pragma once
/// \file
/// How orders and replies travel: the one way in which a server and its clients meet.

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "fedrunner/messages.h"

namespace strata::fedrunner {

/// How long an exchange waits for replies; none: for as long as it takes.
using Deadline = std::optional<std::chrono::milliseconds>;
/// Called by one thread at a time when nothing more is expected for an order.
using Answered = std::function<void(const Order&)>;

/// Threads of this process, other processes of a job, or files that somebody carries.
class Courier {
 public:
  virtual ~Courier() = default;
  /// Whether clients are elsewhere: each exchange then costs something by itself, and what goes
  /// wrong at a client is in its reply and not thrown here.
  virtual bool remote() const { return false; }
  /// How long each client's training takes, in any measure, for a courier that deals clients out.
  /// Says nothing about which there are.
  virtual void expect(const std::map<std::string, std::int64_t>& loads) {}
  /// Brings each order to its client and collects the replies. There may be none to an order, and
  /// more than one where a task was given to several; they come in any order, and nothing depends
  /// on it. An error that would be the same for every try (wrong data, a full disk) is thrown;
  /// where several clients have one, it is that of the first order.
  virtual std::vector<Reply> exchange(const std::vector<Order>& orders, Deadline deadline,
                                      const Answered& answered) = 0;
};

/// The reply to each of `orders`, or none. Of several the first counts, as repeated work gives the
/// same; a reply to none of the orders is passed over with a warning. O(orders + replies).
std::vector<std::optional<Reply>> first_replies(const std::vector<Order>& orders,
                                                std::vector<Reply> replies);

/// The usable reply to each of `orders`, none of them to train, or none where clients are
/// elsewhere: a warning says of whom there is none, and why. `units` are the run's; `replies` those
/// of first_replies. @throws in one process what all_replies throws
std::vector<std::optional<Reply>> usable_replies(const Courier& courier,
                                                 const std::vector<Order>& orders,
                                                 std::vector<std::optional<Reply>> replies,
                                                 const std::vector<Unit>& units);

/// An exchange, and the replies of it that are usable. @throws what the exchange throws, and in one
/// process what all_replies throws
std::vector<std::optional<Reply>> usable_replies(Courier& courier, const std::vector<Order>& orders,
                                                 Deadline deadline, const std::vector<Unit>& units);

/// An exchange in which every client has to answer, and to answer what it was
/// asked; the replies are in the order of `orders`. `units` are the run's. @throws what the
/// exchange throws; WorkError for a reply that is missing, InputError for one that is wrong, naming
/// round and client.
std::vector<Reply> all_replies(Courier& courier, const std::vector<Order>& orders,
                               Deadline deadline, const std::vector<Unit>& units);

}  // namespace strata::fedrunner
