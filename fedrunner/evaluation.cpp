#include "fedrunner/evaluation.h"

#include "core/interrupt.h"
#include "models/torch.h"

#include <algorithm>
#include <limits>
#include <map>
#include <numeric>
#include <vector>

namespace strata::fedrunner {
namespace {

constexpr std::int64_t kBatchSize = 128;

double ratio(double part, std::int64_t whole) {
  return whole == 0 ? std::numeric_limits<double>::quiet_NaN() : part / static_cast<double>(whole);
}

}  // namespace

double Evaluation::accuracy() const {
  return ratio(static_cast<double>(correct), samples);
}
double Evaluation::open_accuracy() const {
  return ratio(static_cast<double>(open_correct), open);
}
double Evaluation::closed_accuracy() const {
  return ratio(static_cast<double>(closed_correct), closed);
}
double Evaluation::loss() const {
  return ratio(loss_sum, targets);
}

Evaluation& Evaluation::operator+=(const Evaluation& other) {
  samples += other.samples;
  correct += other.correct;
  open += other.open;
  open_correct += other.open_correct;
  closed += other.closed;
  closed_correct += other.closed_correct;
  loss_sum += other.loss_sum;
  targets += other.targets;
  return *this;
}

Evaluation evaluate(const models::Model& model, const models::VqaTensors& data,
                    std::vector<bool>* right) {
  const torch::NoGradGuard no_grad;
  std::vector<torch::Tensor> losses, predictions;
  for (std::int64_t begin = 0; begin < data.size(); begin += kBatchSize) {
    stop_if_interrupted();
    std::vector<std::int64_t> rows(
        static_cast<std::size_t>(std::min(kBatchSize, data.size() - begin)));
    std::iota(rows.begin(), rows.end(), begin);
    const auto batch = data.batch(rows, model.device());
    const auto logits = model.forward(batch);
    losses.push_back(torch::cross_entropy_loss(logits, batch.labels, {}, at::Reduction::None));
    predictions.push_back(logits.argmax(1));
  }
  Evaluation result;
  if (losses.empty()) return result;
  result.samples = data.size();
  for (std::int64_t row = 0; row < data.size(); ++row)
    result.targets += data.label(row) != models::kNoTarget;
  result.loss_sum = torch::cat(losses).to(torch::kCPU, torch::kFloat64).sum().item<double>();
  const auto predicted = torch::cat(predictions).to(torch::kCPU).contiguous();
  const auto* labels = predicted.data_ptr<std::int64_t>();
  for (std::int64_t row = 0; row < data.size(); ++row) {
    const bool correct = data.accepts(row, labels[row]);
    if (right) right->push_back(correct);
    const bool closed = data.closed()[static_cast<std::size_t>(row)];
    result.correct += correct;
    (closed ? result.closed : result.open) += 1;
    (closed ? result.closed_correct : result.open_correct) += correct;
  }
  return result;
}

std::vector<bool> majority_right(const models::VqaTensors& train, const models::VqaTensors& test) {
  std::map<std::int64_t, std::int64_t> counts;
  for (std::int64_t row = 0; row < train.size(); ++row) {
    if (train.label(row) != models::kNoTarget) ++counts[train.label(row)];
  }
  const auto most =
      std::max_element(counts.begin(), counts.end(),
                       [](const auto& a, const auto& b) { return a.second < b.second; });
  std::vector<bool> right;
  for (std::int64_t row = 0; row < test.size(); ++row)
    right.push_back(most != counts.end() && test.accepts(row, most->first));
  return right;
}

}  // namespace strata::fedrunner
