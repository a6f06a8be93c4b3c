#pragma once
/// \file
/// privacy.csv of a run folder: what private training, and scores sent beside it, have cost each
/// client so far.

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/infinity.h"
#include "experiment/local_section.h"
#include "fedrunner/messages.h"

namespace strata::fedrunner {

/// A client after a round.
struct ClientPrivacy {
  int round = 0;
  std::string client;
  std::int64_t steps = 0;       ///< of all rounds so far in which it was asked to train
  double training_epsilon = 0;  ///< of the weights that it sent, at `delta`
  std::int64_t releases = 0;    ///< of scores
  /// Of one release that tells as much as all of them, 1 / √(Σ 1/noise²): infinite where there is
  /// none, and 0 where one had no noise.
  double score_noise = kInfinity;
  double epsilon = 0;  ///< of weights and scores together, at `delta`; infinite without noise
  double delta = 0;
};

/// Counts every order to train, also of clients that then drop out: their noise may be out.
class PrivacyTable {
 public:
  /// Takes up the file's rounds up to this one, where it is there.
  void resume(const std::filesystem::path& file, int round);
  /// A client's scores have come, with that much noise (ScoreResult::noise): they count in its next
  /// row.
  void release(const std::string& client, std::optional<double> noise);
  /// `samples` are the clients' training samples, one an order.
  void add(int round, const std::vector<Order>& orders, const std::vector<std::int64_t>& samples);
  /// Columns as ClientPrivacy. @throws WorkError
  void write(const std::filesystem::path& file) const;

 private:
  struct Releases {
    std::int64_t count = 0;
    double noise = kInfinity;  ///< as ClientPrivacy::score_noise
  };

  std::vector<ClientPrivacy> rows_;
  std::map<std::string, Releases> released_;  ///< since each client's last row
};

}  // namespace strata::fedrunner
