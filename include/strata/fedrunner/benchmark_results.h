#pragma once
/// \file
/// What a benchmark reached, and the benchmark.json and benchmark.csv that hold it.

#include <cstdint>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

namespace strata::fedrunner {

/// One seed of a cell. Scores are of all clients' test examples together, NaN where there are none.
struct BenchmarkRun {
  std::uint64_t seed = 0;
  double score = std::numeric_limits<double>::quiet_NaN();  ///< after the last round
  double start = std::numeric_limits<double>::quiet_NaN();  ///< of the foundation
  double up_mbit = 0, down_mbit = 0;  ///< 10⁶ bits a round, over all clients
  double seconds = 0;                 ///< of local training; measured
};

/// One backbone with one method and one share of the training data.
struct BenchmarkCell {
  std::string backbone, method;
  double fraction = 1;
  std::string folder;                   ///< of its runs, under the benchmark's
  std::string fingerprint;              ///< SHA-256 of its configuration, but for the seeds
  std::int64_t trained_parameters = 0;  ///< of the units that its rounds may train
  double learning_rate = 0;
  std::vector<BenchmarkRun> runs = {};  ///< none where there is a failure
  std::string failure = {};             ///< why there is no result, or ""
};

struct BenchmarkResults {
  std::string name, score;                      ///< score: the metric
  bool synthetic = false;                       ///< the data was made by `strata data make`
  std::vector<std::string> backbones, methods;  ///< in the order of the tables
  std::vector<double> fractions = {};
  std::vector<BenchmarkCell> cells = {};  ///< those that are done, by backbone, method and fraction

  const BenchmarkCell* find(const std::string& backbone, const std::string& method,
                            double fraction) const;
};

/// @throws WorkError / InputError naming file and key
void write_benchmark(const BenchmarkResults& results, const std::filesystem::path& folder);
BenchmarkResults read_benchmark(const std::filesystem::path& folder);
bool holds_benchmark(const std::filesystem::path& folder);

/// A method on a backbone, over its seeds.
/// \code
/// BenchmarkResults results{"tiny", "accuracy", true, {"vit"}, {"full", "head"}, {1.0}, {}};
/// BenchmarkCell cell{"vit", "full", 1};
/// cell.runs = {{1, 0.5}, {2, 0.75}};
/// results.cells = {cell};
/// cell.method = "head";
/// cell.runs = {{1, 0.25}, {2, 0.5}};
/// results.cells.push_back(cell);
/// const std::vector<BenchmarkRow> rows = benchmark_rows(results);
/// assert(rows[0].means[0] == 0.625 && rows[0].rank == 1 && rows[1].rank == 2);
/// \endcode
struct BenchmarkRow {
  std::string backbone, method;
  std::vector<double> means = {},
                      deviations = {};      ///< of the score, by fraction; NaN: no result, one seed
  std::vector<double> learning_rates = {};  ///< by fraction; NaN: no result
  double mean = 0;                          ///< of the means; NaN where one is
  /// Mean over the fractions of the place among the backbone's methods, 1 the best; equals share
  /// the mean of their places, and who failed is last. NaN while a cell of the row is missing.
  double rank = 0;
  std::int64_t trained_parameters = 0;
  double up_mbit = 0;  ///< a round, of the first fraction, mean over the seeds
};
std::vector<BenchmarkRow> benchmark_rows(const BenchmarkResults& results);

/// "10 %", "0.5 %".
std::string fraction_name(double fraction);
/// The rows as text: backbone, method, a column a fraction, mean, rank, trained parameters and
/// MBit; scores in percent with their standard deviation over the seeds.
std::vector<std::string> benchmark_header(const BenchmarkResults& results);
std::vector<std::vector<std::string>> benchmark_text(const BenchmarkResults& results);
/// Both as they are printed.
std::string benchmark_table(const BenchmarkResults& results);

}  // namespace strata::fedrunner
