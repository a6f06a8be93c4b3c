#include "fedrunner/server.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <optional>
#include <set>
#include <utility>

#include "core/console.h"
#include "core/document.h"
#include "core/infinity.h"
#include "core/interrupt.h"
#include "core/score_scales.h"
#include "fedrunner/aggregation.h"
#include "fedrunner/algorithm_state.h"
#include "fedrunner/orders.h"
#include "fedrunner/planning.h"
#include "fedrunner/privacy_table.h"
#include "fedrunner/publish.h"
#include "fedrunner/round_updates.h"
#include "fedrunner/run_folder.h"
#include "fedrunner/run_table.h"
#include "fedrunner/scoring.h"
#include "fedrunner/site_files.h"
#include "fedrunner/streams.h"
#include "models/drawn.h"
#include "strata/core/atomic_file.h"
#include "strata/fedrunner/event_file.h"
#include "strata/fedrunner/round_folder.h"

namespace strata::fedrunner {
namespace {

Deadline deadline_of(const experiment::ServerConfig& server) {
  if (server.deadline == 0) return std::nullopt;
  return std::chrono::milliseconds(static_cast<std::int64_t>(server.deadline * 1000));
}

/// A round whose clients were told what to train.
struct BegunRound {
  Plan plan;
  PlanArchive archive;
  std::vector<Order> orders;
  RoundUpdates updates = {};  ///< what came of them
};

class Server {
 public:
  Server(const FederatedTask& task, const PlannedRun& run, models::Model& model,
         const RunTools& tools, Courier& courier)
      : task_(task),
        run_(run),
        rounds_(static_cast<int>(task.run.rounds)),
        deadline_(deadline_of(task.run.server)),
        model_(model),
        tools_(tools),
        courier_(courier),
        algorithm_(algorithm_of(task.run.server.algorithm.algorithm)),
        units_(units_of_run(task.units, run.strategy, model, task.run.server.aggregation.lora)),
        plans_lora_(plans_lora(model.blueprint(), task.units)),
        orders_(task_, run, units_),
        planning_(task_, run, units_, tools.plan),
        publisher_(task_, run, units_, planning_.budgets()),
        table_({}, *task.task),
        progress_(
            run.strategy.name + ", seed " + std::to_string(run.seed),
            static_cast<std::int64_t>(rounds_) * static_cast<std::int64_t>(task.clients.size())) {
    model.own(units_.weights);
    for (const auto& name : units_.weights) state_.weights[name] = model.weight(name);
  }

  RoundTable run(const AfterRound& after_round);

 private:
  /// Hears of every client what data it has. A run that resumes knows it from before, of those that
  /// are away: its metrics.csv, which is empty in a new one.
  RoundTable greet();
  /// Takes up the last completed round, or begins.
  void start(RoundTable earlier);
  void run_round(int round);
  /// Scores, where they are due, plan and orders of a round.
  BegunRound begin(int round);
  /// Those that came with the evaluation of the round before, or an exchange's.
  ScoreTable score(int round);
  ScoreTable scores_of(const std::vector<Order>& orders,
                       const std::vector<std::optional<Reply>>& replies);
  /// What clients that train privately have told by their scores.
  void count_scores(const std::vector<Order>& orders,
                    const std::vector<std::optional<Reply>>& replies);
  /// Whether clients score for a round.
  bool scores_in(int round) const {
    return run_.strategy.scores() && is_due(round, task_.run.score.every);
  }
  /// The plan of a round and, where it is a new one, its front for the next to begin with.
  Plan plan_of(int round, const std::optional<ScoreTable>& scores, PlanArchive& archive);
  std::vector<Order> orders_to_train(int round, const Plan& plan);
  RoundUpdates sorted(const BegunRound& begun, std::vector<std::optional<Reply>> replies) const;
  /// Clients receive for any plan, and send what they trained by this one.
  Traffic traffic(int round, bool score_due, const Plan& plan,
                  const std::vector<ClientUpdate>& sent) const;
  /// Takes what the updates have into the state; those that cannot be used are taken out of them.
  Aggregated take(int round, RoundUpdates& updates);
  /// The ranks of clients that have pruned their pairs, as the server takes what is left.
  void take_pruned(int round, const std::vector<ClientUpdate>& updates);
  /// Writes what a resumed run begins with, and what others read of it.
  void keep(int round);
  /// Whether the orders to evaluate a round and those to train in the next travel together.
  bool trains_with_evaluation(int round) const {
    return courier_.remote() && round < rounds_ && evaluated(round) && !scores_in(round + 1);
  }
  /// Has the state measured where that is due. Where clients are elsewhere, the next exchange's
  /// orders that depend on nothing that is measured go out with those to evaluate.
  void measure(int round);
  std::vector<std::optional<Reply>> exchange(const std::vector<Order>& orders);
  void take_results(int round, const std::vector<std::optional<Reply>>& replies);
  /// What was measured so far.
  void write_table() const;

