#include "fedrunner/client.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <set>

#include "fedrunner/algorithms/algorithm.h"
#include "fedrunner/client_ranks.h"
#include "fedrunner/rank_pruning.h"
#include "fedrunner/training.h"
#include "models/device.h"
#include "strata/core/error.h"
#include "tasks/task.h"

namespace strata::fedrunner {
namespace {

/// A weight of another shape than the order's ranks say would be stretched to the model's.
void check(const models::Model& model, const Order& order, const ModelState& weights,
           const FactorCuts& cuts = {}) {
  for (const auto& [name, weight] : weights) {
    const auto found = model.weights().find(name);
    if (found == model.weights().end() ||
        cut({{name, found->second}}, cuts).at(name).sizes() != weight.sizes())
      throw InputError("client " + order.client + " has no weight " + name +
                       " of the shape that the order has");
  }
}

/// Who left a weight as it is that the server does not mean would send others than are expected.
void check_frozen(const models::Model& model, const Order& order, const TrainWork& work) {
  std::set<std::string> trained;
  for (const auto& name : order.units) {
    const auto& parameters = model.unit(name).parameters;
    trained.insert(parameters.begin(), parameters.end());
  }
  for (const auto& name : work.frozen) {
    if (!trained.count(name))
      throw InputError("client " + order.client + " has no weight " + name +
                       " in the order's units that it could leave as it is");
  }
}

/// Second ones are of weights that are trained and sent.
void check_companions(const models::Model& model, const Order& order, const TrainWork& work) {
  if (work.companions.empty()) return;
  const auto sent = sent_parameters(model.units(), order.units, work.frozen);
  const std::set<std::string> among(sent.begin(), sent.end());
  for (const auto& name : work.companions) {
    if (!among.count(name))
      throw InputError("client " + order.client + " has no weight " + name +
                       " in the order's units of which it could train a second one");
  }
}

/// What may be cut of the order's pairs is there.
void check_pruning(const Order& order, const PruningWork& pruning) {
  for (const auto& [name, cut] : pruning.cuts) {
    const auto found = order.state->find(name);
    if (found == order.state->end() || found->second.dim() <= cut.dim ||
        found->second.size(cut.dim) < cut.kept)
      throw InputError("client " + order.client + " has no weight " + name +
                       " of which it could keep " + std::to_string(cut.kept) + " ranks");
  }
}

std::vector<Unit> units_named(const models::Model& model, const std::vector<std::string>& names) {
  std::vector<Unit> units;
  for (const auto& name : names) units.push_back(model.unit(name));
  return units;
}

/// How the order's ranks cut the model's pairs.
FactorCuts cuts_for(const models::Model& model, const Order& order) {
  std::vector<std::string> names;
  for (const auto& [unit, rank] : order.ranks) names.push_back(unit);
  return cuts_of(unit_pairs(model.blueprint(), units_named(model, names)), order.ranks);
}

/// The order's state in the shapes of the model.
ModelState whole_state(const models::Model& model, const Order& order, const FactorCuts& cuts) {
  check(model, order, *order.state, cuts);
  ModelState state = *order.state;
  for (const auto& [name, part] : cuts) {
    const auto found = state.find(name);
    if (found != state.end()) found->second = padded(found->second, model.weight(name));
  }
  return state;
}

void load(models::Model& model, const Order& order) {
  model.load_state(whole_state(model, order, cuts_for(model, order)));
}

/// Of parameters that are not sent an algorithm says nothing.
GradientChange of_weights(const std::vector<std::string>& names, GradientChange change) {
  if (!change) return nullptr;
  const std::set<std::string> among(names.begin(), names.end());
  return [=](const std::string& name, const torch::Tensor& weight, torch::Tensor& gradient) {
    if (among.count(name)) change(name, weight, gradient);
  };
}

/// One client's training in one round.
class LocalTraining {
 public:
  LocalTraining(models::Model& model, const FederatedClient& client,
                const std::vector<std::string>& units, const ClientRound& round,
                const GradientGram* gram, const Chance& chance)
      : model_(model),
        client_(client),
        names_(units),
        units_(units_named(model, units)),
        round_(round),
        gram_(gram),
        chance_(chance),
        algorithm_(algorithm_of(round.work.algorithm.algorithm)) {}

