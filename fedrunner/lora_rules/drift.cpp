#include "fedrunner/lora_rules/drift.h"

namespace strata::fedrunner {

using torch::Tensor;

// By way of their QRs: what cancels within the product would not within squares of norms.
double product_norm(const std::vector<Tensor>& left, const std::vector<Tensor>& right) {
  const Tensor r1 = std::get<1>(torch::linalg_qr(torch::cat(left, 1)));
  const Tensor r2 = std::get<1>(torch::linalg_qr(torch::cat(right, 0).t()));
  return torch::matmul(r1, r2.t()).norm().item<double>();
}

double drift(const PairUploads& uploads, const Tensor& a, const Tensor& b) {
  std::vector<Tensor> left, right;
  for (const auto& [own_a, own_b, share] : uploads.shares) {
    left.push_back(own_b * share);
    right.push_back(own_a);
  }
  const double whole = product_norm(left, right);
  if (whole == 0) return 0;
  left.push_back(-b);
  right.push_back(a);
  return product_norm(left, right) / whole;
}

}  // namespace strata::fedrunner
