#include "report/run_folder.h"

#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <tuple>

#include "core/csv.h"
#include "core/document.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"
#include "strata/fedrunner/round_folder.h"

namespace strata::report {
namespace fs = std::filesystem;
namespace {

constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();

std::vector<std::pair<std::string, std::int64_t>> read_budgets(
    ObjectReader& json, const std::vector<std::string>& clients, std::int64_t units) {
  std::vector<std::pair<std::string, std::int64_t>> budgets;
  if (json.raw("budget").is_object()) {
    ObjectReader named = json.object("budget");
    for (const std::string& client : clients)
      budgets.emplace_back(client, named.integer(client, 0, units));
    named.finish();
  } else {
    const std::int64_t budget = json.integer("budget", 0, units);
    for (const std::string& client : clients) budgets.emplace_back(client, budget);
  }
  return budgets;
}

void read_run_json(const fs::path& path, RunFolder& run) {
  const Document document = load_json(path);
  ObjectReader json(document);
  json.version(1);
  run.name = json.text("name");
  run.strategy = json.text("strategy");
  run.seed = json.seed("seed");
  run.metric = json.text("metric", "");
  if (run.metric == "none") run.metric.clear();
  run.algorithm = json.text("algorithm", "");
  run.foundation = json.text("foundation", "");
  run.synthetic = json.boolean("synthetic", false);
  run.done = json.choice("status", {"running", "done"}) == "done";
  json.integer("rounds_done", 0, kMost);
  run.clients = json.texts("clients");
  if (run.clients.empty()) json.fail("clients", "no client; at least one is needed");
  ObjectReader units = json.object("units", true);
  run.selectable = units.texts("selectable");
  run.always = units.texts("always", std::vector<std::string>{});
  units.finish();
  std::vector<std::string> kinds = budget_kinds();
  kinds.push_back(kOfRanks);
  run.budget_of = json.choice("budget_of", kinds, kOfUnits);
  run.budgets = read_budgets(
      json, run.clients,
      run.budget_of == kOfUnits ? static_cast<std::int64_t>(run.selectable.size()) : kMost);
  for (ObjectReader& cost : json.objects("unit_costs")) {
    Unit unit;
    unit.name = cost.text("name");
    unit.parameter_count = cost.integer("parameters", 0, kMost);
    unit.bytes = cost.integer("bytes", 0, kMost);
    unit.forward_flops = cost.number("forward_flops", 0, std::numeric_limits<double>::max());
    unit.activation_bytes = cost.number("activation_bytes", 0, std::numeric_limits<double>::max());
    cost.finish();
    run.unit_costs.push_back(std::move(unit));
  }
  ObjectReader provenance = json.object("provenance");
  for (const std::string& key : provenance.keys()) {
    const Json& value = provenance.raw(key);
    run.provenance.emplace_back(key, value.is_string() ? value.get<std::string>() : value.dump());
  }
  json.finish();
}

void check_metrics(const fs::path& path, RunFolder& run) {
  std::set<std::pair<int, std::string>> seen;
  for (const fedrunner::RoundMetrics& row : run.metrics) {
    if (!row.is_aggregate() &&
        std::find(run.clients.begin(), run.clients.end(), row.client) == run.clients.end()) {
      throw InputError(path.string() + ": round " + std::to_string(row.round) +
                       " has the client \"" + row.client + "\", which run.json does not name" +
                       did_you_mean(row.client, run.clients));
    }
    if (!seen.emplace(row.round, row.client).second) {
      throw InputError(path.string() + ": two rows for round " + std::to_string(row.round) +
                       " and client \"" + row.client + "\"; one is allowed");
    }
    run.rounds = std::max(run.rounds, row.round);
  }
  for (int round = 0; round <= run.rounds; ++round) {
    for (const std::string& client : {fedrunner::kAllRow, fedrunner::kMeanRow}) {
      if (!seen.count({round, client})) {
        throw InputError(path.string() + ": no row for round " + std::to_string(round) +
                         " and client \"" + client + "\"");
      }
    }
  }
}

void require_known(const fs::path& path, const char* what, const std::vector<std::string>& found,
                   const std::vector<std::string>& known, const char* where) {
  for (const std::string& name : found) {
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      throw InputError(path.string() + ": the " + what + " \"" + name + "\" is not among " + where +
                       " of run.json" + did_you_mean(name, known));
    }
  }
}

void read_aggregation(const fs::path& file, int round, RunFolder& run) {
  const Document document = load_json(file);
  ObjectReader reader(document);
  reader.version(1);
  reader.integer("round", round, round);
  const auto used = reader.texts("clients");
  const auto late = reader.texts("late");
  const auto add = [&](const std::vector<std::string>& clients, const std::string& reason) {
    require_known(file, "client", clients, run.clients, "the clients");
    for (const std::string& client : clients) {
      // With `late: partial` a straggler's update is used.
      if (std::find(used.begin(), used.end(), client) == used.end())
        run.missing.push_back({round, client, reason});
    }
  };
  require_known(file, "client", used, run.clients, "the clients");
  add(reader.texts("dropped"), "dropped out");
  add(late, "late");
  add(reader.texts("too_few"), "too few updates in the round");
  for (ObjectReader& refusal : reader.objects("refused")) {
    const std::string client = refusal.text("client");
    add({client}, "refused: " + refusal.text("reason"));
    refusal.finish();
  }
  reader.raw("units");
  // What the page does not show: what the rule of LoRA's pairs lost, clients that pruned theirs,
  // and units that too few clients sent.
  for (const char* key : {"lora", "ranks", "small_cohorts"}) reader.raw(key);
  reader.finish();
}

fedrunner::SiteTable read_site_metrics(const fs::path& file, const RunFolder& run) {
  fedrunner::SiteTable table = fedrunner::read_sites(file);
  for (const fedrunner::SiteMetrics& row : table.rows)
    require_known(file, "client", {row.client}, run.clients, "the clients");
  return table;
}

/// Those of an interrupted round, and those that a run has outgrown, are left out.
void read_site_slices(const fs::path& folder, RunFolder& run) {
  if (!fs::exists(folder)) return;
  fedrunner::SiteSlices slices = fedrunner::read_slices(folder);
  for (const fedrunner::SiteSlice& slice : slices.slices)
    require_known(folder / "slices.json", "client", {slice.client}, run.clients, "the clients");
  if (slices.round == run.rounds) run.slices = std::move(slices);
}

/// The rounds between scorings, as the configuration has it; 0 where it does not say.
int score_every(const RunFolder& run) {
  const Document document = parse_yaml(run.config, (run.folder / "config.yaml").string());
  ObjectReader root(document);
  ObjectReader score = root.object("run").object("score");
  return score.has("every") ? static_cast<int>(score.integer("every", 1, kMost)) : 0;
}

/// A run that plans has a plan in every round, and one that scores has scores in the first and in
/// those that are due. @throws InputError naming the file that is missing
void check_rounds(const RunFolder& run) {
  std::set<int> planned, scored;
  for (const PlannedRound& round : run.plans) {
    if (round.has_plan) planned.insert(round.round);
    if (round.has_scores) scored.insert(round.round);
  }
  const auto require = [&](const std::set<int>& found, int round, const char* name) {
    if (found.empty() || found.count(round)) return;
    throw InputError((fedrunner::round_folder(run.folder, round) / name).string() +
                     ": missing; other rounds have one");
  };
  const int every = scored.empty() ? 0 : score_every(run);
  for (int round = 1; round <= run.rounds; ++round) {
    require(planned, round, "plan.json");
    if (round == 1 || (every > 0 && (round - 1) % every == 0))
      require(scored, round, "scores.json");
  }
}

void read_rounds(RunFolder& run) {
  const fs::path rounds = run.folder / "rounds";
  if (!fs::is_directory(rounds)) return;
  for (const auto& entry : fs::directory_iterator(rounds)) {
    std::int64_t number = 0;
    if (!entry.is_directory() || !parse_integer(entry.path().filename().string(), number)) continue;
    PlannedRound planned;
    planned.round = static_cast<int>(number);
    const fs::path scores = entry.path() / "scores.json", plan = entry.path() / "plan.json";
    if (fs::exists(scores)) {
      planned.scores = read_scores(scores);
      planned.has_scores = true;
      require_known(scores, "client", planned.scores.clients, run.clients, "the clients");
      require_known(scores, "unit", planned.scores.units, run.selectable, "the selectable units");
    }
    if (fs::exists(plan)) {
      planned.plan = read_plan(plan);
      planned.has_plan = true;
      require_known(plan, "client", planned.plan.clients, run.clients, "the clients");
      require_known(plan, "unit", planned.plan.units, run.selectable, "the selectable units");
    }
    const fs::path sites = entry.path() / "sites.csv";
    if (fs::exists(sites) && planned.round <= run.rounds)
      run.sites[planned.round] = read_site_metrics(sites, run);
    const fs::path aggregation = entry.path() / "aggregation.json";
    if (fs::exists(aggregation) && planned.round <= run.rounds)
      read_aggregation(aggregation, planned.round, run);
    // A round that was interrupted after planning is in rounds/ but not yet in metrics.csv.
    if ((planned.has_scores || planned.has_plan) && planned.round <= run.rounds) {
      run.plans.push_back(std::move(planned));
    }
  }
  std::sort(run.plans.begin(), run.plans.end(),
            [](const PlannedRound& a, const PlannedRound& b) { return a.round < b.round; });
  std::stable_sort(
      run.missing.begin(), run.missing.end(),
      [](const MissingUpdate& a, const MissingUpdate& b) { return a.round < b.round; });
  check_rounds(run);
}

/// @throws InputError where the questions are not those of metrics.csv
void read_question_results(const fs::path& path, RunFolder& run) {
  if (!fs::exists(path)) return;
  auto questions = fedrunner::read_questions(path);
  run.judged = !questions.empty();
  std::map<std::string, std::pair<std::int64_t, std::int64_t>> counts;  // right and all, by client
  for (const fedrunner::QuestionResult& question : questions) {
    // Written before metrics.csv: of an interrupted round it is all there is.
    if (question.round > run.rounds) return;
    require_known(path, "client", {question.client}, run.clients, "the clients");
    auto& [right, all] = counts[question.client];
    right += question.correct;
    ++all;
  }
  for (const fedrunner::RoundMetrics& row : run.metrics) {
    if (questions.empty() || row.round != questions.front().round || !counts.count(row.client))
      continue;
    const auto& [right, all] = counts[row.client];
    const auto expected =
        static_cast<std::int64_t>(row.values.front() * static_cast<double>(row.test_samples) + 0.5);
    if (all != row.test_samples || right != expected) {
      throw InputError(path.string() + ": " + std::to_string(right) + " of " + std::to_string(all) +
                       " questions of \"" + row.client + "\" are right, but metrics.csv has " +
                       std::to_string(expected) + " of " + std::to_string(row.test_samples) +
                       " in round " + std::to_string(row.round));
    }
  }
  run.questions = std::move(questions);
}

RunFolder read_run(const fs::path& folder) {
  RunFolder run;
  run.folder = folder;
  for (const char* name : {"metrics.csv", "config.yaml", "run.json"}) {
    if (!fs::exists(folder / name)) {
      throw InputError((folder / name).string() + ": missing; a run folder holds run.json, " +
                       "config.yaml and metrics.csv");
    }
  }
  read_run_json(folder / "run.json", run);
  run.config = read_file(folder / "config.yaml");
  fedrunner::RoundTable table = fedrunner::read_metrics(folder / "metrics.csv");
  if (table.metrics.empty())
    throw InputError((folder / "metrics.csv").string() + ":1: no metric of the task in the header");
  run.metric_names = std::move(table.metrics);
  run.metrics = std::move(table.rows);
  check_metrics(folder / "metrics.csv", run);
  std::stable_sort(run.metrics.begin(), run.metrics.end(),
                   [](const fedrunner::RoundMetrics& a, const fedrunner::RoundMetrics& b) {
                     return a.round < b.round;
                   });
  read_question_results(folder / "questions.csv", run);
  read_rounds(run);
  read_site_slices(folder / "slices", run);
  return run;
}

/// Either file will do, so that a run that lacks the other is refused and not passed over.
bool holds_run(const fs::path& folder) {
  return fs::exists(folder / "run.json") || fs::exists(folder / "metrics.csv");
}

/// Whether the plan weighs the two objectives against each other. Where it does not say what its
/// algorithm is (an earlier Strata's), whether there was anything to weigh.
bool weighs_objectives(const Plan& plan) {
  if (plan.kind == AlgorithmKind::kUnknown) return plan.front.size() > 1;
  return plan.kind != AlgorithmKind::kBaseline;
}

/// The strategies of which a run has such a plan; the others are baselines.
std::set<std::string> planned_strategies(const std::vector<RunFolder>& runs) {
  std::set<std::string> planned;
  for (const RunFolder& run : runs) {
    if (std::any_of(run.plans.begin(), run.plans.end(), [](const PlannedRound& round) {
          return round.has_plan && weighs_objectives(round.plan);
        }))
      planned.insert(run.strategy);
  }
  return planned;
}

}  // namespace

