#include "fedrunner/private_gradient.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>

#include "core/system_random.h"
#include "models/torch.h"
#include "strata/core/error.h"
#include "tasks/task.h"

namespace strata::fedrunner {
namespace {

/// The Gram matrix is of products in single precision: so much less than the bound is let through.
constexpr double kSlack = 1e-3;

using Rows = std::vector<std::int64_t>;

/// What each row's loss counts so that no patient's gradient is longer than the bound.
torch::Tensor row_weights(const Eigen::MatrixXd& gram, const std::vector<Rows>& patients,
                          double clip) {
  std::vector<double> weights;
  Eigen::Index first = 0;
  for (const Rows& rows : patients) {
    const auto count = static_cast<Eigen::Index>(rows.size());
    const double squared = gram.block(first, first, count, count).sum() /
                           (static_cast<double>(count) * static_cast<double>(count));
    const double norm = std::sqrt(std::max(0.0, squared)) * (1 + kSlack);
    if (!std::isfinite(norm))
      throw WorkError("the norm of a patient's gradient is not finite; lower the learning rate");
    const double factor = norm > clip ? clip / norm : 1;
    weights.insert(weights.end(), rows.size(), factor / static_cast<double>(count));
    first += count;
  }
  return torch::tensor(weights, torch::kFloat64);
}

/// Adds the clipped gradients of some patients to `sums`.
void add_patients(const models::Model& model, const tasks::Dataset& data, const PrivateWork& work,
                  const std::vector<Rows>& patients, const GradientGram& gram,
                  const std::vector<torch::Tensor>& weights, std::vector<torch::Tensor>& sums) {
  Rows rows;
  for (const Rows& own : patients) rows.insert(rows.end(), own.begin(), own.end());
  const models::Batch batch = data.batch(rows, model.device());
  const tasks::Task& task = data.task();
  const auto factors =
      row_weights(gram(model, task, batch, work.units), patients, work.privacy.clip);
  const auto losses = task.losses(model.run(batch), batch);
  const auto loss = (losses * factors.to(losses.device(), losses.scalar_type())).sum();
  if (!std::isfinite(loss.item<double>()))
    throw WorkError("the training loss is not finite; lower the learning rate");
  const auto gradients =
      torch::autograd::grad({loss}, weights, {}, /*retain_graph=*/false, /*create_graph=*/false,
                            /*allow_unused=*/true);
  for (std::size_t i = 0; i < sums.size(); ++i)
    if (gradients[i].defined()) sums[i].add_(gradients[i]);
}

}  // namespace

Chance system_chance() {
  const auto random = std::make_shared<SystemRandom>();
  return {[random] { return random->uniform(); }, [random] { return random->normal(); }};
}

std::vector<Rows> patients_of(const tasks::Dataset& data) {
  std::vector<Rows> patients;
  std::map<std::string, std::size_t> places;
  for (std::int64_t row = 0; row < data.size(); ++row) {
    const data::Example& example = data.example(row);
    const std::string name =
        example.patient.empty() ? "image " + example.image : "patient " + example.patient;
    const auto [place, is_new] = places.emplace(name, patients.size());
    if (is_new) patients.emplace_back();
    patients[place->second].push_back(row);
  }
  return patients;
}

double sampling_rate(std::int64_t rows, std::int64_t batch_size) {
  return std::min(1.0, static_cast<double>(batch_size) / static_cast<double>(rows));
}

void leave_private_gradient(const models::Model& model, const tasks::Dataset& data,
                            const PrivateWork& work, const std::vector<Rows>& patients,
                            const GradientGram& gram, const Chance& chance,
                            const std::vector<torch::Tensor>& weights) {
  const double rate = sampling_rate(data.size(), work.batch_size);
  std::vector<torch::Tensor> sums;
  for (const auto& weight : weights) sums.push_back(torch::zeros_like(weight.detach()));
  std::vector<Rows> some;
  std::size_t rows = 0;
  const auto add = [&] {
    if (!some.empty()) add_patients(model, data, work, some, gram, weights, sums);
    some.clear();
    rows = 0;
  };
  for (const Rows& patient : patients) {
    if (chance.uniform() >= rate) continue;
    if (rows + patient.size() > static_cast<std::size_t>(work.batch_size)) add();
    some.push_back(patient);
    rows += patient.size();
  }
  add();
  const double spread = work.privacy.clip * work.privacy.noise;
  const double expected = rate * static_cast<double>(patients.size());
  for (std::size_t i = 0; i < sums.size(); ++i) {
    auto noise = torch::empty(sums[i].sizes(), torch::kFloat64);
    double* numbers = noise.data_ptr<double>();
    for (std::int64_t k = 0; k < noise.numel(); ++k) numbers[k] = spread * chance.normal();
    sums[i].add_(noise.to(sums[i].device(), sums[i].scalar_type())).div_(expected);
    weights[i].mutable_grad() = sums[i];
  }
}

}  // namespace strata::fedrunner
