#pragma once
/// \file
/// privacy.csv of a run folder: what private training has cost each client so far.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "experiment/local_section.h"
#include "fedrunner/messages.h"

namespace strata::fedrunner {

/// A client after a round.
struct ClientPrivacy {
  int round = 0;
  std::string client;
  std::int64_t steps = 0;  ///< of all rounds so far in which it was asked to train
  double epsilon = 0;      ///< of the weights that it sent, at `delta`; scores are not in it
  double delta = 0;
};

/// Counts every order to train, also of clients that then drop out: their noise may be out.
class PrivacyTable {
 public:
  /// Takes up the file's rounds up to this one, where it is there.
  void resume(const std::filesystem::path& file, int round);
  /// `samples` are the clients' training samples, one an order.
  void add(int round, const std::vector<Order>& orders, const std::vector<std::int64_t>& samples);
  /// Columns round, client, steps, epsilon, delta. @throws WorkError
  void write(const std::filesystem::path& file) const;
  const std::vector<ClientPrivacy>& rows() const { return rows_; }

 private:
  std::vector<ClientPrivacy> rows_;
};

/// Of so many steps on so many samples. @throws InputError
double training_epsilon(const experiment::PrivateTraining& privacy, std::int64_t batch_size,
                        std::int64_t samples, std::int64_t steps);

}  // namespace strata::fedrunner
