#include "fedrunner/server.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <mutex>
#include <optional>
#include <set>

#include "core/console.h"
#include "core/interrupt.h"
#include "core/parallel.h"
#include "core/score_scales.h"
#include "core/text.h"
#include "fedrunner/aggregation.h"
#include "fedrunner/refusal.h"
#include "fedrunner/run_folder.h"
#include "fedrunner/training.h"
#include "models/tokenizer_files.h"
#include "peft/files.h"
#include "peft/lora.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"
#include "strata/core/random.h"
#include "strata/core/score_table.h"
#include "strata/fedrunner/round_folder.h"

namespace strata::fedrunner {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kMebibyte = 1024.0 * 1024.0;
/// A score travels as one float64.
constexpr double kScoreBits = 64;

std::vector<std::string> names_of(const std::vector<FederatedClient>& clients) {
  std::vector<std::string> names;
  for (const auto& client : clients) names.push_back(client.name);
  return names;
}

/// Random streams are keyed by what they are for, never by the strategy or by what ran before:
/// strategies are compared on the same batches, and a resumed run needs no generator state.
std::uint64_t stream(std::uint64_t seed, const char* purpose, int round,
                     const std::string& client = "") {
  return derive_seed(derive_seed(derive_seed(seed, purpose), {static_cast<std::uint64_t>(round)}),
                     client);
}

/// The rounds 1, 1 + every, 1 + 2 · every, … in which something periodic is due.
bool is_due(int round, std::int64_t every) {
  return (round - 1) % every == 0;
}

/// The last such round up to this one.
int last_due(int round, std::int64_t every) {
  return round - static_cast<int>((round - 1) % every);
}

/// What a client may spend, and what its units cost of it: 1 each where budgets count units.
struct Purse {
  std::int64_t left;
  const std::vector<std::int64_t>& costs;

