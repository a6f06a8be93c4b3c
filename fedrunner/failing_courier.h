#pragma once
/// \file
/// Simulated failures of clients: what real consortia see, repeatably.

#include <cstdint>

#include "experiment/failures_section.h"
#include "fedrunner/courier.h"

namespace strata::fedrunner {

using experiment::FailureOptions;
using experiment::Late;

/// What happens to one client in one round.
struct Failure {
  bool dropped = false;
  bool late = false;
  /// none; nan: a weight is not a number; scaled: a thousand times the change.
  enum class Corruption { none, nan, scaled } corruption = Corruption::none;
};

/// The same seed draws the same failure, whatever the strategy; a client that drops out neither
/// comes late nor sends anything.
Failure draw_failure(const FailureOptions& options, std::uint64_t seed);

/// Another courier's exchanges, in which clients fail between the download and the upload of a
/// training: only orders to train are touched. There is no reply of a client that dropped out. That
/// of a straggler is marked late; it is empty, or with Late::kPartial has what a share of the steps
/// gave. What a corrupted client sends is spoiled.
class FailingCourier : public Courier {
 public:
  /// `inner` is to outlive it. Failures are drawn from the seed, the round and the client's name.
  FailingCourier(Courier& inner, const FailureOptions& options, std::uint64_t seed)
      : inner_(inner), options_(options), seed_(seed) {}
  bool remote() const override { return inner_.remote(); }
  void expect(const std::map<std::string, std::int64_t>& loads) override { inner_.expect(loads); }
  std::vector<Reply> exchange(const std::vector<Order>& orders, Deadline deadline,
                              const Answered& answered) override;

 private:
  Courier& inner_;
  FailureOptions options_;
  std::uint64_t seed_;
};

}  // namespace strata::fedrunner
