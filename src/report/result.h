#pragma once
/// \file
/// What an experiment's strategies reached at the end, how well that is known, and which of them
/// can be told apart.

#include <cstdint>
#include <string>
#include <vector>

#include "report/intervals.h"
#include "report/run_folder.h"

namespace strata::report {

/// What an interval is over.
enum class Over { kSeeds, kQuestions };

/// Of one strategy, in percent, on all clients' test questions together.
struct StrategyResult {
  std::string strategy;
  Interval accuracy;
  Over over = Over::kQuestions;
};

/// Two strategies, or a strategy and the most frequent answer, in percentage points.
struct Contrast {
  std::string first, second;  ///< kMajority as `second`
  Difference difference;
  Over over = Over::kQuestions;
  bool paired = true;     ///< on the same questions, or the same seeds
  double adjusted_p = 1;  ///< Holm's correction over all contrasts of the page
  /// At the 5 % level.
  bool distinguishable() const { return adjusted_p < 0.05; }
  bool with_majority() const;
};

constexpr const char* kMajority = "most frequent answer";

struct Result {
  std::vector<StrategyResult> strategies;  ///< as Experiment::strategies
  std::vector<Contrast> contrasts;         ///< pairs of strategies, then each with kMajority
  std::vector<std::string> not_compared;   ///< pairs that cannot be, each with its reason
  std::string metric = "accuracy";         ///< the main one
  bool judged = true;                      ///< see RunFolder::judged
  std::vector<std::string> without_test;   ///< pairs of one seed each, where it is not so
  Interval before;                         ///< the foundation, before any training
  std::int64_t questions = 0;              ///< of the first run
  std::vector<std::int64_t> client_questions;
  /// The share, in percent, of test questions for which the client's most frequent training answer
  /// is right: NaN without a questions.csv. By client, and over all questions.
  std::vector<double> client_majority;
  double majority = 0;
  bool equal_clients = false;    ///< all clients have as many questions
  bool questions_known = false;  ///< every run has its questions.csv
};

Result result_of(const Experiment& experiment);

/// The interval of one client, or of all with kAllRow, over a strategy's seeds or, with one, its
/// questions; in percent.
Interval client_accuracy(const std::vector<const RunFolder*>& runs, int round,
                         const std::string& client);

/// What the contrasts allow to say, in sentences: which strategies can be told apart and which
/// cannot, and which differ from the most frequent answer. "" where there is nothing to compare.
std::string verdict(const Result& result);

/// "9 clients with 468 test questions (40 to 64 each)".
std::string question_counts(const Result& result);

/// "95 % interval over the seeds (Student)" and the like, for captions.
std::string interval_kind(const Result& result);

}  // namespace strata::report
