#pragma once
/// \file
/// The rows of the one table of algorithms: what runs each. Internal.

#include <string>
#include <vector>

#include "optimizers/pagmo_algorithms.h"
#include "optimizers/search_run.h"
#include "strata/core/plan_options.h"
#include "strata/optimizers/algorithms.h"
#include "strata/optimizers/certificate.h"

namespace strata::optimizers {

/// A row sets one of the four that run: a further algorithm is its own file and its row.
struct AlgorithmRow {
  Algorithm algorithm;
  /// A front with the bound that certifies it.
  Certificate (*certify)(const PlanningProblem& problem, const PlanOptions& options) = nullptr;
  /// A front, or one assignment.
  FrontPoints (*plan)(const PlanningProblem& problem, const PlanOptions& options) = nullptr;
  Method search = nullptr;
  PagmoSearch pagmo = nullptr;
  /// Of a row that certifies, where auto plans and gaps are measured with it: those of the first
  /// row that suits the problem.
  bool (*suits)(const PlanningProblem& problem) = nullptr;
};

const std::vector<AlgorithmRow>& algorithm_rows();
/// @throws InputError as require_name, and in a build without pagmo for a name of pagmo's, which it
/// says.
void require_algorithm(const std::string& option, const std::string& name,
                       const std::vector<std::string>& allowed);
/// The row of an algorithm that is there.
const AlgorithmRow& row_of(const std::string& name);
/// @throws InputError naming the algorithms that do where the problem has ranks, which `asked`, an
/// algorithm or what else was asked for, does not plan.
void require_units(const PlanningProblem& problem, const std::string& asked);
/// The same where the algorithm plans no ranks, or none in budgets of the problem's kind.
void require_suited(const PlanningProblem& problem, const Algorithm& algorithm);
/// By a row that certifies, cohorts kept.
Certificate certify_by(const AlgorithmRow& row, const PlanningProblem& problem,
                       const PlanOptions& options);
/// The first row that suits: the exact front, or a bound by prices.
const AlgorithmRow& certifying_row(const PlanningProblem& problem);

}  // namespace strata::optimizers