  bool pay(int unit) {
    const std::int64_t cost = costs.empty() ? 1 : costs[static_cast<std::size_t>(unit)];
    if (cost > left) return false;
    left -= cost;
    return true;
  }
};

Purse purse_of(const PlanningProblem& problem, int client) {
  const auto i = static_cast<std::size_t>(client);
  return {problem.counts_units() ? problem.budgets[i] : problem.capacities[i], problem.unit_costs};
}

/// Units dealt out in turn: each client takes those of the cycle that it can afford, beginning with
/// the next, and the deal `number` (from 0) goes on where the one before ended. It begins one
/// client later every time, without which clients would get the same units again where what is
/// dealt is a multiple of the units.
Assignment rotate(const PlanningProblem& problem, std::int64_t number) {
  const int clients = problem.client_count(), units = problem.unit_count();
  Assignment assignment;
  int next = 0;
  for (std::int64_t deal = 0; deal <= number; ++deal) {
    assignment = Assignment::Zero(clients, units);
    for (std::int64_t turn = 0; turn < clients; ++turn) {
      const int client = static_cast<int>((deal + turn) % clients);
      Purse purse = purse_of(problem, client);
      const int first = next;
      for (int k = 0; k < units; ++k) {
        const int unit = (first + k) % units;
        if (!purse.pay(unit)) continue;
        assignment(client, unit) = 1;
        next = (unit + 1) % units;
      }
    }
  }
  return assignment;
}

double megabits(const std::vector<Unit>& units, const std::set<std::string>& names) {
  double bits = 0;
  for (const auto& unit : units) {
    if (names.count(unit.name)) bits += 8.0 * static_cast<double>(unit.bytes);
  }
  return bits / 1e6;
}

/// What became of the round's clients, but for those whose updates were used.
struct RoundFailures {
  std::vector<std::string> dropped, late;
  std::vector<Refusal> refused;
  std::vector<std::string> too_few;  ///< theirs were usable, but not as many as are needed
};

void log_aggregation(int round, std::size_t updates, const std::vector<UnitUse>& uses,
                     const RoundFailures& failures) {
  std::map<UnitStatus, std::string> units;
  for (const auto& use : uses) {
    auto& list = units[use.status];
    list += (list.empty() ? "" : ", ") + use.unit;
    if (use.status == UnitStatus::kPartial) list += " (" + joined(use.clients, ", ", 4) + ")";
  }
  const auto say = [&](UnitStatus status, const std::string& what) {
    return units.count(status) ? "; " + what + ": " + units[status] : "";
  };
  log_info(
      "round " + std::to_string(round) + ": " + std::to_string(updates) +
      (updates == 1 ? " update" : " updates") + say(UnitStatus::kMatched, "matched by all") +
      say(UnitStatus::kPartial, "partial") + say(UnitStatus::kUntouched, "untouched") +
      (failures.dropped.empty() ? "" : "; dropped out: " + joined(failures.dropped, ", ", 20)) +
      (failures.late.empty() ? "" : "; late: " + joined(failures.late, ", ", 20)));
}

/// aggregation.json of a round.
std::string aggregation_json(int round, const std::vector<ClientUpdate>& updates,
                             const std::vector<UnitUse>& uses, const RoundFailures& failures) {
  Json root{{"version", 1}, {"round", round}};
  root["clients"] = Json::array();
  for (const auto& update : updates) root["clients"].push_back(update.client);
  root["units"] = Json::array();
  for (const auto& use : uses)
    root["units"].push_back({{"unit", use.unit},
                             {"status", unit_statuses().name(use.status)},
                             {"clients", use.clients}});
  root["dropped"] = failures.dropped;
  root["late"] = failures.late;
  root["refused"] = Json::array();
  for (const auto& refusal : failures.refused)
    root["refused"].push_back({{"client", refusal.client}, {"reason", refusal.reason}});
  root["too_few"] = failures.too_few;
  return root.dump(1) + "\n";
}

/// The mean over the rows in which the value is defined, weighted; NaN where there is none.
template <typename Weight>
double weighted_mean(const std::vector<RoundMetrics>& rows, double RoundMetrics::*value,
                     Weight weight) {
  double sum = 0, weights = 0;
  for (const auto& row : rows) {
    if (std::isnan(row.*value)) continue;
    sum += weight(row) * (row.*value);
    weights += weight(row);
  }
  return weights > 0 ? sum / weights : kNaN;
}

double total(const std::vector<RoundMetrics>& rows, double RoundMetrics::*value) {
  double sum = 0;
  for (const auto& row : rows) sum += row.*value;
  return sum;
}

void set_evaluation(RoundMetrics& row, const tasks::Task& task, const tasks::Tally& tally) {
  row.test_loss = tally.of("loss").mean();
  row.values.clear();
  for (const std::string& metric : task.metrics()) row.values.push_back(task.value(metric, tally));
}

/// The plain mean over the rows in which the metric is defined.
double mean_value(const std::vector<RoundMetrics>& rows, std::size_t metric) {
  tasks::Sum sum;
  for (const auto& row : rows)
    if (!std::isnan(row.values[metric])) sum.add(row.values[metric]);
  return sum.mean();
}

class Server {
 public:
  Server(const FederatedTask& task, const Strategy& strategy, std::uint64_t seed,
         const std::filesystem::path& folder, models::Model& model, const RunTools& tools,
         int parallel)
      : task_(task),
        strategy_(strategy),
        seed_(seed),
        folder_(folder),
        model_(model),
        tools_(tools),
        parallel_(std::max(1, std::min(parallel, static_cast<int>(task.clients.size())))),
        client_names_(names_of(task.clients)),
        selectable_(names_of(task.units.selectable)),
        always_(names_of(task.units.always)),
        plans_lora_(plans_lora(model.blueprint(), task.units)) {
    all_units_ = task.units.selectable;
    all_units_.insert(all_units_.end(), task.units.always.begin(), task.units.always.end());
    // The strategy "head" has nothing else to train.
    if (strategy.own == OwnAlgorithm::kNone && always_.empty()) {
      always_.push_back("head");
      if (std::find(selectable_.begin(), selectable_.end(), "head") == selectable_.end())
        all_units_.push_back(model.unit("head"));
    }
    for (const auto& unit : all_units_)
      saved_.insert(unit.parameters.begin(), unit.parameters.end());
    model.own(saved_);
    for (int i = 1; i < parallel_; ++i) further_models_.push_back(model.clone(saved_));
    for (const auto& name : saved_) state_.weights[name] = model.weight(name).detach().clone();
    // The log and the costs follow the model from bottom to top.
    std::stable_sort(all_units_.begin(), all_units_.end(), [&](const Unit& a, const Unit& b) {
      return position(a.name) < position(b.name);
    });
  }

