#pragma once
/// \file
/// How well an accuracy is known, and whether two differ: intervals at the 95 % level and p-values,
/// over repeated runs (seeds) and over test questions.

#include <cstdint>
#include <vector>

namespace strata::report {

/// An estimate between the ends of its interval; the ends are NaN where nothing bounds it.
struct Interval {
  double value = 0, low = 0, high = 0;
};

/// A difference: its interval and the two-sided p-value of there being none.
struct Difference {
  Interval interval;
  double p = 1;
};

/// P(T ≤ t) of Student's distribution with `degrees` ≥ 1 degrees of freedom, to about 1e-12.
double student_cdf(double t, double degrees);
/// The point that T exceeds with probability 0.025. Worked values: 12.706, 4.303 and 2.042 for 1,
/// 2 and 30 degrees.
double student_quantile(double degrees);

/// Wilson's interval (Wilson 1927) of a probability of which `right` of `all` ≥ 1 independent
/// trials came true. Worked value (Newcombe 1998): 15 of 148 give 0.0624 to 0.1605.
Interval wilson(std::int64_t right, std::int64_t all);

/// Student's interval of the mean of independent values; without ends for a single one. `grain` is
/// the least step by which a value can differ, such as one question's share: the standard deviation
/// is taken to be no less than that of rounding to this grain, grain/√12, as values that happen to
/// agree would otherwise leave no doubt at all.
Interval mean_interval(const std::vector<double>& values, double grain);
/// The same of paired differences of two such values, whose grains add up, with the p-value of
/// Student's test. p is 1 for less than two.
Difference paired_seeds(const std::vector<double>& differences, double grain);

/// Two answers to the same questions: `gained` were right in the first alone, `lost` in the second
/// alone, of `all` ≥ 1. The interval of the difference of their probabilities is Agresti and Min's
/// (2005), p is McNemar's exact test. Worked value (Fagerland, Lydersen & Laake 2014): 1 and 7 of
/// 21 give −0.493 to −0.029 and p = 0.070.
Difference paired_questions(std::int64_t gained, std::int64_t lost, std::int64_t all);

/// Two answers to different questions, or to questions that are not known one by one: Agresti and
/// Caffo's interval (2000) of the difference of the probabilities, and p by the same normal
/// approximation. Worked value: 10 of 10 and 0 of 10 give 0.612 to 1.054, cut at 1.
Difference unpaired_questions(std::int64_t first_right, std::int64_t first_all,
                              std::int64_t second_right, std::int64_t second_all);

}  // namespace strata::report
