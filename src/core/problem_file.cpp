#include "strata/core/problem_file.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <optional>

#include "core/amount.h"
#include "core/budget.h"
#include "core/csv.h"
#include "core/document.h"
#include "core/infinity.h"
#include "core/name_index.h"
#include "core/score_scales.h"
#include "core/table_file.h"
#include "strata/core/error.h"
#include "strata/core/target_usage.h"
#include "strata/core/unit_choice.h"

namespace strata {
namespace {

const std::string kEveryone = "*";
const std::string kHolder = "the score table";  // of units

/// Costs of one kind, per unit of the problem.
using Costs = std::map<std::string, std::map<std::string, std::int64_t>>;  // kind → unit → cost

ScoreTable columns_of(const ScoreTable& table, const std::vector<std::size_t>& units) {
  ScoreTable selected = table;
  selected.units.clear();
  selected.roles.clear();
  selected.raw.resize(0, 0);
  selected.scores.resize(table.client_count(), static_cast<Eigen::Index>(units.size()));
  for (const std::size_t unit : units) {
    selected.scores.col(selected.unit_count()) = table.scores.col(static_cast<Eigen::Index>(unit));
    selected.units.push_back(table.units[unit]);
    if (!table.roles.empty()) selected.roles.push_back(table.roles[unit]);
  }
  return selected;
}

/// Clients whose rows count far more than others'.
void warn_of_rows(const ScoreTable& table, std::vector<std::string>& warnings) {
  const Eigen::VectorXd sums = table.scores.rowwise().sum();
  int least = -1, most = -1;
  for (int i = 0; i < table.client_count(); ++i) {
    if (sums(i) > 0 && (least < 0 || sums(i) < sums(least))) least = i;
    if (sums(i) > 0 && (most < 0 || sums(i) > sums(most))) most = i;
  }
  if (least < 0 || sums(most) < kScalesApart * sums(least)) return;
  warnings.push_back("the clients' scores differ in scale: the sums of their rows reach from " +
                     short_number(sums(least)) + " (\"" + table.clients[least] + "\") to " +
                     short_number(sums(most)) + " (\"" + table.clients[most] +
                     "\"), which counts so much more; --normalise, or normalise: true, divides "
                     "each row by its sum");
}

Costs costs_from_table(const std::string& text, const std::string& file) {
  const auto rows = parse_table(text, file);
  const auto at = [&](const CsvRow& row) { return file + ":" + std::to_string(row.line) + ": "; };
  const auto& header = rows[0].fields;
  if (header.size() < 2 || !is_index_header(header[0], "unit"))
    throw InputError(at(rows[0]) + "the header must be unit and some of " +
                     quoted_list(resource_names()));
  Costs costs;
  for (std::size_t k = 1; k < header.size(); ++k) {
    const auto kind = std::find_if(resource_names().begin(), resource_names().end(),
                                   [&](const auto& name) { return is_header(header[k], name); });
    if (kind == resource_names().end())
      throw InputError(at(rows[0]) + "unknown column \"" + header[k] + "\"" +
                       did_you_mean(header[k], resource_names()) + "; allowed: unit, " +
                       quoted_list(resource_names()));
    for (std::size_t r = 1; r < rows.size(); ++r) {
      std::int64_t value = 0;
      const auto& field = rows[r].fields[k];
      if (!parse_amount(field, *kind, value))
        throw InputError(at(rows[r]) + header[k] + ": " + allowed_amount(*kind) +
                         " was expected, found \"" + field + "\"");
      if (!costs[*kind].emplace(rows[r].fields[0], value).second)
        throw InputError(at(rows[r]) + "the unit \"" + rows[r].fields[0] + "\" stands twice");
    }
  }
  return costs;
}

Costs costs_from_inspect(const std::string& text, const std::string& file) {
  const Document document = parse_json(text, file);
  ObjectReader reader(document);
  reader.version(1);
  reader.raw("text_tokens");
  reader.raw("labels");
  reader.raw("total");
  Costs costs;
  for (auto& unit : reader.objects("units")) {
    const auto name = unit.text("name");
    Unit of_file;
    of_file.parameter_count = unit.integer("parameters", 0, std::int64_t{1} << 50);
    of_file.bytes = std::llround(unit.number("bytes", 0, 1e15));
    of_file.forward_flops = unit.number("forward_flops", 0, 1e15);
    of_file.activation_bytes = unit.number("activation_bytes", 0, 1e15);
    for (const auto& kind : resource_names()) costs[kind][name] = strata::cost_of(of_file, kind);
    unit.finish();
  }
  reader.finish();
  return costs;
}

Costs read_cost_file(const std::string& path) {
  const std::string text = read_text(path), file = text_name(path);
  const std::string extension = text_extension(path);
  const bool json =
      extension == ".json" || (extension != ".csv" && extension != ".tsv" && looks_like_json(text));
  return json ? costs_from_inspect(text, file) : costs_from_table(text, file);
}

class Loader {
 public:
  Loader(const Document& document, const ProblemOptions& options, LoadedProblem& loaded)
      : reader_(document),
        folder_(std::filesystem::path(document.file).parent_path()),
        options_(options),
        loaded_(loaded),
        problem_(loaded.problem) {}

