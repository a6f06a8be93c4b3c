#pragma once
/// \file
/// A strategy of `run.strategies`: who scores by what, and who plans.

#include <optional>
#include <string>
#include <vector>

#include "core/fields.h"
#include "strata/experiment/tool_names.h"

namespace strata::experiment {

/// The algorithms that the runner itself has, which need no scores: every selectable unit, none,
/// units dealt out in turn, a random subset.
enum class OwnAlgorithm { kFull, kNone, kRotate, kDropout, kSharedDropout };

/// Stands for the metric that is a model's default (settle_metrics).
inline const std::string kAutoMetric = "auto";

struct Strategy {
  std::string name;
  std::string metric;     ///< "none": nothing is scored
  std::string algorithm;  ///< by its name; one of the planner's, or of the runner's own
  std::string choose;
  std::optional<double> learning_rate = {};  ///< in place of `run.local.learning_rate`
  bool rate_chosen = false;                  ///< by trials: it stands in no experiment file
  std::optional<OwnAlgorithm> own = {};      ///< that one
  bool counts_units_only = false;            ///< the planner's algorithm knows no other budgets
  bool plans_ranks = false;                  ///< the planner's algorithm can in budgets of ranks
  bool plans_rank_costs = false;             ///< likewise of a resource
  std::string mode = {};  ///< its own units (unit_modes.h); empty: those of `units`

  bool scores() const;  ///< whether rounds score
};

/// What strategies have that do not say otherwise: `run.score.metric`, `run.plan.algorithm` and
/// `run.plan.choose`.
struct StrategyDefaults {
  std::string metric, algorithm, choose;
};

/// The strategies that a name alone makes: those of the runner, every metric as top-k, and F3OCUS
/// with every algorithm. What has ':' in its name (pagmo's own) cannot name a folder.
std::vector<std::string> strategy_names(const ToolNames& names);

Fields<Strategy> strategy_fields(const ToolNames& names, const StrategyDefaults& defaults);

/// A rule to choose from a front, which may have a number behind it ("weights:0.3").
Kind<std::string> choice_rule(const ToolNames& names);

/// `f3ocus` in the list of strategies means `{name: f3ocus}`.
void expand_strategies(Json& root);

}  // namespace strata::experiment