  bool evaluated(int round) const {
    return round % task_.run.evaluate_every == 0 || round == rounds_;
  }
  std::filesystem::path folder_of(int round) const { return round_folder(run_.folder, round); }
  States states() const { return states_of(state_.weights, state_.local); }
  /// What clients are measured with: a model of their own, where the algorithm has it.
  States measured_states() const {
    if (!algorithm_.personal) return states();
    return states_of(state_.weights, overlaid(state_.local, state_.algorithm.memory));
  }
  /// The model shares the state's tensors, which are replaced and never changed.
  void show_state() {
    for (const auto& [name, weight] : state_.weights) model_.weight(name) = weight;
  }

  FederatedTask task_;  ///< with what clients say of their data
  const PlannedRun& run_;
  const int rounds_;
  const Deadline deadline_;
  models::Model& model_;
  const RunTools& tools_;
  Courier& courier_;
  const Algorithm& algorithm_;
  const RunUnits units_;
  const bool plans_lora_;
  Orders orders_;
  Planning planning_;
  Publisher publisher_;
  std::vector<ClientSize> clients_;
  RunState state_;
  RunTable table_;
  PrivacyTable privacy_;
  bool warned_of_scores_ = false;
  Progress progress_;
  std::optional<ScoreTable> early_scores_;  ///< of the round to come
  std::optional<BegunRound> begun_;         ///< the round to come
};

void Server::write_table() const {
  write_metrics(table_.get(), run_.folder / "metrics.csv");
  if (task_.run.tensorboard) write_events(table_.get(), run_.folder);
}

RoundTable Server::run(const AfterRound& after_round) {
  RoundTable earlier = greet();
  table_ = RunTable(clients_, *task_.task);
  start(std::move(earlier));
  if (table_.get().rows.empty()) {
    table_.add(0, {}, std::vector<EvaluateResult>(clients_.size()), {kNaN, kNaN});
    measure(0);
    write_table();
    after_round(0);
  } else if (evaluated(state_.round) && !table_.measured()) {
    measure(state_.round);
    write_table();
  }
  while (state_.round < rounds_) {
    stop_if_interrupted();
    run_round(state_.round + 1);
    after_round(state_.round);
  }
  return table_.get();
}

RoundTable Server::greet() {
  const auto orders = orders_.hello();
  std::vector<std::optional<Reply>> replies;
  RoundTable earlier;
  if (has_state(run_.folder)) {
    replies = usable_replies(courier_, orders, deadline_, units_.all);
    earlier = read_metrics(run_.folder / "metrics.csv");
    task_.synthetic = load_json(run_.folder / "run.json").root.value("synthetic", false);
  } else {
    auto all = all_replies(courier_, orders, deadline_, units_.all);
    replies = {std::make_move_iterator(all.begin()), std::make_move_iterator(all.end())};
  }
  clients_ = client_sizes(orders, replies, earlier);
  for (const auto& reply : replies) {
    if (!reply) continue;
    const auto& hello = std::get<HelloResult>(reply->result);
    task_.synthetic = task_.synthetic || hello.synthetic;
    task_.several_labels = task_.several_labels || hello.several_labels;
  }
  return earlier;
}

void Server::start(RoundTable earlier) {
  remove_temporaries(run_.folder);
  if (plans_lora_) publisher_.describe_model(model_.blueprint());
  if (auto state = read_state(run_.folder, state_.weights)) {
    state_ = std::move(*state);
    show_state();
    orders_.set_pruned(state_.ranks);
    privacy_.resume(run_.folder / "privacy.csv", state_.round);
    table_.resume(std::move(earlier), state_.round, [&](int round) { return evaluated(round); });
    log_info("resuming after round " + std::to_string(state_.round) + " of " +
             std::to_string(rounds_));
    remove_older_states(run_.folder, state_.round);
    if (task_.run.tensorboard) write_events(table_.get(), run_.folder);
    remove_site_files(run_.folder, state_.round, [&](int round) { return evaluated(round); });
    publisher_.keep_provenance();
    publisher_.publish(model_, state_.round, state_.round == rounds_);
  } else {
    publisher_.begin();
  }
}

BegunRound Server::begin(int round) {
  std::optional<ScoreTable> scores;
  if (scores_in(round)) {
    scores = score(round);
    write_scores(*scores, folder_of(round) / "scores.json");
  } else if (run_.strategy.scores()) {
    scores = read_scores(folder_of(state_.scored_round) / "scores.json");
  }
  PlanArchive archive = state_.archive;
  Plan plan = plan_of(round, scores, archive);
  auto orders = orders_to_train(round, plan);
  return {std::move(plan), std::move(archive), std::move(orders)};
}

void Server::run_round(int round) {
  auto early = std::exchange(begun_, std::nullopt);
  BegunRound begun = early ? std::move(*early) : begin(round);
  RoundUpdates updates = early ? std::move(begun.updates) : sorted(begun, exchange(begun.orders));
  const Plan& plan = begun.plan;
  const bool score_due = scores_in(round);
  auto rows = training_rows(clients_, traffic(round, score_due, plan, updates.sent), updates.sent);
  const Aggregated done = take(round, updates);
  log_aggregation(round, updates, done);
  write_file(folder_of(round) / "aggregation.json",
             aggregation_json(round, updates, done, state_.ranks));
  show_state();
  state_.round = round;
  state_.archive = std::move(begun.archive);
  if (score_due) state_.scored_round = round;
  state_.changed_units = trained_units(done.uses);
  const double importance = run_.strategy.scores() ? plan.objectives.importance : kNaN;
  table_.add(round, std::move(rows), std::vector<EvaluateResult>(clients_.size()),
             {importance, plan.objectives.usage_variance});
  // What a round's training has reached is kept before the next one's is waited for.
  const bool kept = trains_with_evaluation(round);
  if (kept) keep(round);
  measure(round);
  if (kept)
    write_table();
  else
    keep(round);
}

void Server::keep(int round) {
  write_table();
  if (task_.run.local.privacy) privacy_.write(run_.folder / "privacy.csv");
  write_state(run_.folder, state_);
  publisher_.publish(model_, round, round == rounds_);
}

Traffic Server::traffic(int round, bool score_due, const Plan& plan,
                        const std::vector<ClientUpdate>& updates) const {
  std::set<std::string> pruned;
  for (const auto& update : updates)
    if (update.pruned) pruned.insert(update.client);
  const auto of = [=, this](const UnitRanks& sent, const UnitRanks& held) -> UnitTraffic {
    const UnitPairs& pairs = units_.pairs;
    return {with_control(algorithm_, pairs.sent(round, units_.all, sent), state_.weights),
            with_control(algorithm_, pairs.received(round - 1, units_.all, held), state_.weights)};
  };
  const auto own = [=, &plan, this](std::size_t client) -> std::optional<UnitTraffic> {
    const UnitRanks held = orders_.ranks().of(client);
    const UnitRanks sent = pruned.count(task_.clients[client])
                               ? orders_.pruned_ranks(client)
                               : orders_.trained_ranks(plan, client);
    return sent.empty() && held.empty() ? std::nullopt : std::optional(of(sent, held));
  };
  return {of({}, {}), state_.changed_units, score_due ? units_.selectable.size() : 0, own};
}

Aggregated Server::take(int round, RoundUpdates& updates) {
  const auto& options = task_.run.server;
  auto kept = take_local(updates.sent, units_.all);
  fail_spoiled_memories(updates.sent);
  keep_usable(round, updates, state_.weights, options);
  keep_cohorts(round, updates, units_.all, task_.run.plan.least_cohort);
  take_pruned(round, updates.sent);
  for (const auto& update : updates.sent) {
    for (const auto& [name, weight] : kept[update.client])
      state_.local[update.client][name] = padded(weight, state_.weights.at(name));
  }
  const ModelState before = state_.weights;
  auto done = aggregate(
      state_.weights, units_.all, updates.sent, options.aggregation,
      peft::factors_of(model_.blueprint()), state_.moments,
      [&](const auto& name) {
        return models::drawn(model_.blueprint().parameter(name),
                             stream(run_.seed, Purpose::kLora, round));
      },
      orders_.cuts_pairs());
  const auto parts = client_parts(clients_, options.aggregation.weights);
  finish_round({options.algorithm, units_.all, parts, updates.sent, before}, state_.weights,
               state_.algorithm);
  return done;
}

void Server::take_pruned(int round, const std::vector<ClientUpdate>& updates) {
  for (const auto& update : updates) {
    if (!update.pruned) continue;
    const auto client = std::find(task_.clients.begin(), task_.clients.end(), update.client);
    const std::int64_t rank =
        orders_.pruned_rank(static_cast<std::size_t>(client - task_.clients.begin()));
    state_.ranks[update.client] = rank;
    log_info("round " + std::to_string(round) + ": client " + update.client +
             " has pruned its pairs to rank " + std::to_string(rank));
  }
  orders_.set_pruned(state_.ranks);
}

ScoreTable Server::score(int round) {
  auto early = std::exchange(early_scores_, std::nullopt);
  if (early) return std::move(*early);
  const auto orders = orders_.score(round, states());
  return scores_of(orders, usable_replies(courier_, orders, deadline_, units_.all));
}

ScoreTable Server::scores_of(const std::vector<Order>& orders,
                             const std::vector<std::optional<Reply>>& replies) {
  if (task_.run.local.privacy) count_scores(orders, replies);
  const auto table = score_table(orders, replies, task_.units.selectable, model_.fingerprint());
  const std::string scales = orders.front().round == 1 ? role_scale_warning(table) : "";
  if (!scales.empty()) log_warning(scales + "; units.selectable says which compete");
  return table;
}

void Server::count_scores(const std::vector<Order>& orders,
                          const std::vector<std::optional<Reply>>& replies) {
  for (std::size_t i = 0; i < orders.size(); ++i) {
    if (!replies[i]) continue;
    const auto& noise = std::get<ScoreResult>(replies[i]->result).noise;
    privacy_.release(orders[i].client, noise);
    if (!noise && !std::exchange(warned_of_scores_, true))
      log_warning("client " + orders[i].client +
                  " sends scores without noise beside private training: nothing bounds what they "
                  "tell, and its epsilon in privacy.csv is inf (docs/private_training.md)");
  }
}

Plan Server::plan_of(int round, const std::optional<ScoreTable>& scores, PlanArchive& archive) {
  const int planned = last_due(round, planning_.every());
  const Plan plan = planned == round ? planning_.plan(round, scores, state_.archive.assignments)
                                     : read_plan(folder_of(planned) / "plan.json");
  if (planned == round && task_.run.plan.warm) archive = archive_of(plan);
  if (plans_lora_) publisher_.write_client_files(plan, round, tools_.client_files);
  write_plan(plan, folder_of(round) / "plan.json");
  return plan;
}

std::vector<Order> Server::orders_to_train(int round, const Plan& plan) {
  auto orders = orders_.train(round, rounds_, plan, states(), state_.algorithm);
  if (task_.run.local.privacy) {
    std::vector<std::int64_t> samples;
    for (const ClientSize& client : clients_) samples.push_back(client.train_samples);
    privacy_.add(round, orders, samples);
  }
  return orders;
}

std::vector<std::optional<Reply>> Server::exchange(const std::vector<Order>& orders) {
  std::int64_t done = 0;
  return first_replies(orders, courier_.exchange(orders, deadline_, [&](const Order& order) {
    if (order.phase() != Phase::kTrain) return;
    const auto before =
        static_cast<std::int64_t>(order.round - 1) * static_cast<std::int64_t>(clients_.size());
    progress_.update(before + ++done,
                     "round " + std::to_string(order.round) + ", client " + order.client);
  }));
}

RoundUpdates Server::sorted(const BegunRound& begun,
                            std::vector<std::optional<Reply>> replies) const {
  return sort_replies(begun.orders, std::move(replies), units_.all, clients_);
}

void Server::measure(int round) {
  if (!evaluated(round)) return;
  const bool slices = round == rounds_ && tasks::shows_slices(*task_.task);
  const auto measuring = orders_.evaluate(round, measured_states(), state_.algorithm, slices);
  auto orders = measuring;
  // The scores of the next round are of the same weights, and so is its training where nobody
  // scores; another exchange has its price.
  std::vector<Order> scoring;
  if (trains_with_evaluation(round)) {
    begun_ = begin(round + 1);
    orders.insert(orders.end(), begun_->orders.begin(), begun_->orders.end());
  } else if (courier_.remote() && round < rounds_) {
    scoring = orders_.score(round + 1, states());
    orders.insert(orders.end(), scoring.begin(), scoring.end());
  }
  auto replies = exchange(orders);
  const auto split = replies.begin() + static_cast<std::ptrdiff_t>(measuring.size());
  std::vector<std::optional<Reply>> others(std::make_move_iterator(split),
                                           std::make_move_iterator(replies.end()));
  replies.erase(split, replies.end());
  take_results(round, usable_replies(courier_, measuring, std::move(replies), units_.all));
  if (begun_) begun_->updates = sorted(*begun_, std::move(others));
  if (scoring.empty()) return;
  others = usable_replies(courier_, scoring, std::move(others), units_.all);
  if (std::any_of(others.begin(), others.end(), [](const auto& r) { return r.has_value(); }))
    early_scores_ = scores_of(scoring, others);
}

void Server::take_results(int round, const std::vector<std::optional<Reply>>& replies) {
  std::vector<EvaluateResult> results(clients_.size());
  for (std::size_t i = 0; i < clients_.size(); ++i)
    if (replies[i]) results[i] = std::get<EvaluateResult>(replies[i]->result);
  write_questions(question_results(round, clients_, results), run_.folder / "questions.csv");
  write_site_files({run_.folder, round, *task_.task, model_.blueprint().architecture().labels()},
                   clients_, results);
  table_.measure(results);
  log_info(table_.summary());
}

}  // namespace

RoundTable run_rounds(const FederatedTask& task, const PlannedRun& run, models::Model& model,
                      const RunTools& tools, Courier& courier, const AfterRound& after_round) {
  return Server(task, run, model, tools, courier).run(after_round);
}

}  // namespace strata::fedrunner
