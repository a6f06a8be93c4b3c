#pragma once
/// \file
/// The layer-assignment problem, assignments and their objectives.

#include <Eigen/Core>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "strata/core/score_table.h"

namespace strata {

/// M ∈ {0,1}^(clients × units), row-major so that a client's choice is contiguous.
using Assignment = Eigen::Matrix<std::uint8_t, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// Who may train how much of what. Client i trains exactly `budgets[i]` units.
///
/// Exactly, not at most: as scores are ≥ 0 an unused slot can only lose importance, and the paper
/// fixes the number of layers per client. Budgets of 0 and of all units are allowed.
struct PlanningProblem {
  std::vector<std::string> clients;
  std::vector<std::string> units;
  Eigen::MatrixXd importance;  ///< S, clients × units, finite and ≥ 0
  std::vector<int> budgets;    ///< one per client, in [0, units]

  int client_count() const { return static_cast<int>(clients.size()); }
  int unit_count() const { return static_cast<int>(units.size()); }

  /// @throws InputError naming the client, the budget found and the range allowed.
  void validate() const;
};

/// The two objectives of F3OCUS (arXiv 2411.11912, server-level optimisation).
struct Objectives {
  double importance = 0;      ///< Σᵢₗ S[i,l] M[i,l], to be maximised
  double usage_variance = 0;  ///< (1/L) Σₗ (nₗ − n̄)², nₗ = Σᵢ M[i,l], to be minimised
};

/// a is at least as good as b in both objectives and better in one.
bool dominates(const Objectives& a, const Objectives& b);

/// nₗ: how many clients train unit l.
std::vector<int> usage(const Assignment& assignment);

/// Population variance of a usage histogram, (1/L) Σ (nₗ − n̄)². 0 for an empty one.
/// Worked value: {0:5, 1:5, 12:2, 17:4, 22:3, 25:1} over 32 layers has variance 2.109, as the paper's
/// figure of layer usage states.
double usage_variance(const std::vector<int>& usage);

/// O(clients × units).
Objectives evaluate(const PlanningProblem& problem, const Assignment& assignment);

/// Every row sums to the client's budget and every entry is 0 or 1.
bool is_feasible(const PlanningProblem& problem, const Assignment& assignment);

/// From a score table and `--budget`: either one number for every client, or a CSV file with the
/// header `client,budget` that names each client of the table exactly once.
/// @throws InputError (file and line; a budget above the number of units is named with its client).
PlanningProblem make_problem(const ScoreTable& scores, const std::string& budget);

}  // namespace strata
