#include "fedrunner/training.h"

#include <torch/optim/adamw.h>
#include <torch/optim/sgd.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <set>

#include "core/interrupt.h"
#include "core/parallel.h"
#include "models/device.h"
#include "models/staged_gradients.h"
#include "models/torch.h"
#include "models/units.h"
#include "strata/core/error.h"
#include "strata/core/random.h"
#include "tasks/loss_shape.h"
#include "tasks/task.h"

namespace strata::fedrunner {
namespace {

/// Gives every weight a gradient of its own. Where a batch has one row, the rows of the embeddings
/// need no sum, and autograd leaves several weights with views of one tensor, which changes in
/// place would reach twice.
void separate_gradients(const std::vector<torch::Tensor>& weights) {
  for (const auto& weight : weights) {
    if (weight.grad().defined() && weight.grad().storage().use_count() > 1)
      weight.mutable_grad() = weight.grad().clone();
  }
}

/// Scales the gradients so that their joint norm is at most `limit`. torch's clip_grad_norm_
/// returns the norm as a number and so waits for the device in every step; this does not.
void clip_gradients(const std::vector<torch::Tensor>& weights, double limit) {
  std::vector<torch::Tensor> norms;
  for (const auto& weight : weights) {
    if (weight.grad().defined()) norms.push_back(weight.grad().norm());
  }
  if (norms.empty()) return;
  const auto factor = (limit / (torch::stack(norms).norm() + 1e-6)).clamp_max(1.0);
  for (const auto& weight : weights) {
    if (weight.grad().defined()) weight.grad().mul_(factor);
  }
}

/// The gradient of μ/2 ‖w − w₀‖².
void add_proximal_gradients(const std::vector<torch::Tensor>& weights,
                            const std::vector<torch::Tensor>& start, double proximal) {
  const torch::NoGradGuard no_grad;
  for (std::size_t i = 0; i < start.size(); ++i) {
    if (weights[i].grad().defined()) weights[i].grad().add_(weights[i] - start[i], proximal);
  }
}

/// What a training changes, by name.
struct Trained {
  std::vector<std::string> names;
  std::vector<torch::Tensor> weights;
};

void change_gradients(const Trained& trained, const GradientChange& change) {
  if (!change) return;
  const torch::NoGradGuard no_grad;
  for (std::size_t i = 0; i < trained.names.size(); ++i) {
    torch::Tensor& gradient = trained.weights[i].mutable_grad();
    if (gradient.defined()) change(trained.names[i], trained.weights[i], gradient);
  }
}

std::unique_ptr<torch::optim::Optimizer> make_optimizer(const std::vector<torch::Tensor>& weights,
                                                        const TrainingOptions& options) {
  namespace optim = torch::optim;
  // Without momentum its decay in the gradient is a decoupled one.
  if (options.optimizer == LocalOptimizer::kSgd)
    return std::make_unique<optim::SGD>(
        weights, optim::SGDOptions(options.learning_rate).weight_decay(options.weight_decay));
  return std::make_unique<optim::AdamW>(
      weights, optim::AdamWOptions(options.learning_rate).weight_decay(options.weight_decay));
}

/// What a step's batch is made of.
struct BatchRows {
  std::vector<std::int64_t> rows;
  std::vector<tasks::Variation> variations;  // none, or one a row

