#pragma once
/// \file
/// Importance scores: clients × units. What leaves a client, and all that the planner sees.

#include <Eigen/Core>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace strata {

/// Importance of every unit for every client.
/// Invariants (checked by `validate`): client and unit names are non-empty and unique; `scores` is
/// clients × units, finite and ≥ 0. `raw` is either empty or of the same shape.
struct ScoreTable {
  std::string metric;             ///< e.g. "lntk"; empty when the table came from a CSV file
  std::string model_fingerprint;  ///< SHA-256 of the model's weights, or empty
  std::int64_t samples = 0;       ///< samples a client scored on; 0 = unknown
  std::vector<std::string> clients;
  std::vector<std::string> units;
  Eigen::MatrixXd scores;  ///< S, clients × units; rows sum to 1 once normalised
  Eigen::MatrixXd raw;     ///< before normalisation, e.g. λ₁(Θᵢˡ); may be empty

  int client_count() const { return static_cast<int>(clients.size()); }
  int unit_count() const { return static_cast<int>(units.size()); }

  /// @throws InputError naming `source`, the client and unit, and the value found.
  void validate(const std::string& source) const;
};

/// Divides every row by its sum: S[i,l] = λ[i,l] / Σₖ λ[i,k] (F3OCUS, arXiv 2411.11912,
/// client-level importance). A row of zeros becomes uniform, 1 / units.
void normalise_rows(Eigen::MatrixXd& scores);

/// Reads `scores.json` or, by its extension, `scores.csv` (header `client,<unit>,…`), or all such
/// files of a folder, where clients have left a file each: their rows follow each other in the
/// order of the files' names, and metric, fingerprint and units must be the same. Values are used
/// as given. @throws InputError with file and line or key: unreadable, wrong version, unknown key,
/// a row of the wrong length, a value that is no number, NaN, infinite or negative, a duplicate
/// client or unit.
ScoreTable read_scores(const std::filesystem::path& path);

/// Writes JSON or, by extension `.csv`, CSV; numbers are written as decimals that read
/// back as the same bits. Whole or not at all. @throws WorkError
void write_scores(const ScoreTable& table, const std::filesystem::path& path);

/// SHA-256 (hex) over names and the bits of `scores`: the identity that plan.json carries.
std::string digest(const ScoreTable& table);

}  // namespace strata
