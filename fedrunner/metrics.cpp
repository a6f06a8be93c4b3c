#include "strata/fedrunner/metrics.h"

#include <array>
#include <cmath>
#include <limits>
#include <string>

#include "core/csv.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"

namespace strata {
namespace {

constexpr const char* kHeader =
    "round,client,train_samples,test_samples,train_loss,test_loss,accuracy,open_accuracy,"
    "closed_accuracy,up_mbit,down_mbit,importance,usage_variance,seconds,peak_memory_mib";

/// The floating-point columns, from column 4 on, in the order of the header.
constexpr std::array<double RoundMetrics::*, 11> kValues = {
    &RoundMetrics::train_loss,    &RoundMetrics::test_loss,       &RoundMetrics::accuracy,
    &RoundMetrics::open_accuracy, &RoundMetrics::closed_accuracy, &RoundMetrics::up_mbit,
    &RoundMetrics::down_mbit,     &RoundMetrics::importance,      &RoundMetrics::usage_variance,
    &RoundMetrics::seconds,       &RoundMetrics::peak_memory_mib};
constexpr std::size_t kFirstValue = 4;

std::string joined(const std::vector<std::string>& fields) {
  std::string line;
  for (const auto& field : fields) line += (line.empty() ? "" : ",") + field;
  return line;
}

}  // namespace

void write_metrics(const std::vector<RoundMetrics>& rows, const std::filesystem::path& path) {
  AtomicFile file(path);
  auto& out = file.stream();
  out << kHeader << '\n';
  for (const auto& row : rows) {
    out << row.round << ',' << csv_field(row.client) << ',' << row.train_samples << ','
        << row.test_samples;
    for (const auto value : kValues) {
      out << ',';
      if (!std::isnan(row.*value)) out << format_double(row.*value);
    }
    out << '\n';
  }
  file.commit();
}

std::vector<RoundMetrics> read_metrics(const std::filesystem::path& path) {
  const auto lines = read_csv(path);
  const auto where = [&](int line) { return path.string() + ":" + std::to_string(line) + ": "; };
  if (const auto header = joined(lines.front().fields); header != kHeader) {
    throw InputError(where(lines.front().line) + "the header is \"" + header + "\", not \"" +
                     kHeader + "\"");
  }
  std::vector<RoundMetrics> rows;
  for (std::size_t i = 1; i < lines.size(); ++i) {
    const auto& fields = lines[i].fields;
    const auto integer = [&](std::size_t column) {
      std::int64_t value = 0;
      if (!parse_integer(fields[column], value) || value < 0) {
        throw InputError(where(lines[i].line) + lines.front().fields[column] + ": \"" +
                         fields[column] + "\" is not a whole number ≥ 0");
      }
      return value;
    };
    RoundMetrics row;
    row.round = static_cast<int>(integer(0));
    row.client = fields[1];
    row.train_samples = integer(2);
    row.test_samples = integer(3);
    for (std::size_t k = 0; k < kValues.size(); ++k) {
      const auto& field = fields[kFirstValue + k];
      double& value = row.*kValues[k];
      value = std::numeric_limits<double>::quiet_NaN();
      if (!field.empty() && !parse_double(field, value)) {
        throw InputError(where(lines[i].line) + lines.front().fields[kFirstValue + k] + ": \"" +
                         field + "\" is not a number");
      }
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace strata