  /// Part `part` of `parts`; the first ones have a row more.
  BatchRows part(std::size_t part, std::size_t parts) const {
    const auto begin = [&](std::size_t p) {
      return static_cast<std::ptrdiff_t>(p * (rows.size() / parts) +
                                         std::min(p, rows.size() % parts));
    };
    BatchRows result;
    result.rows.assign(rows.begin() + begin(part), rows.begin() + begin(part + 1));
    if (!variations.empty())
      result.variations.assign(variations.begin() + begin(part),
                               variations.begin() + begin(part + 1));
    return result;
  }
};

/// How a batch, or a part that is so much of it, is differentiated.
struct Differentiation {
  using Gradients = models::StagedGradients;
  /// Its loss, for autograd; empty where everything is done by the other.
  std::function<torch::Tensor(const BatchRows&, const at::Generator&)> loss;
  std::function<Gradients(const BatchRows&, double share, const at::Generator&)> gradients;
};

/// Leaves the gradients of the batch's mean loss, which is returned. Every part of the batch is
/// differentiated by a thread of its own and the parts are added in their order, so that results
/// depend on the number of generators alone.
torch::Tensor differentiate(const std::vector<torch::Tensor>& weights, const BatchRows& batch,
                            const Differentiation& by, const std::vector<at::Generator>& dropout) {
  const std::size_t parts =
      std::clamp<std::size_t>(batch.rows.size() / std::size_t{kRowsPerPart}, 1, dropout.size());
  if (parts == 1 && by.loss) {
    auto loss = by.loss(batch, dropout.front());
    loss.backward();
    separate_gradients(weights);
    return loss.detach();
  }
  const int threads = at::get_num_threads();
  std::vector<Differentiation::Gradients> found(parts);
  for (const auto& weight : weights) weight.mutable_grad().reset();  // else both would be held
  parallel_for(static_cast<int>(parts), static_cast<int>(parts), [&](int p) {
    at::set_num_threads(threads);  // a new thread does not have its creator's
    const auto part = batch.part(static_cast<std::size_t>(p), parts);
    const double share =
        static_cast<double>(part.rows.size()) / static_cast<double>(batch.rows.size());
    found[static_cast<std::size_t>(p)] =
        by.gradients(part, share, dropout[static_cast<std::size_t>(p)]);
  });
  for (std::size_t i = 0; i < weights.size(); ++i) {
    torch::Tensor sum;
    for (auto& part : found) {
      torch::Tensor& gradient = part.gradients[i];
      if (gradient.defined()) sum = sum.defined() ? sum.add_(gradient) : gradient.clone();
      gradient.reset();
    }
    weights[i].mutable_grad() = sum;
  }
  auto loss = found.front().loss;
  for (std::size_t p = 1; p < parts; ++p) loss = loss + found[p].loss;
  return loss;
}

/// The BatchNorms that move with the batches of these units. They count batches in memory of the
/// model's own, which is nobody's state.
std::set<std::string> moving_norms(models::Model& model, const std::vector<std::string>& names) {
  std::vector<Unit> units;
  for (const auto& name : names) units.push_back(model.unit(name));
  const auto norms = models::moving_norms(model.blueprint(), units);
  for (const auto& norm : norms) {
    for (const models::Parameter& buffer : model.blueprint().layer(norm).buffers)
      if (buffer.counter) model.weight(buffer.name) = model.weight(buffer.name).clone();
  }
  return norms;
}

/// The weights that are to have gradients, and no other has.
Trained begin_training(models::Model& model, const std::vector<std::string>& units,
                       const std::set<std::string>& frozen) {
  model.train_only({});  // forgets gradients of an earlier training
  model.train_only(units);
  Trained trained;
  for (const auto& unit : units) {
    for (const auto& name : model.unit(unit).parameters) {
      if (frozen.count(name)) {
        model.weight(name).set_requires_grad(false);
      } else {
        trained.names.push_back(name);
        trained.weights.push_back(model.weight(name));
      }
    }
  }
  return trained;
}

/// The same weights of the partner, which shares with the first what is not its own.
Trained begin_partner(Partner& partner, const models::Model& model, const Trained& first) {
  Trained trained = first;
  for (std::size_t i = 0; i < first.names.size(); ++i) {
    torch::Tensor& weight = partner.model.weight(first.names[i]);
    if (partner.own.count(first.names[i])) {
      weight.set_requires_grad(true);
    } else {
      weight = model.weight(first.names[i]);
    }
    trained.weights[i] = weight;
  }
  return trained;
}

/// T² · the mean over samples of KL(softmax(teacher / T) ‖ softmax(student / T)), of which T² keeps
/// the gradients' size (Hinton, Vinyals & Dean, arXiv 1503.02531).
torch::Tensor distillation(const torch::Tensor& student, const torch::Tensor& teacher,
                           double temperature) {
  const auto said = torch::log_softmax(teacher / temperature, 1, torch::kFloat);
  const auto learnt = torch::log_softmax(student / temperature, 1, torch::kFloat);
  return temperature * temperature * (said.exp() * (said - learnt)).sum(1).mean();
}

int random_flip(Flips flips, Random& random) {
  if (flips == Flips::kNone) return 0;
  const int bits = static_cast<int>(random.below(4));
  if (flips == Flips::kHorizontal) return bits & 1;
  if (flips == Flips::kVertical) return bits & 2;
  return bits;
}

/// A model in training.
struct Learner {
  Trained trained;
  Differentiation by = {};
  std::vector<at::Generator> dropout = {};  // one a part of a batch
};

class Training {
 public:
  Training(models::Model& model, const tasks::Dataset& data, const std::vector<std::string>& units,
           const TrainingOptions& options, std::uint64_t seed, const TrainingHooks& hooks,
           int parts, const std::set<std::string>& frozen);
  double run(std::int64_t steps);

