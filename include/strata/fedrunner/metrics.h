#pragma once
/// \file
/// What a round measures, and the metrics.csv and questions.csv that hold it.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace strata::fedrunner {

/// What the aggregate rows of metrics.csv are called in place of a client, so no client can be:
/// all, weighted by test samples, and the plain mean over clients.
inline const std::string kAllRow = "all", kMeanRow = "mean";

/// One row of metrics.csv: a client in a round, or an aggregate. Round 0 is the model before any
/// training.
/// \code
/// RoundMetrics row;
/// row.round = 1;
/// row.client = "ct";
/// row.values = {0.5, 0.25};
/// write_metrics({{"accuracy", "macro_f1"}, {row}}, "metrics.csv");
/// const RoundTable table = read_metrics("metrics.csv");
/// assert(table.rows.front().values[table.column("macro_f1")] == 0.25);
/// assert(!table.rows.front().is_aggregate());
/// \endcode
struct RoundMetrics {
  int round = 0;
  std::string client;
  std::int64_t train_samples = 0, test_samples = 0;
  double train_loss = 0;  ///< mean over the client's local steps; NaN in round 0
  double test_loss = 0;   ///< of the aggregated model on the client's test examples
  /// The task's metrics, one for each of RoundTable::metrics; NaN where there is none, as of open
  /// questions of a client that has no such test question.
  std::vector<double> values;
  /// 10⁶ bits sent and received by the client; aggregates: the sum (all) and the mean.
  double up_mbit = 0, down_mbit = 0;
  double importance = 0, usage_variance = 0;  ///< of the round's plan; only in rows of all
  double seconds = 0;          ///< local training; measured, so not reproducible to the byte
  double peak_memory_mib = 0;  ///< likewise

  bool is_aggregate() const { return client == kAllRow || client == kMeanRow; }
};

/// Rows, and what their values are.
struct RoundTable {
  std::vector<std::string> metrics;  ///< the task's, the main one first
  std::vector<RoundMetrics> rows;

  /// The place of a metric among a row's values. @throws std::out_of_range
  std::size_t column(const std::string& metric) const;
};

/// Header: round,client,train_samples,test_samples,train_loss,test_loss, then the task's metrics
/// (accuracy,open_accuracy,closed_accuracy of answers), then
/// up_mbit,down_mbit,importance,usage_variance,seconds,peak_memory_mib. NaN is an empty field.
/// @throws WorkError / InputError
void write_metrics(const RoundTable& table, const std::filesystem::path& path);
RoundTable read_metrics(const std::filesystem::path& path);

/// One row of questions.csv, which holds every test question of the last evaluated round: what a
/// difference between two runs on the same questions is told by.
struct QuestionResult {
  int round = 0;
  std::string client;
  std::int64_t question = 0;  ///< its place among the client's test questions, from 0
  bool correct = false;
  /// Whether the answer that is most frequent in the client's training set is right here, too: what
  /// a model reaches that looks neither at the image nor at the question.
  bool majority_correct = false;
};

/// Header: round,client,question,correct,majority_correct; the last two are 0 or 1.
/// @throws WorkError / InputError naming file, line and column
void write_questions(const std::vector<QuestionResult>& rows, const std::filesystem::path& path);
std::vector<QuestionResult> read_questions(const std::filesystem::path& path);

}  // namespace strata::fedrunner