  RoundTable run(const AfterRound& after_round) {
    const int rounds = static_cast<int>(task_.run.rounds);
    start(rounds);
    if (rows_.empty()) {
      evaluate_round(0, {}, true);
      write_metrics(table_, folder_ / "metrics.csv");
      after_round(0);
    }
    const std::int64_t steps = static_cast<std::int64_t>(rounds) * client_count();
    Progress progress(strategy_.name + ", seed " + std::to_string(seed_), steps);
    while (state_.round < rounds) {
      stop_if_interrupted();
      const int round = state_.round + 1;
      run_round(round, rounds, progress);
      after_round(round);
    }
    return table_;
  }

 private:
  std::int64_t client_count() const { return static_cast<std::int64_t>(task_.clients.size()); }

  std::size_t position(const std::string& unit) const {
    const auto& units = model_.units();
    return static_cast<std::size_t>(
        std::find_if(units.begin(), units.end(), [&](const Unit& u) { return u.name == unit; }) -
        units.begin());
  }

  /// Does `work` for every client, `parallel_` of them at a time, each with a model of its own.
  /// Every thread computes with as many threads as this one, so that results do not depend on
  /// `parallel_`.
  void for_each_client(const std::function<void(std::size_t, models::Model&)>& work) {
    const int threads = at::get_num_threads();
    std::mutex mutex;
    std::vector<models::Model*> idle = {&model_};
    for (auto& model : further_models_) idle.push_back(&model);
    parallel_for(static_cast<int>(client_count()), parallel_, [&](int i) {
      if (parallel_ > 1) at::set_num_threads(threads);
      models::Model* model = nullptr;
      {
        const std::lock_guard<std::mutex> lock(mutex);
        model = idle.back();
        idle.pop_back();
      }
      const auto give_back = [&] {
        const std::lock_guard<std::mutex> lock(mutex);
        idle.push_back(model);
      };
      try {
        work(static_cast<std::size_t>(i), *model);
      } catch (...) {
        give_back();
        throw;
      }
      give_back();
    });
  }

  /// Takes up the last completed round, or begins.
  void start(int rounds) {
    remove_temporaries(folder_);
    if (plans_lora_) describe_model();
    if (auto state = read_state(folder_, state_.weights)) {
      state_ = std::move(*state);
      model_.load_state(state_.weights);
      table_ = read_metrics(folder_ / "metrics.csv");
      // Rows of a round that was not completed are measured again.
      rows_.erase(std::remove_if(rows_.begin(), rows_.end(),
                                 [&](const auto& row) { return row.round > state_.round; }),
                  rows_.end());
      forget_last_evaluation(rounds);
      log_info("resuming after round " + std::to_string(state_.round) + " of " +
               std::to_string(rounds));
      remove_older_states(folder_, state_.round);
      keep_provenance();
      publish(rounds);
    } else {
      write_run_json(false);
    }
  }

  /// The clients' adapter_config.json files take their fields from the model's, whose weights are
  /// not there yet.
  void describe_model() const {
    write_file(folder_ / "model" / "config.json", model_.architecture().config().dump(2) + "\n");
    peft::save_configs(model_.blueprint(), folder_ / "model");
  }

  /// A run that had fewer rounds evaluated its last one, which the run with more would not have
  /// done.
  void forget_last_evaluation(int rounds) {
    for (auto& row : rows_) {
      const bool evaluated = row.round % task_.run.evaluate_every == 0 || row.round == rounds;
      if (!evaluated) set_evaluation(row, *task_.task, {});
    }
  }