 private:
  using Loss = std::function<torch::Tensor(const models::State&, const models::Batch&)>;

  void make_partner(std::uint64_t seed);
  Differentiation differentiation(const models::Model& model, const Trained& trained,
                                  const std::set<std::string>& by_batch, const Loss& loss) const;
  torch::Tensor first_loss(const models::State& output, const models::Batch& batch);
  torch::Tensor partner_loss(const models::State& output, const models::Batch& batch);
  BatchRows next_batch(std::int64_t in_epoch);
  void forget_gradients();
  /// @returns the first model's loss
  torch::Tensor take_step(const BatchRows& batch);

  models::Model& model_;
  const tasks::Dataset& data_;
  const TrainingOptions& options_;
  const TrainingHooks& hooks_;
  Partner* const partner_;
  const models::Precision precision_;
  const std::int64_t epoch_steps_;
  tasks::LossShape shape_;
  Learner first_, other_;
  torch::Tensor said_;  // by the first model of the batch
  std::vector<torch::Tensor> start_;
  std::unique_ptr<torch::optim::Optimizer> optimizer_;
  Random random_;
  std::vector<std::int64_t> order_;
};

Training::Training(models::Model& model, const tasks::Dataset& data,
                   const std::vector<std::string>& units, const TrainingOptions& options,
                   std::uint64_t seed, const TrainingHooks& hooks, int parts,
                   const std::set<std::string>& frozen)
    : model_(model),
      data_(data),
      options_(options),
      hooks_(hooks),
      partner_(hooks.partner.get()),
      precision_(models::usable_precision(model.device(), options.precision)),
      epoch_steps_(steps_per_epoch(data.size(), options.batch_size)),
      shape_{.focal_gamma = options.focal_gamma},
      first_{begin_training(model, units, frozen)},
      random_(seed),
      order_(static_cast<std::size_t>(data.size())) {
  const std::set<std::string> by_batch = moving_norms(model, units);
  // Parts of a batch have statistics of their own, and no order in which they would move them.
  if (!by_batch.empty() || partner_) parts = 1;
  for (int part = 0; part < parts; ++part)
    first_.dropout.push_back(models::make_generator(
        model.device(), part == 0 ? seed : derive_seed(seed, {static_cast<std::uint64_t>(part)})));
  first_.by = differentiation(
      model, first_.trained, by_batch,
      [this](const auto& output, const auto& batch) { return first_loss(output, batch); });
  if (partner_) make_partner(seed);
  std::vector<torch::Tensor> weights = first_.trained.weights;
  for (std::size_t i = 0; i < other_.trained.names.size(); ++i)
    if (partner_->own.count(other_.trained.names[i])) weights.push_back(other_.trained.weights[i]);
  optimizer_ = make_optimizer(weights, options);
  if (options.proximal > 0) {
    for (const auto& weight : first_.trained.weights) start_.push_back(weight.detach().clone());
  }
  std::iota(order_.begin(), order_.end(), std::int64_t{0});
  const tasks::Task& task = data.task();
  if (options.calibrate_labels) shape_.calibration = task.calibration(data).to(model.device());
  if (options.class_weights == ClassWeights::kBalanced)
    shape_.class_weights = task.class_weights(data).to(model.device());
}

void Training::make_partner(std::uint64_t seed) {
  other_.trained = begin_partner(*partner_, model_, first_.trained);
  other_.dropout.push_back(models::make_generator(model_.device(), derive_seed(seed, "partner")));
  other_.by = differentiation(
      partner_->model, other_.trained, {},
      [this](const auto& output, const auto& batch) { return partner_loss(output, batch); });
}

Differentiation Training::differentiation(const models::Model& model, const Trained& trained,
                                          const std::set<std::string>& by_batch,
                                          const Loss& loss) const {
  Differentiation by;
  by.loss = [=, this, &model](const BatchRows& part, const at::Generator& generator) {
    const auto batch = data_.batch(part.rows, model.device(), part.variations);
    const models::Autocast autocast(model.device(), precision_);
    return loss(model.run(batch, generator, by_batch), batch);
  };
  by.gradients = [of = by.loss, weights = trained.weights](const BatchRows& part, double share,
                                                           const at::Generator& generator) {
    const auto scaled = of(part, generator) * share;
    return Differentiation::Gradients{
        scaled.detach(), torch::autograd::grad({scaled}, weights, {}, /*retain_graph=*/false,
                                               /*create_graph=*/false, /*allow_unused=*/true)};
  };
  if (!options_.gradient_checkpointing) return by;
  by.loss = nullptr;
  by.gradients = [=, this, &model, weights = trained.weights](const BatchRows& part, double share,
                                                              const at::Generator& generator) {
    const auto batch = data_.batch(part.rows, model.device(), part.variations);
    const auto scaled = [&](const models::State& output) { return loss(output, batch) * share; };
    return models::staged_gradients(model, batch, weights, scaled,
                                    {generator, by_batch, precision_});
  };
  return by;
}

torch::Tensor Training::first_loss(const models::State& output, const models::Batch& batch) {
  const tasks::Task& task = data_.task();
  const auto loss = task.loss(output, batch, shape_);
  if (!partner_) return loss;
  const auto outputs = task.outputs(output, batch);
  said_ = outputs.detach();
  if (partner_->teaches == 0) return loss;
  torch::Tensor teacher;
  {
    const torch::NoGradGuard no_grad;
    teacher = task.outputs(partner_->model.run(batch, other_.dropout.front()), batch);
  }
  return loss + partner_->teaches * distillation(outputs, teacher, partner_->temperature);
}

torch::Tensor Training::partner_loss(const models::State& output, const models::Batch& batch) {
  const tasks::Task& task = data_.task();
  const auto loss = task.loss(output, batch, shape_);
  if (partner_->learns == 0) return loss;
  return loss +
         partner_->learns * distillation(task.outputs(output, batch), said_, partner_->temperature);
}

BatchRows Training::next_batch(std::int64_t in_epoch) {
  if (in_epoch == 0) random_.shuffle(order_);
  const auto first = order_.begin() + in_epoch * options_.batch_size;
  const auto last = order_.begin() + std::min(data_.size(), (in_epoch + 1) * options_.batch_size);
  BatchRows batch{{first, last}, {}};
  if (options_.flips == Flips::kNone && !options_.augment) return batch;
  for (std::size_t i = 0; i < batch.rows.size(); ++i) {
    batch.variations.push_back({random_flip(options_.flips, random_)});
    if (options_.augment) batch.variations.back().seed = random_();
  }
  return batch;
}

/// A weight of the one that takes no step must have none: of 0 AdamW makes a step.
void Training::forget_gradients() {
  for (const Learner* learner : {&first_, &other_}) {
    for (const auto& weight : learner->trained.weights) weight.mutable_grad().reset();
  }
}

torch::Tensor Training::take_step(const BatchRows& batch) {
  const Trained& trained = first_.trained;
  if (partner_) {
    forget_gradients();
  } else {
    optimizer_->zero_grad();
  }
  if (hooks_.step_gradient) {
    hooks_.step_gradient(trained.weights);
    add_proximal_gradients(trained.weights, start_, options_.proximal);
    optimizer_->step();
    return torch::zeros({}, torch::dtype(torch::kFloat64).device(model_.device()));
  }
  auto loss = differentiate(trained.weights, batch, first_.by, first_.dropout);
  add_proximal_gradients(trained.weights, start_, options_.proximal);
  change_gradients(trained, hooks_.change_gradient);
  if (options_.clip_norm > 0) clip_gradients(trained.weights, options_.clip_norm);
  change_gradients(trained, hooks_.correct_gradient);
  optimizer_->step();
  if (!partner_) return loss;
  forget_gradients();
  differentiate(other_.trained.weights, batch, other_.by, other_.dropout);
  if (options_.clip_norm > 0) clip_gradients(other_.trained.weights, options_.clip_norm);
  optimizer_->step();
  return loss;
}

double Training::run(std::int64_t steps) {
  auto& settings = optimizer_->param_groups().front().options();
  const auto zero = torch::zeros({}, torch::dtype(torch::kFloat64).device(model_.device()));
  auto epoch_loss = zero.clone();
  double total_loss = 0;
  for (std::int64_t step = 0; step < steps; ++step) {
    stop_if_interrupted();
    const std::int64_t in_epoch = step % epoch_steps_;
    settings.set_lr(learning_rate_at(options_, step, steps));
    epoch_loss += take_step(next_batch(in_epoch));
    if (hooks_.after_step) hooks_.after_step(step + 1);
    if (in_epoch + 1 == epoch_steps_ || step + 1 == steps) {
      const double sum = epoch_loss.item<double>();
      if (!std::isfinite(sum)) {
        throw WorkError("the training loss is not finite after step " + std::to_string(step + 1) +
                        "; lower the learning rate");
      }
      total_loss += sum;
      epoch_loss = zero.clone();
      if (hooks_.after_epoch) {
        hooks_.after_epoch(static_cast<int>(step / epoch_steps_) + 1,
                           sum / static_cast<double>(in_epoch + 1));
      }
    }
  }
  model_.train_only({});
  for (const auto& weight : other_.trained.weights) {
    weight.set_requires_grad(false);
    weight.mutable_grad().reset();
  }
  return total_loss / static_cast<double>(steps);
}

}  // namespace

double learning_rate_at(const TrainingOptions& options, std::int64_t step, std::int64_t steps) {
  const double warmup = std::floor(options.warmup * static_cast<double>(steps));
  const double done = static_cast<double>(step);
  if (done < warmup) return options.learning_rate * (done + 1) / warmup;
  if (options.schedule == Schedule::kConstant) return options.learning_rate;
  const double progress = (done - warmup) / (static_cast<double>(steps) - warmup);
  if (options.schedule == Schedule::kPolynomial)
    return options.learning_rate * std::pow(1 - progress, options.decay_power);
  return options.learning_rate * 0.5 * (1 + std::cos(M_PI * progress));
}

std::int64_t steps_per_epoch(std::int64_t samples, std::int64_t batch_size) {
  return (samples + batch_size - 1) / batch_size;
}

double train(models::Model& model, const tasks::Dataset& data,
             const std::vector<std::string>& units, std::int64_t steps,
             const TrainingOptions& options, std::uint64_t seed, const TrainingHooks& hooks,
             int parts, const std::set<std::string>& frozen) {
  return Training(model, data, units, options, seed, hooks, parts, frozen).run(steps);
}

}  // namespace strata::fedrunner
