#include "experiment/strategy.h"

#include "core/text.h"
#include "experiment/folder_name.h"
#include "experiment/unit_modes.h"
#include "strata/core/error.h"

namespace strata::experiment {
namespace {

/// What stands for no scores.
const std::string kNoMetric = "none";
/// The planner's that needs no scores, and the one that takes the best of one metric.
const std::string kRandom = "random", kTopK = "topk";

const Choices<OwnAlgorithm>& own_algorithms() {
  static const Choices<OwnAlgorithm> table({{OwnAlgorithm::kFull, "full"},
                                            {OwnAlgorithm::kNone, "none"},
                                            {OwnAlgorithm::kRotate, "rotate"},
                                            {OwnAlgorithm::kDropout, "dropout"},
                                            {OwnAlgorithm::kSharedDropout, "shared_dropout"}});
  return table;
}

bool needs_scores(const std::string& algorithm) {
  return algorithm != kRandom && !contains(own_algorithms().names(), algorithm);
}

/// The runner's strategies and their algorithms, of which the first is `run.plan.algorithm`.
const std::vector<std::pair<std::string, std::string>>& named_strategies() {
  static const std::vector<std::pair<std::string, std::string>> rows = {
      {"f3ocus", ""},           {"topk", kTopK},          {"random", kRandom},
      {"full", "full"},         {"head", "none"},         {"dropout", "dropout"},
      {"roundrobin", "rotate"}, {"sba", "shared_dropout"}};
  return rows;
}

Strategy named_strategy(const std::string& name, const ToolNames& names,
                        const StrategyDefaults& defaults) {
  for (const auto& [strategy, algorithm] : named_strategies()) {
    if (strategy != name) continue;
    const std::string& planned = algorithm.empty() ? defaults.algorithm : algorithm;
    const bool scored = algorithm.empty() || needs_scores(planned);
    return {name, scored ? defaults.metric : kNoMetric, planned, defaults.choose};
  }
  if (contains(names.metrics, name)) return {name, name, kTopK, defaults.choose};
  return {name, defaults.metric, name, defaults.choose};
}

Kind<std::string> folder_name() {
  Kind<std::string> kind = text();
  kind.read = [read = kind.read](ObjectReader& reader, const std::string& key,
                                 const std::optional<std::string>& fallback) {
    const std::string name = read(reader, key, fallback);
    if (!names_folder(name))
      reader.fail(key, "\"" + name +
                           "\" cannot name a folder (letters, digits, '_', '-' and '.' "
                           "can)");
    return name;
  };
  return kind;
}

Field<Strategy> own_rate_field() {
  Field<Strategy> field{"learning_rate", "in place of `local.learning_rate`", range_text(0.0, 10.0),
                        "none", Form::kNumber};
  field.read = [](ObjectReader& reader, Strategy& strategy, bool) {
    if (reader.has("learning_rate")) strategy.learning_rate = reader.number("learning_rate", 0, 10);
  };
  field.write = [](const Strategy& strategy) {
    return strategy.learning_rate ? Json(*strategy.learning_rate) : Json();
  };
  return field.written_if([](const Strategy& strategy) { return !strategy.rate_chosen; });
}

Field<Strategy> unit_mode_field() {
  Field<Strategy> field{
      "mode",
      "units of its own, as `units.mode` has them; LoRA pairs of `model.peft` are "
      "there for modes that have some",
      "a mode of `units.mode`", "none", Form::kText};
  field.read = [](ObjectReader& reader, Strategy& strategy, bool) {
    if (reader.has("mode")) strategy.mode = reader.choice("mode", unit_mode_names());
  };
  field.write = [](const Strategy& strategy) {
    return strategy.mode.empty() ? Json() : Json(strategy.mode);
  };
  return field;
}

/// What a name alone says that is only that of a strategy with units of its own.
Strategy whole_mode(const std::string& name, const StrategyDefaults& defaults) {
  return {name, kNoMetric, own_algorithms().name(OwnAlgorithm::kFull), defaults.choose};
}

}  // namespace

bool Strategy::scores() const {
  return metric != kNoMetric;
}

std::vector<std::string> strategy_names(const ToolNames& names) {
  std::vector<std::string> strategies;
  for (const auto& [strategy, algorithm] : named_strategies()) strategies.push_back(strategy);
  for (const auto* more : {&names.metrics, &names.algorithms}) {
    for (const auto& name : *more) {
      if (!contains(strategies, name) && name.find(':') == std::string::npos)
        strategies.push_back(name);
    }
  }
  return strategies;
}

Kind<std::string> choice_rule(const ToolNames& names) {
  const std::string allowed = "as in `strata plan`";
  if (!names.check_choice) return one_of(names.choices, allowed);
  Kind<std::string> kind = text();
  kind.allowed = allowed;
  kind.read = [read = kind.read, check = names.check_choice](
                  ObjectReader& reader, const std::string& key,
                  const std::optional<std::string>& fallback) {
    const std::string rule = read(reader, key, fallback);
    try {
      check(rule);
    } catch (const InputError& error) {
      reader.fail(key, error.what());
    }
    return rule;
  };
  return kind;
}

Fields<Strategy> strategy_fields(const ToolNames& names, const StrategyDefaults& defaults) {
  auto algorithms = names.algorithms;
  const auto& own = own_algorithms().names();
  algorithms.insert(algorithms.end(), own.begin(), own.end());
  auto metrics = names.metrics;
  metrics.push_back(kAutoMetric);
  metrics.push_back(kNoMetric);

  auto algorithm = field(
      "algorithm", &Strategy::algorithm,
      one_of(algorithms, "the planner's, or `full`, `none`, `rotate`, `dropout`"), "of the plans");
  algorithm.read = [=, read = algorithm.read](ObjectReader& reader, Strategy& strategy, bool) {
    if (reader.has("algorithm")) {
      read(reader, strategy, true);
      strategy.choose = defaults.choose;
      strategy.metric = needs_scores(strategy.algorithm) ? defaults.metric : kNoMetric;
    } else if (reader.has("mode") && !contains(strategy_names(names), reader.text("name"))) {
      strategy = whole_mode(reader.text("name"), defaults);
    } else {
      // One of the built-in ones, which a mapping may change in part.
      strategy = named_strategy(reader.choice("name", strategy_names(names)), names, defaults);
    }
    if (contains(own_algorithms().names(), strategy.algorithm))
      strategy.own = own_algorithms().value(strategy.algorithm);
    strategy.counts_units_only = contains(names.count_units, strategy.algorithm);
    strategy.plans_ranks = contains(names.plan_ranks, strategy.algorithm);
    strategy.plans_rank_costs = contains(names.plan_rank_costs, strategy.algorithm);
  };
  const auto complete = [](ObjectReader& reader, Strategy& strategy) {
    if (strategy.metric == kNoMetric && needs_scores(strategy.algorithm))
      reader.fail("metric", "the algorithm " + strategy.algorithm + " needs scores");
  };
  return Fields<Strategy>(
      {
          field("name", &Strategy::name, folder_name(), "names a folder").required(),
          field("metric", &Strategy::metric, one_of(metrics, "a metric, `auto` or `none`"),
                "of the scores")
              .read_last(),
          algorithm,
          field("choose", &Strategy::choose, choice_rule(names), "from the front"),
          own_rate_field(),
          unit_mode_field(),
      },
      complete);
}

void expand_strategies(Json& root) {
  if (!root.is_object() || !root.contains("run") || !root["run"].is_object()) return;
  auto& run = root["run"];
  if (!run.contains("strategies") || !run["strategies"].is_array()) return;
  for (auto& strategy : run["strategies"]) {
    if (strategy.is_string()) strategy = Json{{"name", strategy}};
  }
}

}  // namespace strata::experiment