  /// What a round's training leaves, by client.
  struct Trained {
    std::vector<std::optional<ClientUpdate>> sent;  // none of clients that did not answer
    std::vector<RoundMetrics> rows;
    RoundFailures failures;
  };

  Trained train_clients(int round, int rounds, const Plan& plan, bool scored, Progress& progress) {
    const std::set<std::string> download(state_.changed_units.begin(), state_.changed_units.end());
    LocalConfig local = task_.run.local;
    auto over_rounds = local.training;
    over_rounds.schedule = local.schedule;
    local.training.learning_rate = learning_rate_at(over_rounds, round - 1, rounds);
    Trained trained;
    trained.sent.resize(task_.clients.size());
    trained.rows.resize(task_.clients.size());
    std::vector<Failure> drawn;
    for (const auto& name : client_names_) {
      drawn.push_back(draw_failure(task_.run.failures, stream(seed_, "failures", round, name)));
      if (drawn.back().dropped) trained.failures.dropped.push_back(name);
      if (drawn.back().late) trained.failures.late.push_back(name);
    }
    std::mutex mutex;
    std::int64_t done = static_cast<std::int64_t>(round - 1) * client_count();
    for_each_client([&](std::size_t i, models::Model& model) {
      const auto& client = task_.clients[i];
      auto units = plan.units_of(static_cast<int>(i));
      units.insert(units.end(), always_.begin(), always_.end());
      auto& row = trained.rows[i];
      row.train_loss = kNaN;
      if (scored) row.up_mbit += kScoreBits * static_cast<double>(selectable_.size()) / 1e6;
      row.down_mbit = megabits(all_units_, download);
      const bool partial = task_.run.failures.late == Late::kPartial;
      const bool answers = !drawn[i].dropped && (!drawn[i].late || partial);
      // A client without a unit to train takes part in scoring and evaluation only.
      if (!units.empty() && answers) {
        auto update = train_client(model, state_.weights, client, units, local,
                                   stream(seed_, "train", round, client.name),
                                   drawn[i].late ? task_.run.failures.straggler_share : 1);
        corrupt(update, state_.weights, drawn[i].corruption);
        row.train_loss = update.train_loss;
        row.seconds = update.seconds;
        // Clients side by side share the process whose memory is measured.
        row.peak_memory_mib =
            parallel_ > 1 ? kNaN : static_cast<double>(update.peak_memory) / kMebibyte;
        row.up_mbit += megabits(all_units_, {units.begin(), units.end()});
        trained.sent[i] = std::move(update);
      }
      const std::lock_guard<std::mutex> lock(mutex);
      progress.update(++done, "round " + std::to_string(round) + ", client " + client.name);
    });
    return trained;
  }

  void run_round(int round, int rounds, Progress& progress) {
    const bool scores_needed = strategy_.metric != "none";
    const bool score_due = scores_needed && is_due(round, task_.run.score.every);
    // A dropped subset that stayed for several rounds would be no dropout.
    const std::int64_t plan_every =
        strategy_.own == OwnAlgorithm::kDropout ? 1 : task_.run.plan.every;
    std::optional<ScoreTable> scores;
    if (score_due) {
      scores = score(round);
      write_scores(*scores, round_folder(folder_, round) / "scores.json");
    } else if (scores_needed) {
      scores = read_scores(round_folder(folder_, state_.scored_round) / "scores.json");
    }
    const int planned = last_due(round, plan_every);
    PlanArchive archive = state_.archive;
    const Plan plan = planned == round ? make_plan(round, (round - 1) / plan_every, scores)
                                       : read_plan(round_folder(folder_, planned) / "plan.json");
    if (planned == round && task_.run.plan.warm) archive = archive_of(plan);
    if (plans_lora_ && tools_.client_files) {
      for (const auto& [path, content] : tools_.client_files(
               plan, round_folder(folder_, round), folder_ / "model" / peft::kPeftConfigFile))
        write_file(path, content);
    }
    write_plan(plan, round_folder(folder_, round) / "plan.json");

    Trained trained = train_clients(round, rounds, plan, score_due, progress);
    auto updates = usable_updates(round, trained.sent, trained.failures);
    const auto uses = aggregate(state_.weights, all_units_, updates, task_.run.server.aggregation,
                                peft::factors_of(model_.blueprint()), state_.moments);
    log_aggregation(round, updates.size(), uses, trained.failures);
    write_file(round_folder(folder_, round) / "aggregation.json",
               aggregation_json(round, updates, uses, trained.failures));
    model_.load_state(state_.weights);
    state_.round = round;
    state_.archive = std::move(archive);
    if (score_due) state_.scored_round = round;
    state_.changed_units.clear();
    for (const auto& use : uses) {
      if (!use.clients.empty()) state_.changed_units.push_back(use.unit);
    }
    const bool evaluated = round % task_.run.evaluate_every == 0 || round == rounds;
    evaluate_round(round, std::move(trained.rows), evaluated);
    auto& all = rows_[rows_.size() - 2];
    all.importance = scores_needed ? plan.objectives.importance : kNaN;
    all.usage_variance = plan.objectives.usage_variance;
    write_metrics(table_, folder_ / "metrics.csv");
    write_state(folder_, state_);
    publish(rounds);
  }