  /// Scores that are there already.
  void load(const ScoreTable& scores) {
    has_scores_ = true;
    loaded_.scores = scores;
    load();
  }

  void load() {
    reader_.version(1);
    if (!has_scores_) read_score_file();
    ScoreTable table = competing_units();
    if (loaded_.normalised)
      normalise_rows(table.scores);
    else
      warn_of_rows(table, loaded_.warnings);
    std::string roles = role_scale_warning(table);
    if (!roles.empty())
      loaded_.warnings.push_back(roles + "; --unit, or units, says which compete");
    problem_.clients = table.clients;
    problem_.units = table.units;
    problem_.importance = table.scores;
    clients_.emplace(problem_.clients);
    read_costs();
    read_budget();
    read_weights();
    read_rules("pinned", Rule::kPinned);
    read_rules("forbidden", Rule::kForbidden);
    read_coverage();
    read_least_cohort();
    read_objectives();
    read_target_usage();
    loaded_.choose = reader_.text("choose", "");
    reader_.finish();
    if (options_.file.empty()) return;
    with_context(options_.file, [&] {
      problem_.validate();
      if (!loaded_.target_usage.empty()) with_target_usage(problem_, loaded_.target_usage);
    });
  }

 private:
  std::string named_file(const std::string& key) {
    loaded_.files.emplace_back(key, (folder_ / reader_.text(key)).string());
    return loaded_.files.back().second;
  }

  void read_score_file() {
    std::string scores = options_.scores;
    if (reader_.has("scores") && scores.empty()) scores = named_file("scores");
    reader_.text("scores", "");
    if (scores.empty()) fail("scores", "the key is missing, and --scores was not given");
    const std::string metric = reader_.text("metric", "");
    loaded_.scores = read_scores(scores, !options_.metric.empty() ? options_.metric : metric);
  }

  /// A message about a key of the file or, without one, about the option that stands for it.
  [[noreturn]] void fail(const std::string& key, const std::string& message) const {
    if (options_.file.empty()) throw InputError("--" + key + ": " + message);
    reader_.fail(key, message);
  }

  /// The scores of the units that compete; sets what is always trained, and whether to normalise.
  ScoreTable competing_units() {
    UnitWishes wishes;
    wishes.holder = kHolder;
    wishes.where_competing = options_.units.empty() ? reader_.where("units") : "--unit";
    wishes.where_always = reader_.where("always");
    if (reader_.has("units")) wishes.competing = reader_.texts("units");
    if (!options_.units.empty()) wishes.competing = options_.units;
    if (reader_.has("always")) wishes.always = reader_.texts("always");
    const UnitChoice choice = choose_units(loaded_.scores.units, loaded_.scores.roles, wishes);
    if (choice.competing.empty()) fail("units", "no unit is left to compete");
    for (const std::size_t unit : choice.always)
      loaded_.always.push_back(loaded_.scores.units[unit]);
    // Who says the units' roles has a model's measure, not numbers that somebody weighed.
    const bool in_file = reader_.boolean("normalise", !loaded_.scores.roles.empty());
    loaded_.normalised = options_.normalise.value_or(in_file);
    return columns_of(loaded_.scores, choice.competing);
  }

  std::size_t client(ObjectReader& reader, const std::string& key) {
    const auto found = clients_->find(key);
    if (!found)
      reader.fail(
          key, "the scores have no client \"" + key + "\"" + did_you_mean(key, problem_.clients));
    return *found;
  }
  /// The units of the problem that a pattern stands for.
  const std::vector<std::size_t>& units(ObjectReader& reader, const std::string& key,
                                        const std::string& pattern) {
    const auto known = patterns_.find(pattern);
    if (known != patterns_.end()) return known->second;
    const auto& scored = loaded_.scores.units;
    const auto& planned = problem_.units;
    const auto has = [&](const std::vector<std::string>& names) {
      return std::find(names.begin(), names.end(), pattern) != names.end();
    };
    if (!has(planned) && has(scored))
      reader.fail(key, "the unit \"" + pattern +
                           "\" is not among those planned over: " + quoted_list(planned));
    return patterns_[pattern] = matching_units({pattern}, planned, reader.where(key), kHolder);
  }

