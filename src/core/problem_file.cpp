#include "strata/core/problem_file.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>

#include "core/csv.h"
#include "core/document.h"
#include "core/name_index.h"
#include "strata/core/error.h"

namespace strata {
namespace {

constexpr std::int64_t kMost = std::int64_t{1} << 53;  // what a JSON number holds exactly
constexpr double kInfinity = std::numeric_limits<double>::infinity();
const std::vector<std::string> kResources = {"bytes", "flops", "memory"};
const std::string kEveryone = "*";

/// Costs of one kind, per unit of the problem.
using Costs = std::map<std::string, std::map<std::string, std::int64_t>>;  // kind → unit → cost

ScoreTable select_units(const ScoreTable& table, const std::vector<std::string>& names,
                        const std::string& where) {
  std::set<std::string> wanted;
  for (const std::string& name : names) {
    if (std::find(table.units.begin(), table.units.end(), name) == table.units.end()) {
      throw InputError(where + ": the scores have no unit \"" + name + "\"" +
                       did_you_mean(name, table.units) + "; there are " + quoted_list(table.units));
    }
    if (!wanted.insert(name).second) throw InputError(where + ": \"" + name + "\" stands twice");
  }
  ScoreTable selected = table;
  selected.units.clear();
  selected.raw.resize(0, 0);
  selected.scores.resize(table.client_count(), static_cast<Eigen::Index>(wanted.size()));
  for (int unit = 0; unit < table.unit_count(); ++unit) {
    if (!wanted.count(table.units[unit])) continue;
    selected.scores.col(selected.unit_count()) = table.scores.col(unit);
    selected.units.push_back(table.units[unit]);
  }
  return selected;
}

/// 4e6 is a whole number to whoever writes it.
std::int64_t whole(ObjectReader& reader, const std::string& key) {
  const double value = reader.number(key, 0, static_cast<double>(kMost));
  if (value != std::floor(value))
    reader.fail(key, "a whole number was expected, found " + format_double(value));
  return static_cast<std::int64_t>(value);
}

Costs costs_from_csv(const std::filesystem::path& path) {
  const auto rows = read_csv(path);
  const auto at = [&](const CsvRow& row) {
    return path.string() + ":" + std::to_string(row.line) + ": ";
  };
  const auto& header = rows[0].fields;
  if (header.size() < 2 || header[0] != "unit")
    throw InputError(at(rows[0]) + "the header must be unit and some of " +
                     quoted_list(kResources));
  Costs costs;
  for (std::size_t k = 1; k < header.size(); ++k) {
    if (std::find(kResources.begin(), kResources.end(), header[k]) == kResources.end())
      throw InputError(at(rows[0]) + "unknown column \"" + header[k] + "\"" +
                       did_you_mean(header[k], kResources) + "; allowed: unit, " +
                       quoted_list(kResources));
    for (std::size_t r = 1; r < rows.size(); ++r) {
      double value = 0;
      const auto& field = rows[r].fields[k];
      if (!parse_double(field, value) || !(value >= 0 && value <= static_cast<double>(kMost)) ||
          value != std::floor(value))
        throw InputError(at(rows[r]) + header[k] + ": a whole number of at least 0 was expected, " +
                         "found \"" + field + "\"");
      if (!costs[header[k]].emplace(rows[r].fields[0], static_cast<std::int64_t>(value)).second)
        throw InputError(at(rows[r]) + "the unit \"" + rows[r].fields[0] + "\" stands twice");
    }
  }
  return costs;
}

Costs costs_from_inspect(const std::filesystem::path& path) {
  const Document document = load_json(path);
  ObjectReader reader(document);
  reader.version(1);
  reader.raw("text_tokens");
  reader.raw("labels");
  reader.raw("total");
  Costs costs;
  for (auto& unit : reader.objects("units")) {
    const auto name = unit.text("name");
    const auto bytes = unit.number("bytes", 0, 1e15);
    costs["bytes"][name] = std::llround(bytes);
    costs["flops"][name] = std::llround(3 * unit.number("forward_flops", 0, 1e15));
    costs["memory"][name] = std::llround(3 * bytes + unit.number("activation_bytes", 0, 1e15));
    unit.raw("parameters");
    unit.finish();
  }
  reader.finish();
  return costs;
}

class Loader {
 public:
  Loader(const Document& document, const ProblemOptions& options, LoadedProblem& loaded)
      : reader_(document),
        folder_(std::filesystem::path(document.file).parent_path()),
        options_(options),
        loaded_(loaded),
        problem_(loaded.problem) {}

