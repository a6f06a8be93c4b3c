#include <cmath>

#include "fedrunner/lora_rules/drift.h"
#include "fedrunner/lora_rules/lora_rules.h"

namespace strata::fedrunner {
namespace {

using torch::Tensor;

constexpr double kLambda = 0.01;
constexpr int kMostSteps = 200, kMostHalvings = 60;
/// Of B's norm: below it a step is none.
constexpr double kSmallest = 1e-12;
/// Of the decrease that the gradient promises, what a step must reach (Armijo).
constexpr double kReached = 1e-4;

double sum_of_products(const Tensor& a, const Tensor& b) {
  return (a * b).sum().item<double>();
}

/// f(B) = 1 − cos(ΔW, B Ā) + λ ‖B − B̄‖ by way of C = ΔW Āᵀ (out × rank) and G = Ā Āᵀ, as ⟨ΔW, B Ā⟩
/// = ⟨C, B⟩ and ‖B Ā‖² = ⟨B G, B⟩: ΔW itself is never formed.
class Objective {
 public:
  explicit Objective(const PairUploads& uploads) : mean_(uploads.mean_b) {
    const Tensor across = uploads.mean_a.t();
    std::vector<Tensor> left, right;
    c_ = torch::zeros_like(mean_);
    for (const auto& [a, b, share] : uploads.shares) {
      left.push_back(b * share);
      right.push_back(a);
      c_ += torch::matmul(left.back(), torch::matmul(a, across));
    }
    g_ = torch::matmul(uploads.mean_a, across);
    norm_ = product_norm(left, right);
  }

  /// Whether there is an angle at B̄.
  bool defined() const { return norm_ > 0 && size(mean_) > 0; }
  double value(const Tensor& b) const {
    return 1 - sum_of_products(c_, b) / (norm_ * size(b)) +
           kLambda * (b - mean_).norm().item<double>();
  }
  /// Of 1 − cos(ΔW, B Ā).
  Tensor slope(const Tensor& b) const {
    const double q = size(b);
    return (torch::matmul(b, g_) * (sum_of_products(c_, b) / (q * q)) - c_) / (norm_ * q);
  }
  /// Where f falls, from a B that is not B̄: −∇f (β G + α I)⁻¹ ‖ΔW‖ ‖B Ā‖, whose fixed points are
  /// those of ∇f = 0 with its scalars held, (C + α B̄)(β G + α I)⁻¹.
  Tensor direction(const Tensor& b, const Tensor& gradient) const {
    const double q = size(b);
    const double alpha = kLambda * norm_ * q / (b - mean_).norm().item<double>();
    const double beta = std::fmax(0, sum_of_products(c_, b) / (q * q));
    const Tensor metric = g_ * beta + torch::eye(g_.size(0), g_.options()) * alpha;
    return torch::linalg_solve(metric, gradient.t()).t() * (-norm_ * q);
  }
  Tensor gradient(const Tensor& b) const {
    const Tensor away = b - mean_;
    return slope(b) + away * (kLambda / away.norm().item<double>());
  }
  /// b + t · way for the first t of 1, ½, ¼, … that lowers f enough, else `b`.
  Tensor descend(const Tensor& b, const Tensor& way, double promised) const {
    const double before = value(b);
    double step = 1;
    for (int i = 0; i < kMostHalvings; ++i, step /= 2) {
      const Tensor next = b + way * step;
      if (value(next) < before + kReached * step * promised) return next;
    }
    return b;
  }

 private:
  double size(const Tensor& b) const {
    return std::sqrt(std::fmax(0, sum_of_products(torch::matmul(b, g_), b)));
  }

  Tensor mean_, c_, g_;
  double norm_ = 0;  // ‖ΔW‖
};

/// The minimum that is reached from B̄, where the norm has a corner: B̄ itself where no direction
/// falls faster than λ.
Tensor corrected(const PairUploads& uploads) {
  const Tensor& mean = uploads.mean_b;
  const Objective objective(uploads);
  if (!objective.defined()) return mean;
  const Tensor slope = objective.slope(mean);
  const double steepest = slope.norm().item<double>();
  if (steepest <= kLambda) return mean;
  const double reach = mean.norm().item<double>();
  Tensor b = objective.descend(mean, slope * (-reach / steepest), (kLambda - steepest) * reach);
  for (int i = 0; i < kMostSteps; ++i) {
    if ((b - mean).norm().item<double>() == 0) return mean;
    const Tensor gradient = objective.gradient(b);
    const Tensor way = objective.direction(b, gradient);
    if (way.norm().item<double>() <= kSmallest * reach) break;
    const Tensor next = objective.descend(b, way, sum_of_products(gradient, way));
    if ((next - b).norm().item<double>() == 0) break;
    b = next;
  }
  return b;
}

MergedPair merged_by_fair(const PairUploads& uploads) {
  if (uploads.shares.size() == 1) return {uploads.mean_a, uploads.mean_b};
  const Tensor b = corrected(uploads);
  return {uploads.mean_a, b, drift(uploads, uploads.mean_a, b)};
}

}  // namespace

LoraRule fair_rule() {
  return {.value = LoraAverage::kFair, .merge = merged_by_fair, .loss = "drift"};
}

}  // namespace strata::fedrunner
