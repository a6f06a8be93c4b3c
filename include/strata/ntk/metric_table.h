#pragma once
/// \file
/// Several importance metrics side by side, metric × client × unit, and how far they agree.

#include <filesystem>
#include <string>
#include <vector>

namespace strata::ntk {

/// The status of a value to rely on.
inline constexpr const char* kOkStatus = "ok";

/// One metric's value for one unit of one client.
struct MetricValue {
  double value = 0;     ///< finite; negative for signed metrics
  double residual = 0;  ///< of an iteration, finite and ≥ 0; 0 where nothing is iterated
  std::string status = kOkStatus;  ///< not empty; any other says why not to rely on the value
};

/// Invariants (checked by `validate`): metric, client and unit names are non-empty and unique,
/// there is at least one of each, and there is a value for every combination.
/// \code
/// MetricTable table{{"lntk", "magnitude"}, {"ct"}, {"block.0", "block.1", "head"}, {}};
/// table.allocate();
/// for (int unit = 0; unit < 3; ++unit) {
///   table.at(0, 0, unit).value = unit;
///   table.at(1, 0, unit).value = -unit;
/// }
/// write_metric_table(table, "metrics.csv");
/// assert(rank_agreement(read_metric_table("metrics.csv")).front().mean == -1);
/// \endcode
struct MetricTable {
  std::vector<std::string> metrics;
  std::vector<std::string> clients;
  std::vector<std::string> units;
  std::vector<MetricValue> values;  ///< by metric, then by client, then by unit

  int metric_count() const { return static_cast<int>(metrics.size()); }
  int client_count() const { return static_cast<int>(clients.size()); }
  int unit_count() const { return static_cast<int>(units.size()); }

  /// Gives `values` the size that the names ask for, all of them MetricValue{}.
  void allocate();
  /// By indices; `values` must have its size.
  MetricValue& at(int metric, int client, int unit);
  const MetricValue& at(int metric, int client, int unit) const;

  /// @throws InputError naming `source`, the metric, client and unit, and what was found.
  void validate(const std::string& source) const;
};

/// Reads CSV with the header `metric,client,unit,value,residual,status`, one row a value, rows in
/// any order; names are ordered as they first appear. @throws InputError with file and line:
/// unreadable, another header, a value or residual that is no number, NaN or infinite, a negative
/// residual, an empty name or status, two rows for one combination, or none.
MetricTable read_metric_table(const std::filesystem::path& path);

/// Writes that CSV in the order of `values`, quoting fields as RFC 4180 does; numbers are the
/// shortest text that reads back as the same bits. Whole or not at all.
/// @throws InputError as `validate`; WorkError
void write_metric_table(const MetricTable& table, const std::filesystem::path& path);

/// Spearman's rank correlation: Pearson's correlation of the ranks, equal values sharing their mean
/// rank. In [−1, 1]; exactly ±1 for strictly monotone relations. Where x or y is constant the
/// coefficient is 0/0; the result is then 0, because constants order nothing.
/// Worked value: (1, 2, 3, 4, 5) and (5, 6, 7, 8, 7) give 8/√95 = 0.8208. O(n log n).
/// @throws InputError for no values, different sizes, or a value that is not finite.
double spearman(const std::vector<double>& x, const std::vector<double>& y);

/// How far two metrics rank units alike: Spearman's correlation over units, over the clients.
struct RankAgreement {
  std::string first, second;  ///< metrics, in the table's order
  double mean = 0, least = 0, greatest = 0;
  /// Clients for whom one of the metrics is the same for all units; they count as 0 in the above.
  int constant = 0;
};

/// For every pair of metrics, in the table's order. Values count whatever their status is.
/// O(metrics · clients · units · (log units + metrics)). @throws InputError as `validate`.
std::vector<RankAgreement> rank_agreement(const MetricTable& table);

/// A text table of it with two decimals, one line a pair.
std::string rank_agreement_text(const std::vector<RankAgreement>& agreements);

}  // namespace strata::ntk