std::string RunFolder::main_metric() const {
  std::string name = metric_names.front();
  std::replace(name.begin(), name.end(), '_', ' ');
  return name;
}

bool RunFolder::used(int round, const std::string& client) const {
  return std::none_of(missing.begin(), missing.end(), [&](const MissingUpdate& update) {
    return update.round == round && update.client == client;
  });
}

const PlannedRound* RunFolder::plan_of(int round) const {
  const PlannedRound* latest = nullptr;
  for (const PlannedRound& planned : plans) {
    if (planned.has_plan && planned.round <= round) latest = &planned;
  }
  return latest;
}

const fedrunner::RoundMetrics* RunFolder::find(int round, const std::string& client) const {
  for (const fedrunner::RoundMetrics& row : metrics) {
    if (row.round == round && row.client == client) return &row;
  }
  return nullptr;
}

std::vector<const RunFolder*> Experiment::of(const std::string& strategy) const {
  std::vector<const RunFolder*> found;
  for (const RunFolder& run : runs) {
    if (run.strategy == strategy) found.push_back(&run);
  }
  return found;
}

Experiment read_run_folders(const fs::path& folder) {
  if (!fs::is_directory(folder)) {
    throw InputError(folder.string() +
                     ": no such folder; the folder of a run or of an experiment is needed");
  }
  Experiment experiment;
  if (holds_run(folder)) {
    experiment.runs.push_back(read_run(folder));
  } else {
    std::vector<fs::path> folders;
    for (const auto& entry : fs::directory_iterator(folder)) {
      if (holds_run(entry.path())) folders.push_back(entry.path());
    }
    if (folders.empty()) {
      throw InputError(folder.string() +
                       ": no run here: neither run.json nor a sub-folder that holds one");
    }
    std::sort(folders.begin(), folders.end());
    for (const fs::path& path : folders) experiment.runs.push_back(read_run(path));
  }
  auto& runs = experiment.runs;
  const auto planned = planned_strategies(runs);
  const auto order = [&](const RunFolder& run) {
    return std::make_tuple(planned.count(run.strategy) == 0, run.strategy, run.seed);
  };
  std::sort(runs.begin(), runs.end(),
            [&](const RunFolder& a, const RunFolder& b) { return order(a) < order(b); });
  for (std::size_t i = 0; i < runs.size(); ++i) {
    if (i > 0 && order(runs[i]) == order(runs[i - 1])) {
      throw InputError(runs[i].folder.string() + ": the strategy \"" + runs[i].strategy +
                       "\" with seed " + std::to_string(runs[i].seed) + " is already in " +
                       runs[i - 1].folder.string());
    }
    if (runs[i].metric_names != runs.front().metric_names) {
      throw InputError((runs[i].folder / "metrics.csv").string() + ":1: the metrics are " +
                       quoted_list(runs[i].metric_names) + ", but those of " +
                       runs.front().folder.string() + " are " +
                       quoted_list(runs.front().metric_names));
    }
    auto& names = experiment.strategies;
    if (std::find(names.begin(), names.end(), runs[i].strategy) == names.end()) {
      names.push_back(runs[i].strategy);
    }
  }
  experiment.name = runs.front().name;
  return experiment;
}

}  // namespace strata::report
