#include "report/intervals.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace strata::report {
namespace {

constexpr double kNormal = 1.959963984540054;
constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

double normal_two_sided(double z) {
  return std::erfc(std::abs(z) / std::sqrt(2.0));
}

/// The continued fraction of the incomplete beta function (Abramowitz & Stegun 26.5.8), from front
/// to back by Lentz's method.
double beta_fraction(double a, double b, double x) {
  constexpr double kTiny = 1e-300;
  const auto nonzero = [](double value) { return std::abs(value) < kTiny ? kTiny : value; };
  double c = 1, d = 1 / nonzero(1 - (a + b) * x / (a + 1)), fraction = d;
  for (int m = 1; m <= 1000; ++m) {
    const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
    const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
    double step = 1;
    for (const double term : {even, odd}) {
      d = 1 / nonzero(1 + term * d);
      c = nonzero(1 + term / c);
      step = d * c;
      fraction *= step;
    }
    if (std::abs(step - 1) < 1e-15) break;
  }
  return fraction;
}

/// The regularised incomplete beta function.
double beta(double a, double b, double x) {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  const double factor = std::exp(std::lgamma(a + b) - std::lgamma(a) - std::lgamma(b) +
                                 a * std::log(x) + b * std::log1p(-x));
  if (x < (a + 1) / (a + b + 2)) return factor * beta_fraction(a, b, x) / a;
  return 1 - factor * beta_fraction(b, a, 1 - x) / b;
}

struct Moments {
  double mean = 0, error = kNone;  ///< and the standard error of the mean
};

Moments moments(const std::vector<double>& values, double grain) {
  const auto n = static_cast<double>(values.size());
  Moments m;
  for (const double value : values) m.mean += value / n;
  if (values.size() < 2) return m;
  double variance = 0;
  for (const double value : values) variance += (value - m.mean) * (value - m.mean) / (n - 1);
  m.error = std::sqrt(std::max(variance, grain * grain / 12) / n);
  return m;
}

Interval around(double value, double half, double low, double high) {
  return {value, std::max(low, value - half), std::min(high, value + half)};
}

/// Both tails of a fair coin that fell `few` or less times of `all` on one side.
double exact_sign_p(std::int64_t few, std::int64_t all) {
  double tail = 0;
  for (std::int64_t k = 0; k <= few; ++k) {
    tail += std::exp(
        std::lgamma(static_cast<double>(all + 1)) - std::lgamma(static_cast<double>(k + 1)) -
        std::lgamma(static_cast<double>(all - k + 1)) - static_cast<double>(all) * std::log(2.0));
  }
  return std::min(1.0, 2 * tail);
}

}  // namespace

double student_cdf(double t, double degrees) {
  const double tail = 0.5 * beta(degrees / 2, 0.5, degrees / (degrees + t * t));
  return t > 0 ? 1 - tail : tail;
}

double student_quantile(double degrees) {
  double low = 0, high = 1000;
  for (int step = 0; step < 200 && high - low > 1e-13 * high; ++step) {
    const double middle = (low + high) / 2;
    (student_cdf(-middle, degrees) > 0.025 ? low : high) = middle;
  }
  return high;
}

Interval wilson(std::int64_t right, std::int64_t all) {
  const auto n = static_cast<double>(all);
  const double share = static_cast<double>(right) / n, z = kNormal, weight = 1 + z * z / n;
  const double centre = (share + z * z / (2 * n)) / weight;
  const double half = z / weight * std::sqrt(share * (1 - share) / n + z * z / (4 * n * n));
  return {share, std::max(0.0, centre - half), std::min(1.0, centre + half)};
}

Interval mean_interval(const std::vector<double>& values, double grain) {
  const Moments m = moments(values, grain);
  if (std::isnan(m.error)) return {m.mean, kNone, kNone};
  const double half = student_quantile(static_cast<double>(values.size()) - 1) * m.error;
  return {m.mean, m.mean - half, m.mean + half};
}

Difference paired_seeds(const std::vector<double>& differences, double grain) {
  const double both = std::sqrt(2.0) * grain;
  Difference result{mean_interval(differences, both), 1};
  const Moments m = moments(differences, both);
  if (!std::isnan(m.error) && m.error > 0) {
    const double degrees = static_cast<double>(differences.size()) - 1;
    result.p = 2 * student_cdf(-std::abs(m.mean) / m.error, degrees);
  }
  return result;
}

Difference paired_questions(std::int64_t gained, std::int64_t lost, std::int64_t all) {
  const double n = static_cast<double>(all) + 2, g = static_cast<double>(gained) + 0.5,
               l = static_cast<double>(lost) + 0.5, centre = (g - l) / n;
  const double half = kNormal * std::sqrt((g + l) - (g - l) * (g - l) / n) / n;
  Interval interval = around(centre, half, -1, 1);
  interval.value = static_cast<double>(gained - lost) / static_cast<double>(all);
  return {interval, exact_sign_p(std::min(gained, lost), gained + lost)};
}

Difference unpaired_questions(std::int64_t first_right, std::int64_t first_all,
                              std::int64_t second_right, std::int64_t second_all) {
  const auto adjusted = [](std::int64_t right, std::int64_t all) {
    return (static_cast<double>(right) + 1) / (static_cast<double>(all) + 2);
  };
  const double p = adjusted(first_right, first_all), q = adjusted(second_right, second_all);
  const double error = std::sqrt(p * (1 - p) / (static_cast<double>(first_all) + 2) +
                                 q * (1 - q) / (static_cast<double>(second_all) + 2));
  Interval interval = around(p - q, kNormal * error, -1, 1);
  interval.value = static_cast<double>(first_right) / static_cast<double>(first_all) -
                   static_cast<double>(second_right) / static_cast<double>(second_all);
  return {interval, normal_two_sided((p - q) / error)};
}

}  // namespace strata::report
