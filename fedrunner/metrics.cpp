#include "strata/fedrunner/metrics.h"

#include <array>
#include <cmath>
#include <limits>
#include <string>

#include "core/csv.h"
#include "core/text.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"

namespace strata::fedrunner {
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
constexpr const char* kQuestionHeader = "round,client,question,correct,majority_correct";

/// A CSV file with a fixed header, and its fields with the place of an error.
class Rows {
 public:
  Rows(const std::filesystem::path& path, const std::string& header)
      : path_(path), lines_(read_csv(path)) {
    if (const auto found = joined(lines_.front().fields, ","); found != header)
      fail(0, "the header is \"" + found + "\", not \"" + header + "\"");
  }
  std::size_t count() const { return lines_.size() - 1; }
  /// Rows count from 1.
  const std::string& text(std::size_t row, std::size_t column) const {
    return lines_[row].fields[column];
  }
  std::int64_t integer(std::size_t row, std::size_t column) const {
    std::int64_t value = 0;
    if (!parse_integer(text(row, column), value) || value < 0)
      refuse(row, column, "is not a whole number ≥ 0");
    return value;
  }
  [[noreturn]] void refuse(std::size_t row, std::size_t column, const std::string& why) const {
    fail(row, text(0, column) + ": \"" + text(row, column) + "\" " + why);
  }

 private:
  [[noreturn]] void fail(std::size_t row, const std::string& message) const {
    throw InputError(path_.string() + ":" + std::to_string(lines_[row].line) + ": " + message);
  }
  std::filesystem::path path_;
  std::vector<CsvRow> lines_;
};

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
  const Rows file(path, kHeader);
  std::vector<RoundMetrics> rows;
  for (std::size_t i = 1; i <= file.count(); ++i) {
    RoundMetrics row;
    row.round = static_cast<int>(file.integer(i, 0));
    row.client = file.text(i, 1);
    row.train_samples = file.integer(i, 2);
    row.test_samples = file.integer(i, 3);
    for (std::size_t k = 0; k < kValues.size(); ++k) {
      const auto& field = file.text(i, kFirstValue + k);
      double& value = row.*kValues[k];
      value = std::numeric_limits<double>::quiet_NaN();
      if (!field.empty() && !parse_double(field, value))
        file.refuse(i, kFirstValue + k, "is not a number");
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

void write_questions(const std::vector<QuestionResult>& rows, const std::filesystem::path& path) {
  AtomicFile file(path);
  auto& out = file.stream();
  out << kQuestionHeader << '\n';
  for (const auto& row : rows) {
    out << row.round << ',' << csv_field(row.client) << ',' << row.question << ',' << row.correct
        << ',' << row.majority_correct << '\n';
  }
  file.commit();
}

std::vector<QuestionResult> read_questions(const std::filesystem::path& path) {
  const Rows file(path, kQuestionHeader);
  const auto flag = [&](std::size_t row, std::size_t column) {
    const auto& field = file.text(row, column);
    if (field != "0" && field != "1") file.refuse(row, column, "is not 0 or 1");
    return field == "1";
  };
  std::vector<QuestionResult> rows;
  for (std::size_t i = 1; i <= file.count(); ++i) {
    rows.push_back({static_cast<int>(file.integer(i, 0)), file.text(i, 1), file.integer(i, 2),
                    flag(i, 3), flag(i, 4)});
  }
  return rows;
}

}  // namespace strata::fedrunner