  /// @throws WorkError
  void carry_out(ClientUpdate& update) {
    const auto& frozen = round_.work.frozen;
    TrainingHooks hooks = algorithm_.guide ? algorithm_.guide(round_) : TrainingHooks();
    const auto sent = sent_parameters(units_, names_, frozen);
    hooks.change_gradient = of_weights(sent, hooks.change_gradient);
    hooks.correct_gradient = of_weights(sent, hooks.correct_gradient);
    if (algorithm_.partner) hooks.partner = algorithm_.partner(round_, model_);
    const auto& pruning = round_.work.pruning;
    const RankTails tails(model_, unit_pairs(model_.blueprint(), units_), pruning);
    // Ranks of clients go with averages alone, which change no gradient.
    if (!pruning.cuts.empty()) hooks.change_gradient = tails.penalty();
    const double before = tails.size();
    hooks.step_gradient = private_steps();
    update.train_loss = train(round_.work.local.training, hooks);
    // The loss of the data is no noisy number.
    if (hooks.step_gradient) update.train_loss = std::numeric_limits<double>::quiet_NaN();
    update.weights = trained();
    update.pruned = tails.size() < before;
    const torch::NoGradGuard no_grad;
    for (const auto& name : algorithm_.remember ? sent : std::vector<std::string>())
      update.memory[name] =
          algorithm_.remember(round_, name, update.weights.at(name)).to(torch::kFloat32);
    if (!hooks.partner) return;
    for (const auto& name : hooks.partner->own)
      update.memory[name] = hooks.partner->model.weight(name);
  }

  /// The second training. @throws WorkError
  void train_personal(ClientUpdate& update) {
    if (!algorithm_.personal) return;
    model_.load_state(round_.received);
    model_.load_state(round_.work.memory);
    auto options = round_.work.local.training;
    options.proximal = 0;  // holds what is sent to where it began
    train(options, algorithm_.personal(round_));
    update.memory = trained();
  }

 private:
  double train(const TrainingOptions& options, const TrainingHooks& hooks) {
    const auto& frozen = round_.work.frozen;
    return fedrunner::train(model_, *client_.train, names_, round_.steps, options, round_.work.seed,
                            hooks, /*parts=*/1, {frozen.begin(), frozen.end()});
  }

  /// None where the work is not private. @throws InputError
  StepGradient private_steps() const {
    const LocalConfig& local = round_.work.local;
    if (!local.privacy) return nullptr;
    if (!gram_ || !*gram_)
      throw InputError("client " + client_.name + " was given no way to train privately");
    PrivateWork work{*local.privacy, local.training.batch_size};
    const auto& frozen = round_.work.frozen;
    for (Unit unit : units_) {
      if (!unit.buffers.empty())
        throw InputError("client " + client_.name + ": the unit " + unit.name +
                         " holds statistics that move with the batches, which no noise hides");
      unit.parameters.erase(std::remove_if(unit.parameters.begin(), unit.parameters.end(),
                                           [&](const std::string& name) {
                                             return std::find(frozen.begin(), frozen.end(), name) !=
                                                    frozen.end();
                                           }),
                            unit.parameters.end());
      if (!unit.parameters.empty()) work.units.push_back(std::move(unit));
    }
    return [this, work, patients = patients_of(*client_.train)](const auto& weights) {
      leave_private_gradient(model_, *client_.train, work, patients, *gram_, chance_, weights);
    };
  }

  ModelState trained() const {
    const auto& frozen = round_.work.frozen;
    ModelState weights;
    for (const Unit& unit : units_) {
      for (const auto& name : state_of(unit)) {
        if (std::find(frozen.begin(), frozen.end(), name) == frozen.end())
          weights[name] = model_.weight(name).detach().clone();
      }
    }
    return weights;
  }