  void read_costs() {
    const bool in_file = reader_.has("costs");
    if (!options_.costs.empty()) {
      costs_ = read_cost_file(options_.costs);
      return;
    }
    if (!in_file) return;
    if (reader_.raw("costs").is_string()) {
      costs_ = read_cost_file(named_file("costs"));
      return;
    }
    auto mapping = reader_.object("costs");
    for (const auto& name : mapping.keys()) {
      auto cost = mapping.object(name);
      for (const auto& kind : resource_names())
        if (cost.has(kind)) costs_[kind][name] = read_amount(cost, kind, kind);
      cost.finish();
    }
  }

  /// The costs of all units, for the key that needs them.
  std::vector<std::int64_t> costs_of(const std::string& kind, const std::string& key) {
    std::vector<std::int64_t> costs;
    for (const auto& name : problem_.units) {
      const auto found = costs_[kind].find(name);
      if (found == costs_[kind].end()) {
        std::vector<std::string> known;
        for (const auto& cost : costs_[kind]) known.push_back(cost.first);
        fail(key, "it needs the " + kind + " of every unit, and costs has none of \"" + name +
                      "\"" + did_you_mean(name, known));
      }
      costs.push_back(found->second);
    }
    return costs;
  }

  /// Of units that cost so much at the largest rank.
  std::vector<RankCosts> rank_costs_of(const std::string& kind,
                                       const std::vector<std::int64_t>& costs) {
    std::vector<std::int64_t> bytes(costs.size(), 0);
    if (has_fixed_costs(kind)) bytes = costs_of("bytes", "budget");
    std::vector<RankCosts> found;
    for (std::size_t l = 0; l < costs.size(); ++l)
      found.push_back(rank_costs(kind, costs[l], bytes[l], problem_.ranks));
    return found;
  }

  void read_budget() {
    const bool given = !options_.budget.empty(), in_file = !reader_.raw("budget").is_null();
    if (!given && !in_file) fail("budget", "the key is missing, and --budget was not given");
    const Budget budget = given ? parse_budget(options_.budget, options_.of, "--budget")
                                : strata::read_budget(reader_, "budget", options_.of,
                                                      [&] { return named_file("budget"); });
    problem_.ranks =
        options_.ranks.value_or(static_cast<int>(reader_.integer("ranks", 1, kLargestRank, 1)));
    const auto values = budget.values(problem_.clients, problem_.unit_count(), problem_.ranks);
    if (!budget.counts_units() && costs_.empty() && options_.file.empty())
      throw InputError("--budget: budgets of " + budget.of +
                       " need the units' costs: --costs FILE");
    const auto costs =
        budget.counts_units() ? std::vector<std::int64_t>() : costs_of(budget.of, "budget");
    if (problem_.has_ranks() && !budget.counts_units())
      set_rank_budgets(problem_, budget.of, values, rank_costs_of(budget.of, costs));
    else
      set_budgets(problem_, budget.of, values, costs);
  }

  void read_weights() {
    auto weights = reader_.object("client_weights");
    for (const auto& name : weights.keys()) {
      const auto row = static_cast<Eigen::Index>(client(weights, name));
      problem_.importance.row(row) *= weights.number(name, 0, 1e9);
    }
  }

  void read_rules(const std::string& key, Rule rule) {
    auto mapping = reader_.object(key);
    for (const auto& name : mapping.keys()) {
      const std::size_t first = name == kEveryone ? 0 : client(mapping, name);
      const std::size_t last = name == kEveryone ? problem_.clients.size() : first + 1;
      for (const auto& pattern : mapping.texts(name)) {
        for (const std::size_t l : units(mapping, name, pattern))
          for (std::size_t i = first; i < last; ++i) set_rule(mapping, name, i, l, rule);
      }
    }
  }

  void set_rule(const ObjectReader& mapping, const std::string& key, std::size_t i, std::size_t l,
                Rule rule) {
    if (problem_.rules.empty())
      problem_.rules.assign(problem_.clients.size() * problem_.units.size(), Rule::kFree);
    Rule& cell = problem_.rules[i * problem_.units.size() + l];
    if (cell != Rule::kFree && cell != rule)
      mapping.fail(key, "the unit \"" + problem_.units[l] + "\" of client \"" +
                            problem_.clients[i] + "\" is both pinned and forbidden");
    cell = rule;
  }

  void read_coverage() {
    if (!reader_.has("coverage")) return;
    const std::int64_t most = std::int64_t{problem_.ranks} * problem_.client_count();
    if (!reader_.raw("coverage").is_object()) {
      const auto each = reader_.integer("coverage", 0, most);
      problem_.coverage.assign(problem_.units.size(), static_cast<int>(each));
      return;
    }
    problem_.coverage.assign(problem_.units.size(), 0);
    auto mapping = reader_.object("coverage");
    for (const auto& name : mapping.keys())
      for (const std::size_t l : units(mapping, name, name))
        problem_.coverage[l] = static_cast<int>(mapping.integer(name, 0, most));
  }

