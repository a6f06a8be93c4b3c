#pragma once
/// \file
/// What an experiment file may name of the scorer and the planner, which are handed in.

#include <functional>
#include <string>
#include <vector>

namespace strata::experiment {

/// The names that experiment files may use.
/// \code
/// ToolNames names;
/// names.metrics = {"lntk", "gradient"};  // run.score.metric, and strategies that are top-k by it
/// names.algorithms = {"exact", "topk"};  // run.plan.algorithm
/// names.choices = {"knee"};              // run.plan.choose
/// assert(!names.check_choice);           // nothing but "knee" is a rule
/// \endcode
struct ToolNames {
  std::vector<std::string> metrics, algorithms, choices;
  /// Throws InputError for a rule that is none, such as "weights:2"; without it, rules are
  /// `choices` as they stand.
  std::function<void(const std::string& rule)> check_choice = {};
  /// Those of `algorithms` that know budgets of units alone.
  std::vector<std::string> count_units = {};
  /// Those of `algorithms` that plan ranks in budgets of ranks.
  std::vector<std::string> plan_ranks = {};
  /// The same in budgets of a resource.
  std::vector<std::string> plan_rank_costs = {};
};

}  // namespace strata::experiment
