#pragma once
/// \file
/// What a comparison of optimizers is told by: how good a front is beside the exact one, and
/// whether one algorithm is better than another over repeated runs.

#include <vector>

#include "strata/core/planning_problem.h"

namespace strata::optimizers {

/// IGD⁺ (Ishibuchi, Masuda, Tanigaki & Nojima 2015): the mean over the points z of `exact` of the
/// least distance d⁺(z, a) from a point a of `front`. d⁺ counts only the objectives in which a is
/// worse than z: √Σ max(0, loss)². Both objectives are divided by their range over `exact` (by 1
/// where that is 0). ≥ 0; 0 when every point of `exact` is reached; less is better.
/// Worked value: exact {(0, 0), (1, 1)} as (importance, usage variance) and the single point (0, 0)
/// give (0 + 1) / 2. O(|front| · |exact|).
/// @throws InputError if one of them is empty.
double igd_plus(const std::vector<Objectives>& front, const std::vector<Objectives>& exact);

/// Deb's spread Δ (Deb, Pratap, Agarwal & Meyarivan 2002): how unevenly a front of two objectives
/// is spaced and how far its ends are from the ends of `exact`:
/// (e₁ + e₂ + Σ |dᵢ − d̄|) / (e₁ + e₂ + (n − 1) d̄), with dᵢ the distances between neighbours and
/// e₁, e₂ those between the ends, objectives scaled as for igd_plus. 0 is even and complete; 1 is
/// what a single point has that is not both ends. It says nothing about the distance from `exact`
/// between the ends, and the exact front itself is seldom evenly spaced. `front` must hold no
/// dominated point. O(n log n). @throws InputError if one of them is empty.
double spread(const std::vector<Objectives>& front, const std::vector<Objectives>& exact);

/// \code
/// const Quartiles q = quartiles({1, 2, 3, 4, 5});
/// assert(q.lower == 2 && q.median == 3 && q.upper == 4);
/// assert(vargha_delaney({3, 4}, {1, 2}) == 1);
/// \endcode
struct Quartiles {
  double lower = 0, median = 0, upper = 0;
};

/// Linear interpolation between order statistics (type 7 of Hyndman & Fan 1996). Values may be
/// +infinity (never reached); a quartile between a number and infinity is infinite. O(n log n).
/// @throws InputError for no value or NaN.
Quartiles quartiles(std::vector<double> values);

struct SignedRankTest {
  int pairs = 0;            ///< that differ
  double positive_sum = 0;  ///< of the ranks of the pairs with first > second
  double p = 1;             ///< two-sided; 1 when no pair differs
};

/// Wilcoxon's signed-rank test (Wilcoxon 1945) of paired samples. Pairs that differ by at most
/// `tolerance` are dropped; equal absolute differences share their mean rank. Up to 50 differing
/// pairs p is exact: twice the smaller tail of the permutation distribution of these very ranks,
/// ties included. Above, the normal approximation with correction for ties and continuity
/// (Hollander & Wolfe 1999, section 3.1). Worked value: Darwin's fifteen plants have p = 0.0413.
/// O(n log n) above 50 pairs, O(n³) up to there.
/// @throws InputError for samples of unequal lengths or a NaN.
SignedRankTest wilcoxon_signed_rank(const std::vector<double>& first,
                                    const std::vector<double>& second, double tolerance = 0);

/// Holm's adjusted p-values (Holm 1979), in the given order: comparing each with a level α keeps
/// the probability of any false rejection among all of them below α. Worked value: {0.01, 0.04,
/// 0.03, 0.005} become {0.03, 0.06, 0.06, 0.02}. O(n log n).
std::vector<double> holm(const std::vector<double>& p);

struct FriedmanTest {
  int blocks = 0;
  std::vector<double> mean_ranks;  ///< of each treatment; 1 is best, ties share their mean rank
  double statistic = 0;            ///< chi-squared, corrected for ties
  double p = 1;                    ///< of all treatments being alike; 1 where every block is a tie

  /// Two-sided p-values of every treatment against `control` by the normal approximation of the
  /// difference of mean ranks (Demšar 2006), not adjusted; NaN for the control itself.
  std::vector<double> against(std::size_t control) const;
};

/// Friedman's test (Friedman 1937) of treatments over blocks: `blocks[b][t]` is what treatment t
/// reached in block b, greater is better. Blocks must be independent (instances, not seeds on one).
/// Worked value: Demšar's four classifiers on 14 data sets have mean ranks 3.143, 2, 2.893, 1.964
/// and, without the correction for ties, a statistic of 9.28. O(blocks · treatments log
/// treatments).
/// @throws InputError for no block, less than two treatments, blocks of unequal lengths, NaN.
FriedmanTest friedman(const std::vector<std::vector<double>>& blocks);

/// Vargha and Delaney's A (2000): the probability that a value of `first` is greater than one of
/// `second`, ties counted half. 0.5: no tendency; 0.56, 0.64 and 0.71 are called small, medium and
/// large. O((m + n) log(m + n)). @throws InputError if one of them is empty or has a NaN.
double vargha_delaney(const std::vector<double>& first, const std::vector<double>& second);

}  // namespace strata::optimizers
