#pragma once
/// \file
/// Orders and replies as files that somebody else carries (docs/pump.md).

#include <cstdint>
#include <filesystem>
#include <functional>
#include <iosfwd>
#include <string>
#include <vector>

#include "fedrunner/courier.h"

namespace strata::fedrunner {

/// Writes the orders of an exchange to a folder and says so in one line of JSON; who reads it has
/// each brought to its client, the reply put where the line says, and answers with one line. Of
/// what is in the folder then a reply counts if it can be read and is of the order; any other is
/// passed over with a warning that names the client. A folder that is there is one exchange's: the
/// one before is removed.
class Pump : public Courier {
 public:
  /// `lines_out` and `lines_in` are to outlive it. The mailbox is made where it is not there, and
  /// has nothing in it but what a pump left. @throws InputError: there is something else.
  Pump(std::filesystem::path mailbox, std::ostream& lines_out, std::istream& lines_in);

  bool remote() const override { return true; }

  /// @throws WorkError: a disk that is full, nobody at the other end. @throws InputError: an answer
  /// that is none.
  std::vector<Reply> exchange(const std::vector<Order>& orders, Deadline deadline,
                              const Answered& answered) override;

 private:
  std::filesystem::path folder() const;
  /// The file, as bytes, unless it is larger than the reply to this order can be. @throws
  /// InputError
  Reply read_reply(const std::filesystem::path& file, const Order& order) const;

  std::filesystem::path mailbox_;
  std::ostream& out_;
  std::istream& in_;
  std::int64_t number_ = 0;  ///< of the exchange, from 1
};

/// Bytes that a reply to the order has at most: the weights that it may send and what it remembers
/// of them, and a fixed part for the rest.
std::uintmax_t largest_reply(const Order& order);

}  // namespace strata::fedrunner