  void load() {
    reader_.version(1);
    std::string scores = options_.scores;
    if (reader_.has("scores") && scores.empty()) scores = named_file("scores");
    reader_.text("scores", "");
    if (scores.empty()) reader_.fail("scores", "the key is missing, and --scores was not given");
    loaded_.scores = read_scores(scores);
    loaded_.normalised = options_.normalise || reader_.boolean("normalise", false);
    reader_.boolean("normalise", false);
    ScoreTable table = loaded_.scores;
    const auto units = reader_.texts("units", std::vector<std::string>{});
    if (!options_.units.empty()) {
      table = select_units(table, options_.units, "--unit");
    } else if (reader_.has("units")) {
      if (units.empty()) reader_.fail("units", "the list is empty");
      table = select_units(table, units, reader_.where("units"));
    }
    if (loaded_.normalised) normalise_rows(table.scores);
    problem_.clients = table.clients;
    problem_.units = table.units;
    problem_.importance = table.scores;
    clients_.emplace(problem_.clients);
    units_.emplace(problem_.units);
    read_costs();
    read_budget(table);
    read_weights();
    read_rules("pinned", Rule::kPinned);
    read_rules("forbidden", Rule::kForbidden);
    read_coverage();
    read_objectives();
    loaded_.choose = reader_.text("choose", "");
    reader_.finish();
    try {
      problem_.validate();
    } catch (const InputError& error) {
      throw InputError(options_.file + ": " + error.what());
    }
  }

 private:
  std::string named_file(const std::string& key) {
    loaded_.files.emplace_back(key, (folder_ / reader_.text(key)).string());
    return loaded_.files.back().second;
  }

  std::size_t client(ObjectReader& reader, const std::string& key) {
    const auto found = clients_->find(key);
    if (!found)
      reader.fail(
          key, "the scores have no client \"" + key + "\"" + did_you_mean(key, problem_.clients));
    return *found;
  }
  std::size_t unit(ObjectReader& reader, const std::string& key, const std::string& name) {
    const auto found = units_->find(name);
    if (found) return *found;
    const auto& scored = loaded_.scores.units;
    if (std::find(scored.begin(), scored.end(), name) != scored.end())
      reader.fail(key, "the unit \"" + name +
                           "\" is not among those planned over: " + quoted_list(problem_.units));
    reader.fail(key,
                "the scores have no unit \"" + name + "\"" + did_you_mean(name, problem_.units));
  }

  void read_costs() {
    if (!reader_.has("costs")) return;
    if (reader_.raw("costs").is_string()) {
      const std::string path = named_file("costs");
      costs_ = std::filesystem::path(path).extension() == ".json" ? costs_from_inspect(path)
                                                                  : costs_from_csv(path);
      return;
    }
    auto mapping = reader_.object("costs");
    for (const auto& name : mapping.keys()) {
      auto cost = mapping.object(name);
      for (const auto& kind : kResources)
        if (cost.has(kind)) costs_[kind][name] = whole(cost, kind);
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
        reader_.fail(key, "it needs the " + kind + " of every unit, and costs has none of \"" +
                              name + "\"" + did_you_mean(name, known));
      }
      costs.push_back(found->second);
    }
    return costs;
  }

