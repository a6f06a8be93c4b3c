#pragma once
/// \file
/// Importance scores: clients × units. What leaves a client, and all that the planner sees.

#include <Eigen/Core>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "strata/core/unit.h"

namespace strata {

/// Importance of every unit for every client.
/// Invariants (checked by `validate`): client and unit names are non-empty and unique; `scores` is
/// clients × units, finite and ≥ 0. `raw` is either empty or of the same shape, `roles` either
/// empty or as long as `units`.
/// \code
/// write_file("scores.csv", "client,block.0,head\nct,3,1\n");
/// ScoreTable table = read_scores("scores.csv");
/// normalise_rows(table.scores);
/// assert(table.scores(0, 1) == 0.25);
/// write_scores(table, "scores.json");
/// assert(digest(read_scores("scores.json")) == digest(table));
/// \endcode
struct ScoreTable {
  std::string metric;             ///< e.g. "lntk"; empty when the table came from a CSV file
  std::string model_fingerprint;  ///< SHA-256 of the model's weights, or empty
  std::int64_t samples = 0;       ///< samples a client scored on; 0 = unknown
  std::vector<std::string> clients;
  std::vector<std::string> units;
  std::vector<Role> roles;  ///< of the units; empty: not known, as in a CSV file
  Eigen::MatrixXd scores;   ///< S, clients × units; rows sum to 1 once normalised
  Eigen::MatrixXd raw;      ///< before normalisation, e.g. λ₁(Θᵢˡ); may be empty

  int client_count() const { return static_cast<int>(clients.size()); }
  int unit_count() const { return static_cast<int>(units.size()); }

  /// @throws InputError naming `source`, the client and unit, and the value found.
  void validate(const std::string& source) const;
};

/// Divides every row by its sum: S[i,l] = λ[i,l] / Σₖ λ[i,k] (F3OCUS, arXiv 2411.11912,
/// client-level importance). A row of zeros becomes uniform, 1 / units.
void normalise_rows(Eigen::MatrixXd& scores);

/// Reads scores.json, or a table, or all such files of a folder, where clients have left a file
/// each: their rows follow each other in the order of the files' names, and metric, fingerprint and
/// units must be the same. "-" is standard input. Files may be gzipped. By its name a file is JSON
/// (.json) or a table (.csv, .tsv), otherwise by how it begins. Values are used as given.
///
/// A table has commas, tabs or semicolons between its fields, and is
/// - wide: `client,<unit>,…`, one row a client, where the first field of the header may also be
/// empty
///   (as pandas writes an index without a name);
/// - or long: the columns client, unit and value (or score) in any order, one row a value; a column
///   metric says what is measured, others are passed over.
/// Of several metrics `metric` takes one.
/// @throws InputError with file and line or key: unreadable, wrong version, unknown key, a row of
/// the wrong length, a value that is no number, NaN, infinite or negative, a duplicate client or
/// unit, a long table with a value missing or twice, `metric` where there is another or none of
/// that name, several metrics and none chosen.
ScoreTable read_scores(const std::filesystem::path& path, const std::string& metric = "");

/// Writes JSON or, by extension `.csv`, CSV; numbers are written as decimals that read
/// back as the same bits. Whole or not at all. @throws WorkError
void write_scores(const ScoreTable& table, const std::filesystem::path& path);

/// SHA-256 (hex) over names and the bits of `scores`: the identity that plan.json carries.
std::string digest(const ScoreTable& table);

}  // namespace strata
