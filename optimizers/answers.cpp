#include "optimizers/answers.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <vector>

#include "core/infinity.h"
#include "optimizers/client_choice.h"

namespace strata::optimizers {
namespace {

constexpr int kSweeps = 200;

class Answers {
 public:
  Answers(const PlanningProblem& problem, double price, std::optional<double> wanted,
          Assignment& assignment)
      : problem_(problem),
        wanted_(wanted),
        units_(problem.unit_count()),
        per_use_(units_ > 0 ? price / units_ : 0.0),
        assignment_(assignment),
        counts_(usage(assignment)),
        total_(std::accumulate(counts_.begin(), counts_.end(), std::int64_t{0})),
        least_(units_, 0),
        solver_(problem),
        worth_(units_),
        before_(units_) {
    for (int unit = 0; unit < units_; ++unit) least_[unit] = problem.least_usage(unit);
  }

  /// What the client's answer gains; 0 where it keeps its choice.
  double answer(int client) {
    std::uint8_t* row = assignment_.data() + std::ptrdiff_t{client} * units_;
    const double mean = wanted_ ? *wanted_ : static_cast<double>(total_) / units_;
    double held = 0, size = 0, least_held = kInfinity, most_free = -kInfinity;
    for (int unit = 0; unit < units_; ++unit) {
      const int others = counts_[unit] - row[unit];
      worth_[unit] = problem_.importance(client, unit) - per_use_ * (2 * (others - mean) + 1);
      if (row[unit]) {
        held += worth_[unit];
        size += std::abs(worth_[unit]);
        least_held = std::min(least_held, worth_[unit]);
      } else {
        most_free = std::max(most_free, worth_[unit]);
      }
    }
    if (problem_.counts_units() && most_free <= least_held) return 0;
    for (int unit = 0; unit < units_; ++unit) {
      before_[unit] = row[unit];
      row[unit] = row[unit] && counts_[unit] - 1 < least_[unit];
    }
    solver_.solve(client, worth_.data(), assignment_);
    double found = 0;
    for (int unit = 0; unit < units_; ++unit) {
      if (row[unit]) found += worth_[unit];
    }
    if (!(found > held + 1e-13 * size)) {
      std::copy(before_.begin(), before_.end(), row);
      return 0;
    }
    for (int unit = 0; unit < units_; ++unit) {
      counts_[unit] += row[unit] - before_[unit];
      total_ += row[unit] - before_[unit];
    }
    return found - held;
  }

 private:
  const PlanningProblem& problem_;
  const std::optional<double> wanted_;
  const int units_;
  const double per_use_;
  Assignment& assignment_;
  std::vector<int> counts_;
  std::int64_t total_;
  std::vector<int> least_;
  ClientSolver solver_;
  std::vector<double> worth_;
  std::vector<std::uint8_t> before_;
};

void answer_until_settled(const PlanningProblem& problem, double price,
                          std::optional<double> wanted, double least_gain, Assignment& assignment) {
  const int clients = problem.client_count();
  if (problem.unit_count() == 0) return;
  Answers answers(problem, price, wanted, assignment);
  int unchanged = 0;  // clients in a row
  for (int sweep = 0; sweep < kSweeps && unchanged < clients; ++sweep) {
    double gained = 0;
    for (int client = 0; client < clients && unchanged < clients; ++client) {
      const double gain = answers.answer(client);
      gained += gain;
      unchanged = gain > 0 ? 0 : unchanged + 1;
    }
    if (gained < least_gain) return;
  }
}

}  // namespace

void answer_in_turn(const PlanningProblem& problem, double price, double least_gain,
                    Assignment& assignment) {
  answer_until_settled(problem, price, {}, least_gain, assignment);
}

void answer_in_turn_towards(const PlanningProblem& problem, double price, double wanted,
                            double least_gain, Assignment& assignment) {
  answer_until_settled(problem, price, wanted, least_gain, assignment);
}

}  // namespace strata::optimizers
