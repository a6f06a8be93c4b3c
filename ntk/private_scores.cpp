#include "strata/ntk/private_scores.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/csv.h"
#include "strata/core/error.h"
#include "strata/core/random.h"

namespace strata::ntk {
namespace {

void check_positive(const char* name, double value) {
  if (!(value > 0) || !std::isfinite(value)) {
    throw InputError(std::string(name) + ": found " + format_double(value) +
                     ", a finite number greater than 0 is needed");
  }
}

void check_delta(double delta) {
  if (!(delta > 0 && delta < 1)) {
    throw InputError("delta: found " + format_double(delta) +
                     ", a number between 0 and 1 (both excluded) is needed");
  }
}

/// e^(x²) erfc(x) for x ≥ 0, without the underflow of erfc.
double scaled_erfc(double x) {
  if (x < 10) return std::exp(x * x) * std::erfc(x);
  // The asymptotic series 1 − 1/(2x²) + 1·3/(2x²)² − …; at x ≥ 10 its terms fall below a double's
  // precision long before they would grow again.
  double term = 1, sum = 1;
  for (int n = 1; std::abs(term) > 1e-17; ++n) {
    term *= -(2 * n - 1) / (2 * x * x);
    sum += term;
  }
  return sum / (x * std::sqrt(std::numbers::pi));
}

/// The least positive x with holds(x), to the last bits; `holds` is false below it and true above,
/// and x itself holds.
template <typename Holds>
double least_positive(Holds holds) {
  double high = 1;
  while (!holds(high)) high *= 2;
  double low = high / 2;
  while (holds(low)) {
    high = low;
    low /= 2;
  }
  while (true) {
    const double middle = low + (high - low) / 2;
    if (middle <= low || middle >= high) return high;
    (holds(middle) ? high : low) = middle;
  }
}

}  // namespace

double gaussian_delta(double epsilon, double multiplier) {
  if (!(epsilon >= 0) || !std::isfinite(epsilon)) {
    throw InputError("epsilon: found " + format_double(epsilon) +
                     ", a finite number of at least 0 is needed");
  }
  check_positive("noise multiplier", multiplier);
  // With x = −(μ/2 − ε/μ)/√2 and y = (μ/2 + ε/μ)/√2 the two terms are erfc(x)/2 and e^ε erfc(y)/2,
  // and y² − ε = x². So both have the factor e^(−x²), and e^ε, which overflows, never appears.
  const double x = (epsilon * multiplier - 0.5 / multiplier) / std::numbers::sqrt2;
  const double y = (epsilon * multiplier + 0.5 / multiplier) / std::numbers::sqrt2;
  const double factor = 0.5 * std::exp(-x * x);
  const double delta = x < 0 ? 0.5 * std::erfc(x) - factor * scaled_erfc(y)
                             : factor * (scaled_erfc(x) - scaled_erfc(y));
  return std::clamp(delta, 0.0, 1.0);
}

double gaussian_multiplier(double epsilon, double delta) {
  check_positive("epsilon", epsilon);
  check_delta(delta);
  return least_positive(
      [&](double multiplier) { return gaussian_delta(epsilon, multiplier) <= delta; });
}

double gaussian_epsilon(double multiplier, double delta) {
  check_delta(delta);
  if (gaussian_delta(0, multiplier) <= delta) return 0;
  return least_positive(
      [&](double epsilon) { return gaussian_delta(epsilon, multiplier) <= delta; });
}

void clip_rows(Eigen::MatrixXd& rows, double clip) {
  check_positive("clip", clip);
  for (Eigen::Index i = 0; i < rows.rows(); ++i) {
    const double norm = rows.row(i).norm();
    if (norm > clip) rows.row(i) *= clip / norm;
  }
}

double row_sensitivity(double clip) {
  check_positive("clip", clip);
  return std::numbers::sqrt2 * std::min(clip, 1.0);
}

PrivateScores privatise_scores(const ScoreTable& table, const PrivacyOptions& options) {
  table.validate("scores");
  if (options.releases < 1) {
    throw InputError("releases: found " + std::to_string(options.releases) +
                     ", at least 1 is needed");
  }
  if (options.release < 1 || options.release > options.releases) {
    throw InputError("release: found " + std::to_string(options.release) + ", 1 to " +
                     std::to_string(options.releases) + " is allowed");
  }
  PrivateScores result;
  result.clip = options.clip.value_or(1 / std::sqrt(static_cast<double>(table.unit_count())));
  result.sensitivity = row_sensitivity(result.clip);
  result.epsilon = options.epsilon;
  result.delta = options.delta;
  const double multiplier = gaussian_multiplier(options.epsilon, options.delta) *
                            std::sqrt(static_cast<double>(options.releases));
  result.sigma = multiplier * result.sensitivity;
  result.release_epsilon = gaussian_epsilon(multiplier, options.delta);

  result.table.metric = table.metric;
  result.table.model_fingerprint = table.model_fingerprint;
  result.table.clients = table.clients;
  result.table.units = table.units;
  result.table.roles = table.roles;
  Eigen::MatrixXd& rows = result.table.scores;
  rows = table.scores;
  normalise_rows(rows);
  clip_rows(rows, result.clip);
  for (int client = 0; client < table.client_count(); ++client) {
    Random random(derive_seed(derive_seed(options.seed, "private scores " + table.clients[client]),
                              {static_cast<std::uint64_t>(options.release)}));
    for (int unit = 0; unit < table.unit_count(); ++unit) {
      rows(client, unit) = std::max(0.0, rows(client, unit) + result.sigma * random.normal());
    }
    if (rows.row(client).maxCoeff() <= 0) result.uniform.push_back(table.clients[client]);
  }
  normalise_rows(rows);
  return result;
}

}  // namespace strata::ntk
