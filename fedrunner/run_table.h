#pragma once
/// \file
/// The rows of metrics.csv as a run goes on.

#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "fedrunner/messages.h"
#include "strata/core/planning_problem.h"
#include "strata/fedrunner/metrics.h"
#include "tasks/task.h"

namespace strata::fedrunner {

/// A client as it introduced itself.
struct ClientSize {
  std::string name;
  std::int64_t train_samples = 0, test_samples = 0;
};

/// From the replies to an exchange of greetings; of a client that gave none, what an earlier table
/// of the run says. @throws WorkError where that knows nothing of it either.
std::vector<ClientSize> client_sizes(const std::vector<Order>& orders,
                                     const std::vector<std::optional<Reply>>& replies,
                                     const RoundTable& earlier);

/// What a round's training cost a client, before it is evaluated: a row with the columns
/// train_loss, up_mbit, down_mbit, seconds and peak_memory_mib.
using TrainingRows = std::vector<RoundMetrics>;

/// The run's units, with the bytes of what a client sends of them, and of what it receives.
struct UnitTraffic {
  std::vector<Unit> sent, received;
};

/// What travels in a round.
struct Traffic {
  UnitTraffic units;                 ///< of a client for which `own` has none
  std::vector<std::string> changed;  ///< in the round before: those that every client downloads
  std::size_t scored = 0;            ///< units of which who scored sent a float64; 0: nobody did
  /// Of a client, from 0, whose ranks are its own.
  std::function<std::optional<UnitTraffic>(std::size_t client)> own = nullptr;
};

/// One row a client, in their order; a client without an update has no training loss and sent no
/// weights.
TrainingRows training_rows(const std::vector<ClientSize>& clients, const Traffic& traffic,
                           const std::vector<ClientUpdate>& updates);

class RunTable {
 public:
  /// The task is to outlive it.
  RunTable(std::vector<ClientSize> clients, const tasks::Task& task)
      : clients_(std::move(clients)), task_(&task), table_{task.metrics(), {}} {}

  const RoundTable& get() const { return table_; }

  /// Takes up the table of an earlier process: the rows up to `round`, as later ones were not
  /// completed. Rounds that are not `evaluated` lose what they reached: a run that had fewer rounds
  /// evaluated its last one, which the run with more would not have done.
  void resume(RoundTable table, int round, const std::function<bool(int round)>& evaluated);

  /// Appends a round: the clients' rows, completed with what the model reaches on their test
  /// examples, then "all" and "mean". One evaluation a client; empty ones have no value in any
  /// column. `training` may be empty, before any. `plan` is that of the round, with NaN for what it
  /// has not.
  void add(int round, TrainingRows training, const std::vector<EvaluateResult>& evaluations,
           const Objectives& plan);

  /// Puts into the last round, which was added with empty evaluations, what was measured since.
  void measure(const std::vector<EvaluateResult>& evaluations);
  /// Whether anything was measured of the last round.
  bool measured() const;

  /// What the log says of the last round: "round 3: accuracy 0.5000 (mean over …".
  std::string summary() const;

 private:
  RoundMetrics all_row(int round, const std::vector<RoundMetrics>& rows,
                       const std::vector<EvaluateResult>& evaluations) const;
  RoundMetrics mean_row(const RoundMetrics& all, const std::vector<RoundMetrics>& rows) const;

  std::vector<ClientSize> clients_;
  const tasks::Task* task_;
  RoundTable table_;
};

/// questions.csv of a round: of each client's test questions, which were answered correctly, and
/// which its most frequent training answer would have.
std::vector<QuestionResult> question_results(int round, const std::vector<ClientSize>& clients,
                                             const std::vector<EvaluateResult>& evaluations);

}  // namespace strata::fedrunner