  models::Model& model_;
  const FederatedClient& client_;
  const std::vector<std::string>& names_;
  const std::vector<Unit> units_;
  const ClientRound& round_;
  const GradientGram* gram_;
  const Chance& chance_;
  const Algorithm& algorithm_;
};

}  // namespace

ClientUpdate train_client(models::Model& model, const ModelState& global,
                          const FederatedClient& client, const std::vector<std::string>& units,
                          const TrainWork& work, const GradientGram* gram, const Chance& chance) {
  ClientUpdate update;
  update.client = client.name;
  update.samples = client.train->size();
  update.units = units;
  model.load_state(global);
  update.steps = work.steps(update.samples);
  models::reset_peak_memory(model.device());
  const auto start = std::chrono::steady_clock::now();
  const ClientRound round{work, global, update.steps};
  LocalTraining training(model, client, units, round, gram, chance);
  try {
    training.carry_out(update);
    training.train_personal(update);
  } catch (const WorkError& error) {
    update.failure = error.what();
    update.train_loss = std::numeric_limits<double>::quiet_NaN();
    update.weights.clear();
    update.memory.clear();
    update.pruned = false;
  }
  update.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  update.peak_memory = models::peak_memory(model.device());
  return update;
}

Reply Client::serve(const Order& order) const {
  if (order.client != data_.name)
    throw InputError("an order for client " + order.client + " has come to client " + data_.name);
  if (order.base != base_)
    throw InputError("client " + data_.name + " has another foundation than the order is for");
  Reply reply{order.id(), data_.name};
  if (std::holds_alternative<HelloWork>(order.work)) reply.result = introduce(order);
  if (const auto* work = std::get_if<ScoreWork>(&order.work)) reply.result = score(order, *work);
  if (const auto* work = std::get_if<EvaluateWork>(&order.work))
    reply.result = evaluate(order, *work);
  if (const auto* work = std::get_if<TrainWork>(&order.work); work && !order.units.empty())
    reply.result = train(order, *work);
  return reply;
}

HelloResult Client::introduce(const Order& order) const {
  const Workspaces::Loan loan(workspaces_);
  for (const auto& unit : order.units) loan.model().unit(unit);
  return {data_.train->size(), data_.test ? data_.test->size() : 0};
}

ScoreResult Client::score(const Order& order, const ScoreWork& work) const {
  const Workspaces::Loan loan(workspaces_);
  load(loan.model(), order);
  return with_context("round " + std::to_string(order.round) + ", client " + data_.name, [&] {
    return ScoreResult{
        scorer_(loan.model(), *data_.train, order.units,
                {work.metric, static_cast<int>(work.samples), work.seed, data_.name, work.answers,
                 static_cast<int>(work.top_answers), static_cast<int>(work.random_outputs)})};
  });
}

ClientUpdate Client::train(const Order& order, const TrainWork& work) const {
  const Workspaces::Loan loan(workspaces_);
  const FactorCuts cuts = cuts_for(loan.model(), order);
  const ModelState state = whole_state(loan.model(), order, cuts);
  for (const ModelState* weights : {&work.memory, &work.control})
    check(loan.model(), order, *weights);
  check_frozen(loan.model(), order, work);
  check_companions(loan.model(), order, work);
  check_pruning(order, work.pruning);
  ClientUpdate update = train_client(loan.model(), state, data_, order.units, work, gram_);
  update.weights = cut(std::move(update.weights), cuts);
  if (update.pruned) update.weights = cut(std::move(update.weights), work.pruning.cuts);
  return update;
}

EvaluateResult Client::evaluate(const Order& order, const EvaluateWork& work) const {
  EvaluateResult result;
  if (!data_.test) return result;
  const Workspaces::Loan loan(workspaces_);
  load(loan.model(), order);
  check(loan.model(), order, work.companions);
  models::Model measured = loan.model();  // which shares the weights
  ModelState companions;
  for (const auto& [name, weight] : work.companions)
    companions[name] = weight.to(measured.device());
  measured.set_companions(std::move(companions));
  const tasks::Task& task = data_.test->task();
  if (work.slice) {
    std::vector<tasks::Prediction> predictions;
    result.tally = task.evaluate(measured, *data_.test, &result.right, &predictions);
    result.slice = tasks::shown_slice(*data_.test, predictions);
  } else {
    result.tally = task.evaluate(measured, *data_.test, &result.right);
  }
  result.majority = task.majority_right(*data_.train, *data_.test);
  return result;
}

}  // namespace strata::fedrunner
