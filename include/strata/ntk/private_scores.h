#pragma once
/// \file
/// Differentially private scores: rows clipped and noised before they leave a client.
/// docs/private_scores.md has the assumptions, the proofs and what it does to plans.

#include <Eigen/Core>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "strata/core/score_table.h"

namespace strata::ntk {

/// The Gaussian mechanism adds N(0, σ²) to every entry of a vector of L2 sensitivity Δ. The three
/// functions below are exact for it (Balle & Wang, ICML 2018, the analytic Gaussian mechanism); its
/// privacy depends on σ/Δ alone, the *noise multiplier*. k releases with σ each, also where a later
/// one depends on what the earlier ones gave, are together as private as one with σ/√k (Dong, Roth
/// & Su, JRSS B 2022).

/// The least δ for which it is (ε, δ)-differentially private:
/// δ = Φ(μ/2 − ε/μ) − e^ε Φ(−μ/2 − ε/μ), μ = Δ/σ = 1/multiplier. Decreasing in both arguments; 0
/// where it is below the least double. Without overflow for any ε.
/// @throws InputError unless ε ≥ 0 and multiplier > 0, both finite.
double gaussian_delta(double epsilon, double multiplier);

/// The least noise multiplier that is (ε, δ)-differentially private, by bisection to the last bits.
/// Worked value: ε = 1, δ = 1e-5 give 3.7306, where the classical √(2 ln(1.25/δ))/ε gives 4.8448.
/// @throws InputError unless ε > 0 and finite, 0 < δ < 1.
double gaussian_multiplier(double epsilon, double delta);

/// The least ε ≥ 0 at this δ; the inverse of gaussian_multiplier.
/// @throws InputError unless multiplier > 0 and finite, 0 < δ < 1.
double gaussian_epsilon(double multiplier, double delta);

/// Scales every row whose L2 norm is above `clip` down to that norm.
/// @throws InputError unless clip > 0 and finite.
void clip_rows(Eigen::MatrixXd& rows, double clip);

/// How far apart two score rows can be at most, in the L2 norm, each divided by its sum and then
/// clipped: √2 · min(clip, 1), because entries are ≥ 0. Attained with two units or more.
/// @throws InputError unless clip > 0 and finite.
double row_sensitivity(double clip);

struct PrivacyOptions {
  /// C, the greatest L2 norm of a row before noise. By default 1/√units, the least norm that a row
  /// summing to 1 can have: a smaller C gives the same distribution of results, a larger one more
  /// noise and no more privacy.
  std::optional<double> clip = {};
  double epsilon = 1;   ///< of all releases together
  double delta = 1e-5;  ///< of all releases together
  /// How many noised rows each client will publish in all: rounds, and tables of different metrics.
  int releases = 1;
  int release = 1;  ///< which of them this is, from 1; each has noise of its own
  /// Whoever knows the seed can subtract the noise: a known seed is no privacy. Draw it from the
  /// system's random device, keep it nowhere, and set it only to repeat an experiment on scores
  /// that are no secret.
  std::uint64_t seed = 1;
};

struct PrivateScores {
  /// The metric, fingerprint and names of the input, `scores` noised, and neither `raw` nor
  /// `samples`.
  ScoreTable table;
  double clip = 0;
  double sensitivity = 0;      ///< Δ
  double sigma = 0;            ///< of the noise of each entry
  double epsilon = 0;          ///< of all releases together, at `delta`
  double delta = 0;            ///< the same for one release and for all
  double release_epsilon = 0;  ///< of one release alone, at `delta`
  /// Clients whose noised row had no positive entry, so that it became uniform.
  std::vector<std::string> uniform;
};

/// Divides every row by its sum, clips it to the norm C, adds N(0, σ²) to every entry, sets
/// negative entries to 0 and divides by the sum again; a row without a positive entry becomes
/// uniform. What follows the noise depends on nothing but the noised row and so costs no privacy.
///
/// Guarantee, for each client: let two data sets of that client differ in any way. The rows that it
/// publishes, `options.releases` of them, are (ε, δ)-indistinguishable. It holds towards everybody
/// where clients run this themselves (local model), and towards those who see only the table and
/// plans made of it where a trusted server does (central model); the noise is the same. It covers
/// scores alone, not the weights that a client trains and sends. It is exact for real
/// numbers and ideal noise: floating-point normal numbers (Mironov, CCS 2012) and a generator of
/// 64-bit seeds that is no cryptographic one are attackable in principle.
///
/// The noise of a client is that of Random, from `seed`, "private scores " + its name, and
/// `release`. O(clients · units). @throws InputError for an invalid table or an option outside its
/// range.
/// \code
/// ScoreTable table;
/// table.clients = {"ct"};
/// table.units = {"block.0", "head"};
/// table.scores = Eigen::MatrixXd{{3, 1}};
/// const PrivateScores published = privatise_scores(table, {.epsilon = 8, .seed = 1});
/// assert(published.table.scores.row(0).sum() == 1);
/// assert(std::abs(gaussian_multiplier(1, 1e-5) - 3.7306) < 1e-4);
/// \endcode
PrivateScores privatise_scores(const ScoreTable& table, const PrivacyOptions& options);

}  // namespace strata::ntk