  void read_budget(const ScoreTable& table) {
    const Json& raw = reader_.raw("budget");
    if (!options_.budget.empty()) {
      problem_.budgets = make_problem(table, options_.budget).budgets;
      return;
    }
    if (raw.is_null()) reader_.fail("budget", "the key is missing, and --budget was not given");
    if (raw.is_string()) {
      const std::string name = reader_.text("budget"), path = named_file("budget");
      std::error_code unknown;
      if (!std::filesystem::exists(path, unknown)) {
        reader_.fail("budget",
                     "a whole number, a mapping or the name of a CSV file that is there "
                     "was expected, found \"" +
                         name + "\"");
      }
      problem_.budgets = make_problem(table, path).budgets;
      return;
    }
    if (!raw.is_object()) {
      const auto number = reader_.integer("budget", 0, problem_.unit_count());
      problem_.budgets.assign(problem_.clients.size(), static_cast<int>(number));
      return;
    }
    auto budget = reader_.object("budget");
    const auto of = budget.choice("of", {"units", "bytes", "flops", "memory"}, "units");
    std::vector<std::int64_t> values(problem_.clients.size(), -1);
    if (budget.has("each")) values.assign(values.size(), whole(budget, "each"));
    auto clients = budget.object("clients");
    for (const auto& name : clients.keys()) values[client(clients, name)] = whole(clients, name);
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (values[i] < 0)
        reader_.fail("budget", "none for the client \"" + problem_.clients[i] +
                                   "\": give clients." + problem_.clients[i] + " or each");
    }
    budget.finish();
    if (of == "units") {
      for (std::size_t i = 0; i < values.size(); ++i) {
        if (values[i] > problem_.unit_count())
          reader_.fail("budget", "client \"" + problem_.clients[i] + "\": a budget of " +
                                     std::to_string(values[i]) + " units, but there are " +
                                     std::to_string(problem_.unit_count()));
        problem_.budgets.push_back(static_cast<int>(values[i]));
      }
      return;
    }
    problem_.resource = of;
    problem_.capacities = values;
    problem_.unit_costs = costs_of(of, "budget");
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
      for (const auto& unit_name : mapping.texts(name)) {
        const std::size_t l = unit(mapping, name, unit_name);
        const std::size_t first = name == kEveryone ? 0 : client(mapping, name);
        const std::size_t last = name == kEveryone ? problem_.clients.size() : first + 1;
        if (problem_.rules.empty())
          problem_.rules.assign(problem_.clients.size() * problem_.units.size(), Rule::kFree);
        for (std::size_t i = first; i < last; ++i) {
          Rule& cell = problem_.rules[i * problem_.units.size() + l];
          if (cell != Rule::kFree && cell != rule)
            mapping.fail(name, "the unit \"" + unit_name + "\" of client \"" + problem_.clients[i] +
                                   "\" is both pinned and forbidden");
          cell = rule;
        }
      }
    }
  }

  void read_coverage() {
    if (!reader_.has("coverage")) return;
    const std::int64_t most = problem_.client_count();
    if (!reader_.raw("coverage").is_object()) {
      const auto each = reader_.integer("coverage", 0, most);
      problem_.coverage.assign(problem_.units.size(), static_cast<int>(each));
      return;
    }
    problem_.coverage.assign(problem_.units.size(), 0);
    auto mapping = reader_.object("coverage");
    for (const auto& name : mapping.keys())
      problem_.coverage[unit(mapping, name, name)] =
          static_cast<int>(mapping.integer(name, 0, most));
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
  std::optional<NameIndex> clients_, units_;  // of the problem
  Costs costs_;
};

}  // namespace

LoadedProblem load_problem(const ProblemOptions& options) {
  LoadedProblem loaded;
  if (!options.file.empty()) {
    const Document document = load_yaml(options.file);
    Loader(document, options, loaded).load();
    return loaded;
  }
  if (options.scores.empty()) throw InputError("--scores is required unless --problem is given");
  if (options.budget.empty()) throw InputError("--budget is required unless --problem is given");
  loaded.scores = read_scores(options.scores);
  ScoreTable table = loaded.scores;
  if (!options.units.empty()) table = select_units(table, options.units, "--unit");
  if (options.normalise) normalise_rows(table.scores);
  loaded.normalised = options.normalise;
  loaded.problem = make_problem(table, options.budget);
  return loaded;
}

}  // namespace strata
