#pragma once
/// \file
/// What differentially private steps cost together: Rényi differential privacy, composed and
/// converted.

#include <cstdint>
#include <vector>

namespace strata {

/// Adds up the Rényi divergences of Gaussian mechanisms and of Gaussian mechanisms on samples, at
/// the orders 2 to 64, 80, 96, 128, 256, 512 and 1024, and converts the sum to (ε, δ).
///
/// Two data sets are neighbours where one has one patient more. Sources: Mironov, Talwar & Zhang,
/// arXiv 1908.10530, §3.3 for whole orders (sampled Gaussian mechanism); Canonne, Kamath & Steinke,
/// arXiv 2004.00010, proposition 12 (conversion), as Opacus and Google's dp_accounting have both.
/// \code
/// RdpAccountant accountant;
/// accountant.add_sampled(0.01, 1.1, 1000);  // 1000 steps, each of a hundredth of the patients
/// assert(accountant.epsilon(1e-5) > 1 && accountant.epsilon(1e-5) < 3);
/// accountant.add_gaussian(20, 3);  // and three releases of scores
/// \endcode
class RdpAccountant {
 public:
  RdpAccountant();

  /// `steps` releases of a sum over a sample that each patient is in with probability `rate`,
  /// whoever else is, with normal noise of `noise` times what one patient can change. O(orders²).
  /// @throws InputError unless 0 ≤ rate ≤ 1, noise > 0 and finite, steps ≥ 0
  void add_sampled(double rate, double noise, std::int64_t steps);
  /// The same of all patients, for example scores (strata/ntk/private_scores.h). @throws likewise
  void add_gaussian(double noise, std::int64_t releases);

  /// The least ε that the orders give; 0 where nothing was added. @throws InputError unless
  /// 0 < δ < 1
  double epsilon(double delta) const;

 private:
  std::vector<double> divergence_;  // by order
};

}  // namespace strata