  void read_least_cohort() {
    const int most = std::max(1, problem_.client_count());
    problem_.least_cohort = options_.least_cohort.value_or(
        static_cast<int>(reader_.integer("least_cohort", 1, most, 1)));
  }

  void read_target_usage() {
    if (!reader_.has("target_usage")) return;
    const Json& given = reader_.raw("target_usage");
    auto& target = loaded_.target_usage;
    if (given.is_array()) {
      for (const Json& uses : given) {
        const double number = uses.is_number() ? uses.get<double>() : -0.5;
        if (number != std::floor(number) || std::abs(number) > 1e9)
          reader_.fail("target_usage", "whole numbers were expected, found " + excerpt(uses));
        target.push_back(static_cast<int>(number));
      }
      if (target.empty()) reader_.fail("target_usage", "a number for each unit was expected");
      return;
    }
    if (!given.is_object())
      reader_.fail(
          "target_usage",
          "a number for each unit was expected, in a list or a mapping; found " + excerpt(given));
    target.assign(problem_.units.size(), 0);
    auto mapping = reader_.object("target_usage");
    const std::int64_t most = std::int64_t{problem_.ranks} * problem_.client_count();
    for (const auto& name : mapping.keys())
      for (const std::size_t l : units(mapping, name, name))
        target[l] = static_cast<int>(mapping.integer(name, 0, most));
  }

  void read_objectives() {
    const std::vector<std::string> all = {"importance", "usage_variance", "uplink_bytes",
                                          "slowest_client"};
    const auto objectives = reader_.texts("objectives", std::vector<std::string>{all[0], all[1]});
    const auto has = [&](const std::string& name) {
      return std::find(objectives.begin(), objectives.end(), name) != objectives.end();
    };
    for (const auto& name : objectives) {
      if (std::find(all.begin(), all.end(), name) == all.end())
        reader_.fail("objectives", "\"" + name + "\" is not one of " + quoted_list(all) +
                                       did_you_mean(name, all));
    }
    if (!has(all[0]) || !has(all[1]))
      reader_.fail("objectives", "importance and usage_variance are always among them");
    if (has("uplink_bytes")) problem_.uplink_bytes = costs_of("bytes", "objectives");
    auto clients = reader_.object("clients");
    std::vector<std::string> known = clients.keys();
    for (const auto& name : known) client(clients, name);
    if (!has("slowest_client")) {
      for (const auto& name : known) read_speeds(clients, name);
      return;
    }
    const auto flops = costs_of("flops", "objectives"), bytes = costs_of("bytes", "objectives");
    problem_.seconds.resize(problem_.client_count(), problem_.unit_count());
    for (int i = 0; i < problem_.client_count(); ++i) {
      const auto& name = problem_.clients[i];
      if (!clients.has(name))
        reader_.fail("objectives",
                     "slowest_client needs the speeds of every client, and clients "
                     "has none of \"" +
                         name + "\"");
      const Speeds speeds = read_speeds(clients, name);
      for (int l = 0; l < problem_.unit_count(); ++l) {
        problem_.seconds(i, l) =
            speeds.samples * static_cast<double>(flops[l]) / speeds.flops_per_second +
            static_cast<double>(bytes[l]) / speeds.uplink;
      }
    }
  }

  struct Speeds {
    double samples, flops_per_second, uplink;
  };
  static Speeds read_speeds(ObjectReader& clients, const std::string& name) {
    auto client = clients.object(name);
    const Speeds speeds{client.number("samples", 0, kInfinity),
                        client.number("flops_per_second", 1, kInfinity),
                        client.number("uplink_bytes_per_second", 1, kInfinity)};
    client.finish();
    return speeds;
  }

  ObjectReader reader_;
  std::filesystem::path folder_;
  const ProblemOptions& options_;
  LoadedProblem& loaded_;
  PlanningProblem& problem_;
  std::optional<NameIndex> clients_;                          // of the problem
  std::map<std::string, std::vector<std::size_t>> patterns_;  // that were looked up
  Costs costs_;
  bool has_scores_ = false;
};

}  // namespace

LoadedProblem load_problem(const ProblemOptions& options) {
  LoadedProblem loaded;
  if (options.file.empty()) {
    if (options.scores.empty()) throw InputError("--scores is required unless --problem is given");
    if (options.budget.empty()) throw InputError("--budget is required unless --problem is given");
  }
  const Document document =
      options.file.empty() ? Document{"", Json{{"version", 1}}, {}} : load_yaml(options.file);
  Loader(document, options, loaded).load();
  return loaded;
}

LoadedProblem load_problem(const ScoreTable& scores, const std::string& json,
                           const std::string& source) {
  scores.validate(source);
  LoadedProblem loaded;
  const ProblemOptions options{.file = source};
  const Document document = parse_json(json, source);
  Loader(document, options, loaded).load(scores);
  return loaded;
}

}  // namespace strata