  /// The updates that the server takes; all others are named in the log. @throws WorkError where no
  /// training of the round stayed finite, which no further round would mend.
  std::vector<ClientUpdate> usable_updates(int round,
                                           std::vector<std::optional<ClientUpdate>>& sent,
                                           RoundFailures& failures) const {
    const std::string where = "round " + std::to_string(round) + ": ";
    std::vector<ClientUpdate> updates;
    for (auto& update : sent) {
      if (update) updates.push_back(std::move(*update));
    }
    // Who did not answer this time may have better news in another round.
    const bool complete = failures.dropped.empty() &&
                          (failures.late.empty() || task_.run.failures.late == Late::kPartial);
    const bool diverged = complete && !updates.empty() &&
                          std::all_of(updates.begin(), updates.end(),
                                      [](const auto& update) { return !update.failure.empty(); });
    if (diverged) {
      throw WorkError(where + "no client's training stayed finite; client " +
                      updates.front().client + ": " + updates.front().failure);
    }
    const auto& server = task_.run.server;
    failures.refused = refuse_updates(state_.weights, updates, server.outlier_ratio);
    for (const auto& refusal : failures.refused)
      log_warning(where + "the update of client " + refusal.client +
                  " is refused: " + refusal.reason);
    if (static_cast<std::int64_t>(updates.size()) < server.min_clients) {
      log_warning(where + std::to_string(updates.size()) + " usable updates where " +
                  std::to_string(server.min_clients) +
                  " are needed (server.min_clients); the global model stays as it is");
      for (const auto& update : updates) failures.too_few.push_back(update.client);
      updates.clear();
    }
    return updates;
  }

  ScoreTable score(int round) {
    ScoreTable table;
    table.metric = strategy_.metric;
    table.model_fingerprint = model_.fingerprint();
    table.samples = task_.run.score.samples;
    table.clients = client_names_;
    table.units = selectable_;
    table.raw.resize(client_count(), static_cast<Eigen::Index>(selectable_.size()));
    for (auto& model : further_models_) model.load_state(state_.weights);
    for_each_client([&](std::size_t i, models::Model& model) {
      const auto& client = task_.clients[i];
      const auto values = score_client(model, client, round);
      for (std::size_t l = 0; l < values.size(); ++l)
        table.raw(static_cast<Eigen::Index>(i), static_cast<Eigen::Index>(l)) = values[l];
    });
    for (const Unit& unit : task_.units.selectable) table.roles.push_back(unit.role);
    table.scores = table.raw;
    normalise_rows(table.scores);
    const std::string scales = round == 1 ? role_scale_warning(table) : "";
    if (!scales.empty()) log_warning(scales + "; units.selectable says which compete");
    return table;
  }

