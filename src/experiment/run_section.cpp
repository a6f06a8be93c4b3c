#include "experiment/run_section.h"

#include <algorithm>
#include <limits>
#include <set>
#include <utility>

#include "strata/core/error.h"

namespace strata::experiment {
namespace {

Fields<ScoreConfig> score_fields(const ToolNames& names) {
  auto metrics = names.metrics;
  metrics.push_back(kAutoMetric);
  return Fields<ScoreConfig>({
      field("metric", &ScoreConfig::metric,
            one_of(metrics, "a metric of `strata score`, or `auto`"),
            "of the units' importance; `auto` is `lntk`, of a model that answers in words "
            "`gradient` ([importance.md](importance.md))"),
      field("samples", &ScoreConfig::samples, whole(1), "examples a client scores on"),
      field("every", &ScoreConfig::every, whole(1),
            "rounds between scorings; in between the last scores are planned on again"),
      field("answers", &ScoreConfig::answers, distinct_texts(),
            "of a model that answers in words: answers whose log-likelihoods `lntk` and `trace` "
            "differentiate, such as `[yes, no]`; `[]`: the client's most frequent ones")
          .written_if_changed(),
      field("top_answers", &ScoreConfig::top_answers, whole(1), "how many of these")
          .written_if_changed(),
      field("random_outputs", &ScoreConfig::random_outputs,
            whole(0, std::numeric_limits<std::int32_t>::max()),
            "of a model that segments: so many sums of all its logits with random signs, in place "
            "of a mean of each class, are what `lntk` and `trace` differentiate")
          .written_if_changed(),
  });
}

Fields<PlanConfig> plan_fields(const ToolNames& names) {
  return Fields<PlanConfig>({
      field("algorithm", &PlanConfig::algorithm, one_of(names.algorithms, "as in `strata plan`"),
            "how the front is found")
          .default_text("`exact`; `prices` where budgets are of a resource"),
      field("choose", &PlanConfig::choose, choice_rule(names), "which plan of the front"),
      field("evaluations", &PlanConfig::evaluations,
            whole(1, std::numeric_limits<std::int64_t>::max()), "of a metaheuristic"),
      field("every", &PlanConfig::every, whole(1),
            "rounds between plans; in between the last plan stays in force")
          .written_if_changed(),
      field("warm", &PlanConfig::warm, boolean(),
            "metaheuristics begin with the front of the run's last plan (`--warm` in "
            "[planner.md](planner.md)); the other algorithms depend on no start")
          .written_if_changed(),
      field("least_cohort", &PlanConfig::least_cohort, whole(1),
            "a unit is trained by nobody or by at least so many clients "
            "([consortium.md](consortium.md#least-cohorts))")
          .written_if_changed(),
  });
}

Field<RunConfig> strategies_field(const ToolNames& names) {
  Field<RunConfig> field{"strategies", "names or mappings (below)", "a list", "", Form::kList};
  field.read = [=](ObjectReader& reader, RunConfig& run, bool) {
    const auto fields =
        strategy_fields(names, {run.score.metric, run.plan.algorithm, run.plan.choose});
    std::set<std::string> seen;
    for (const auto& mapping : reader.objects("strategies")) {
      run.strategies.push_back(fields.read(mapping));
      const std::string& name = run.strategies.back().name;
      if (!seen.insert(name).second)
        mapping.fail("name", "the strategy \"" + name + "\" stands twice");
    }
    if (run.strategies.empty())
      reader.fail("strategies",
                  "at least one strategy is needed: " + quoted_list(strategy_names(names)));
  };
  field.write = [](const RunConfig& run) {
    static const auto fields = strategy_fields({}, {});
    Json list = Json::array();
    for (const auto& strategy : run.strategies) list.push_back(fields.write(strategy));
    return list;
  };
  return field.required().read_last();
}

Kind<std::vector<std::uint64_t>> seed_numbers() {
  using Seeds = std::vector<std::uint64_t>;
  const auto read = [](ObjectReader& reader, const std::string& key,
                       const std::optional<Seeds>& fallback) {
    const Json& seeds = reader.raw(key);
    if (seeds.is_null() && fallback) return *fallback;
    if (!seeds.is_array() || seeds.empty())
      reader.fail(key, "a list of whole numbers was expected, e.g. [1, 2, 3]");
    Seeds values;
    for (const auto& seed : seeds) {
      if (!seed.is_number_integer() || seed.get<std::int64_t>() < 0)
        reader.fail(key, "a whole number of at least 0 was expected, found " + excerpt(seed));
      const auto value = seed.get<std::uint64_t>();
      if (std::find(values.begin(), values.end(), value) != values.end())
        reader.fail(key, "the seed " + std::to_string(value) + " stands twice");
      values.push_back(value);
    }
    return values;
  };
  return {read, [](const Seeds& seeds) { return Json(seeds); }, Form::kList,
          "a list of numbers ≥ 0"};
}

/// Files of tables are named from the folder in which the program runs, as the data's folder is.
Kind<Budget> budget_of_clients() {
  const auto read = [](ObjectReader& reader, const std::string& key, const std::optional<Budget>&) {
    Budget budget = read_budget(reader, key, "", [&] { return reader.text(key); });
    if (budget.each == 0 && budget.clients.empty())
      reader.fail(key, "at least 1 was expected, found 0");
    if (!budget.each && budget.clients.empty()) reader.fail(key, "no client has a budget");
    return budget;
  };
  return {read, [](const Budget& budget) { return to_json(budget); }, Form::kText,
          "as in a problem file ([planner.md](planner.md))"};
}

/// What does not go with units of at least so many clients.
void check_least_cohort(const ObjectReader& reader, const RunConfig& run) {
  if (run.plan.least_cohort == 1) return;
  const auto fail = [&](const std::string& why) {
    reader.fail("plan", "least_cohort " + std::to_string(run.plan.least_cohort) + ": " + why);
  };
  if (run.ranks.planned) fail("plans of ranks do not keep it; found run.ranks plan");
  if (run.server.algorithm.algorithm != FederatedAlgorithm::kFedavg)
    fail(
        "it goes with run.server.algorithm fedavg alone, as what clients remember of units that "
        "others do not train would tell of them");
  for (const Strategy& strategy : run.strategies) {
    const bool whole = strategy.own == OwnAlgorithm::kFull || strategy.own == OwnAlgorithm::kNone;
    if (strategy.own && !whole)
      fail("the strategy " + strategy.name + " deals units out whoever else trains them");
  }
}

void complete_run(ObjectReader& reader, RunConfig& run) {
  const FederatedAlgorithm algorithm = run.server.algorithm.algorithm;
  if (needs_sgd(algorithm) && run.local.training.optimizer != LocalOptimizer::kSgd)
    reader.object("server").fail("algorithm", federated_algorithms().name(algorithm) +
                                                  " goes with run.local.optimizer sgd alone");
  if (run.ranks.given() && algorithm != FederatedAlgorithm::kFedavg)
    reader.fail("ranks", "ranks of clients go with run.server.algorithm fedavg alone");
  check_least_cohort(reader, run);
  if (run.local.privacy) {
    if (algorithm != FederatedAlgorithm::kFedavg)
      reader.object("server").fail("algorithm",
                                   "private training (local.private) goes with fedavg alone");
    if (run.server.aggregation.rank_decay < 1)
      reader.object("server").fail("rank_decay", "private training prunes no ranks");
  }
  if (!run.ranks.planned) return;
  if (run.server.aggregation.rank_decay < 1)
    reader.object("server").fail("rank_decay", "the ranks of plans are not pruned, too");
  if (run.plan.warm)
    reader.object("plan").fail("warm", "searches begin with a front, and none plans ranks");
  for (const Strategy& strategy : run.strategies) {
    const bool whole = strategy.own == OwnAlgorithm::kFull || strategy.own == OwnAlgorithm::kNone;
    const bool counts = run.budget.counts_units();
    if (!whole && !(counts ? strategy.plans_ranks : strategy.plans_rank_costs))
      reader.fail("ranks", "the strategy " + strategy.name + " plans with " + strategy.algorithm +
                               ", which gives clients " +
                               (counts ? "units, not ranks of units"
                                       : "no ranks in budgets of " + run.budget.of));
  }
}

}  // namespace

bool is_undecided(const RunConfig& run, const Strategy& strategy) {
  return !run.local.learning_rates.empty() && !strategy.learning_rate;
}

LocalConfig local_of(const RunConfig& run, const Strategy& strategy) {
  LocalConfig local = run.local;
  local.learning_rates.clear();
  if (strategy.learning_rate) local.training.learning_rate = *strategy.learning_rate;
  return local;
}

Fields<RunConfig> run_fields(const ToolNames& names) {
  const auto plan_by_budget = [](RunConfig& run) {
    run.plan.algorithm = run.budget.counts_units() ? "exact" : "prices";
  };
  const Choices<SaveModel> save_model(
      {{SaveModel::kEnd, "end"}, {SaveModel::kEvery, "every"}, {SaveModel::kNever, "never"}});
  std::vector<Field<RunConfig>> fields({
      strategies_field(names),
      field("seeds", &RunConfig::seeds, seed_numbers(), "one run for every strategy and seed"),
      field("rounds", &RunConfig::rounds, whole(1, 99999), "of training").required(),
      field("budget", &RunConfig::budget, budget_of_clients(),
            "what a client may train beside `units.always`: a number of selectable units, ≥ 1; an "
            "amount (`400kB`, `2GFLOP`); a CSV file; a mapping of all clients (`{ct: 1, mri: 2}`, "
            "≥ 0), or `{of: memory, each: 4MiB, clients: {ct: 8MiB}}`. Amounts are of one sample, "
            "and units cost what `strata inspect --cost` says. Of a resource a client trains what "
            "fits; `exact` counts units alone")
          .required(),
      field(
          "ranks", &RunConfig::ranks, ranks_of_clients(),
          "clients' ranks of the LoRA pairs, up to the pairs' own: of a client of rank k only the "
          "first k rows of A and columns of B travel and are trained; with `plan`, `budget` counts "
          "ranks, or a resource of which ranks cost something, and every plan gives each client a "
          "rank of each unit: [below](#ranks)")
          .default_text("the pairs' own")
          .written_if_changed(),
      section("score", &RunConfig::score, score_fields(names)),
      section("plan", &RunConfig::plan, plan_fields(names)).default_of(plan_by_budget, ""),
      section("local", &RunConfig::local, local_fields()).required(),
      field("evaluate_every", &RunConfig::evaluate_every, whole(1),
            "rounds; round 0 and the last are always evaluated"),
      field("save", &RunConfig::save, choice(save_model),
            "when the whole model is written to `model/`: with the last round, with every one, or "
            "not at all; `state/` has what was trained after each round")
          .written_if_changed(),
      field("tensorboard", &RunConfig::tensorboard, boolean(),
            "the run's metrics as an event file for TensorBoard, too: [below](#tensorboard)")
          .written_if_changed(),
      // Nothing of them is written where nothing is in use.
      section("server", &RunConfig::server, server_fields()).written_if_changed(),
      section("failures", &RunConfig::failures, failure_fields()).written_if_changed(),
  });
  return Fields<RunConfig>(std::move(fields), complete_run);
}

}  // namespace strata::experiment