  std::vector<double> score_client(const models::Model& model, const FederatedClient& client,
                                   int round) const {
    const std::string where = "round " + std::to_string(round) + ", client " + client.name + ": ";
    try {
      return tools_.score(model, *client.train, selectable_,
                          {strategy_.metric, static_cast<int>(task_.run.score.samples),
                           stream(seed_, "score", round, client.name), client.name});
    } catch (const InputError& error) {
      throw InputError(where + error.what());
    } catch (const WorkError& error) {
      throw WorkError(where + error.what());
    }
  }

  /// `number` counts the plans of the run from 0.
  Plan make_plan(int round, std::int64_t number, const std::optional<ScoreTable>& scores) {
    const auto units = static_cast<Eigen::Index>(selectable_.size());
    PlanningProblem problem;
    problem.clients = client_names_;
    problem.units = selectable_;
    // Without scores every unit counts the same, which leaves the choice to the algorithm.
    problem.importance =
        scores ? scores->scores
               : Eigen::MatrixXd::Constant(client_count(), units, 1.0 / static_cast<double>(units));
    const std::string& of = task_.run.budget.of;
    set_budgets(problem, of, strategy_.own ? budgets() : task_.budgets,
                costs_of(task_.units.selectable, of));
    // JSON readers elsewhere keep 53 bits of an integer.
    const std::uint64_t seed = stream(seed_, "plan", round) >> 11;
    Plan plan;
    if (strategy_.own) {
      plan.algorithm = strategy_.algorithm;
      plan.kind = AlgorithmKind::kBaseline;
      plan.seed = seed;
      plan.clients = problem.clients;
      plan.units = problem.units;
      plan.assignment = own_assignment(problem, round, number);
      plan.objectives = strata::evaluate(problem, plan.assignment);
      plan.front = {plan.objectives};
    } else {
      plan = tools_.plan(problem, {.algorithm = strategy_.algorithm,
                                   .choose = strategy_.choose,
                                   .search = {.evaluations = task_.run.plan.evaluations,
                                              .seed = seed,
                                              .warm_start = state_.archive.assignments},
                                   .gap = scores.has_value()});
    }
    plan.always = always_;
    plan.count_budgets(problem);
    plan.scores_digest = scores ? digest(*scores) : "";
    // run.json says once who made the run and when; here it would make resumed plans differ.
    const std::set<std::string> of_the_run = {"command", "machine", "date"};
    plan.provenance.erase(
        std::remove_if(plan.provenance.begin(), plan.provenance.end(),
                       [&](const auto& entry) { return of_the_run.count(entry.first) > 0; }),
        plan.provenance.end());
    return plan;
  }

  /// What the strategy makes of the clients' budgets.
  std::vector<std::int64_t> budgets() const {
    if (strategy_.own == OwnAlgorithm::kNone)
      return std::vector<std::int64_t>(task_.budgets.size(), 0);
    if (strategy_.own != OwnAlgorithm::kFull) return task_.budgets;
    std::int64_t all = 0;
    for (const Unit& unit : task_.units.selectable)
      all += task_.run.budget.counts_units() ? 1 : cost_of(unit, task_.run.budget.of);
    return std::vector<std::int64_t>(task_.budgets.size(), all);
  }

  /// That of the runner's own algorithms: within the problem's budgets, without scores.
  Assignment own_assignment(const PlanningProblem& problem, int round, std::int64_t number) const {
    if (strategy_.own != OwnAlgorithm::kDropout) return rotate(problem, number);
    Assignment assignment = Assignment::Zero(problem.client_count(), problem.unit_count());
    for (int i = 0; i < problem.client_count(); ++i) {
      const auto client = static_cast<std::size_t>(i);
      Random random(stream(seed_, "dropout", round, client_names_[client]));
      Purse purse = purse_of(problem, i);
      for (const int unit : random.sample(problem.unit_count(), problem.unit_count()))
        assignment(i, unit) = purse.pay(unit);
    }
    return assignment;
  }

  /// questions.csv: of each client's test questions, which were answered correctly in `round`, and
  /// which its most frequent training answer would have.
  void write_question_results(int round, const std::vector<std::vector<bool>>& right) const {
    std::vector<QuestionResult> rows;
    for (std::size_t i = 0; i < task_.clients.size(); ++i) {
      const auto& client = task_.clients[i];
      if (!client.test) continue;
      const auto majority = task_.task->majority_right(*client.train, *client.test);
      for (std::size_t q = 0; q < majority.size(); ++q) {
        rows.push_back(
            {round, client.name, static_cast<std::int64_t>(q), right[i][q], majority[q]});
      }
    }
    write_questions(rows, folder_ / "questions.csv");
  }

  /// Completes the clients' rows with what the global model reaches on their test examples, and
  /// appends them and the two aggregate rows.
  void evaluate_round(int round, std::vector<RoundMetrics> rows, bool evaluated) {
    rows.resize(task_.clients.size());
    std::vector<tasks::Tally> tallies(rows.size());
    std::vector<std::vector<bool>> right(rows.size());
    if (evaluated) {
      for_each_client([&](std::size_t i, models::Model&) {
        if (task_.clients[i].test)
          tallies[i] = task_.task->evaluate(model_, *task_.clients[i].test, &right[i]);
      });
      write_question_results(round, right);
    }
    tasks::Tally everyone;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const auto& client = task_.clients[i];
      auto& row = rows[i];
      row.round = round;
      row.client = client.name;
      row.train_samples = client.train->size();
      row.test_samples = client.test ? client.test->size() : 0;
      row.importance = row.usage_variance = kNaN;
      if (round == 0) row.train_loss = kNaN;
      set_evaluation(row, *task_.task, tallies[i]);
      everyone += tallies[i];
    }
    RoundMetrics all, mean;
    all.peak_memory_mib = kNaN;
    all.round = mean.round = round;
    all.client = "all";
    mean.client = "mean";
    for (const auto& row : rows) {
      all.train_samples += row.train_samples;
      all.test_samples += row.test_samples;
      all.peak_memory_mib = std::fmax(all.peak_memory_mib, row.peak_memory_mib);
    }
    mean.train_samples = all.train_samples / client_count();
    mean.test_samples = all.test_samples / client_count();
    const auto by_samples = [](const RoundMetrics& row) {
      return static_cast<double>(row.train_samples);
    };
    const auto equally = [](const RoundMetrics&) { return 1.0; };
    all.train_loss = weighted_mean(rows, &RoundMetrics::train_loss, by_samples);
    set_evaluation(all, *task_.task, everyone);
    for (const auto value :
         {&RoundMetrics::up_mbit, &RoundMetrics::down_mbit, &RoundMetrics::seconds}) {
      all.*value = total(rows, value);
    }
    for (const auto value :
         {&RoundMetrics::train_loss, &RoundMetrics::test_loss, &RoundMetrics::up_mbit,
          &RoundMetrics::down_mbit, &RoundMetrics::seconds, &RoundMetrics::peak_memory_mib}) {
      mean.*value = weighted_mean(rows, value, equally);
    }
    for (std::size_t metric = 0; metric < table_.metrics.size(); ++metric)
      mean.values.push_back(mean_value(rows, metric));
    all.importance = all.usage_variance = mean.importance = mean.usage_variance = kNaN;
    if (evaluated) {
      log_info("round " + std::to_string(round) + ": " + table_.metrics.front() + " " +
               fixed(all.values.front(), 4) + " (mean over clients " +
               fixed(mean.values.front(), 4) + "), loss " + fixed(all.test_loss, 4) +
               (round > 0 ? ", " + fixed(all.up_mbit, 2) + " MBit up, " + fixed(all.seconds, 1) +
                                " s of training"
                          : ", the foundation as it is"));
    }
    rows_.insert(rows_.end(), rows.begin(), rows.end());
    rows_.push_back(all);
    rows_.push_back(mean);
  }

  /// What others read of the run's progress; all of it can be derived from the state. The state of
  /// a round is what was trained: the whole model comes with the last one, or with each if asked
  /// for.
  void publish(int rounds) {
    const bool done = state_.round == rounds;
    if (done || task_.run.save == SaveModel::kEvery) {
      peft::save_model(model_, folder_ / "model");
      // The same in every round, and each file waits for the disk.
      if (!tokenizer_saved_)
        models::save_tokenizer(task_.tokenizer, model_.architecture(), folder_ / "model");
      tokenizer_saved_ = true;
    }
    write_run_json(done);
  }

  /// What made the run's first rounds stays written, as they are not made again.
  void keep_provenance() {
    const auto file = folder_ / "run.json";
    if (!std::filesystem::exists(file)) return;
    const Document document = load_json(file);
    ObjectReader reader(document);
    const Json& first = reader.raw("provenance");
    if (!first.is_object()) return;
    const auto text = [](const Json& value) {
      return value.is_string() ? value.get<std::string>() : value.dump();
    };
    const std::vector<std::pair<std::string, std::string>> kinds = {
        {"commit", "commit"}, {"machine", "machine"}, {"threads", "number of threads"}};
    for (const auto& [key, name] : kinds) {
      const std::string now = text(provenance_.at(key));
      const std::string before = first.contains(key) ? text(first.at(key)) : now;
      if (before != now)
        log_warning("the run began with another " + name + " (" + before + "; now " + now + ")");
    }
    provenance_ = first;
  }

  static Json this_process() {
    Json provenance = provenance_json();
    provenance["threads"] = at::get_num_threads();
    return provenance;
  }

  void write_run_json(bool done) {
    Json costs = Json::array();
    for (const auto& unit : all_units_) {
      costs.push_back({{"name", unit.name},
                       {"parameters", unit.parameter_count},
                       {"bytes", unit.bytes},
                       {"forward_flops", unit.forward_flops},
                       {"activation_bytes", unit.activation_bytes}});
    }
    Json budgets = Json::object();
    const auto values = this->budgets();
    for (std::size_t i = 0; i < client_names_.size(); ++i) budgets[client_names_[i]] = values[i];
    Json root{{"version", 1},
              {"name", task_.name},
              {"strategy", strategy_.name},
              {"seed", seed_},
              {"metric", strategy_.metric},
              {"algorithm", strategy_.algorithm},
              {"budget", budgets},
              {"clients", client_names_},
              {"units", {{"selectable", selectable_}, {"always", always_}}},
              {"unit_costs", costs},
              {"foundation", task_.foundation_fingerprint},
              {"synthetic", task_.synthetic},
              {"status", done ? "done" : "running"},
              {"rounds_done", state_.round},
              {"provenance", provenance_}};
    if (!task_.run.budget.counts_units()) root["budget_of"] = task_.run.budget.of;
    write_file(folder_ / "run.json", root.dump(1) + "\n");
  }

  const FederatedTask& task_;
  const Strategy& strategy_;
  const std::uint64_t seed_;
  const std::filesystem::path& folder_;
  models::Model& model_;  ///< between rounds it has the global weights
  const RunTools& tools_;
  const int parallel_;                         ///< clients at a time
  std::vector<models::Model> further_models_;  ///< workspaces beside model_
  const std::vector<std::string> client_names_, selectable_;
  std::vector<std::string> always_;
  const bool plans_lora_;        ///< units hold LoRA pairs
  std::vector<Unit> all_units_;  ///< selectable and always trained, bottom to top
  std::set<std::string> saved_;  ///< weights in the state: those of the run's units
  RunState state_;
  bool tokenizer_saved_ = false;  ///< by this process
  Json provenance_ = this_process();
  RoundTable table_{task_.task->metrics(), {}};
  std::vector<RoundMetrics>& rows_ = table_.rows;
};

}  // namespace

bool plans_lora(const models::Blueprint& blueprint, const SelectedUnits& units) {
  return std::any_of(units.selectable.begin(), units.selectable.end(), [&](const Unit& unit) {
    return peft::holds(blueprint, unit, peft::lora_type().name);
  });
}

RoundTable run_rounds(const FederatedTask& task, const Strategy& strategy, std::uint64_t seed,
                      const std::filesystem::path& folder, models::Model& model,
                      const RunTools& tools, int parallel, const AfterRound& after_round) {
  return Server(task, strategy, seed, folder, model, tools, parallel).run(after_round);
}

}  // namespace strata::fedrunner
