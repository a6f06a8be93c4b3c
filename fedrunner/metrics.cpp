#include "strata/fedrunner/metrics.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>
#include <string>

#include "core/csv.h"
#include "core/text.h"
#include "fedrunner/csv_table.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"

namespace strata::fedrunner {
namespace {

using Column = double RoundMetrics::*;

/// The floating-point columns before the task's metrics, and those after them.
constexpr std::array<Column, 2> kBefore = {&RoundMetrics::train_loss, &RoundMetrics::test_loss};
constexpr std::array<Column, 6> kAfter = {
    &RoundMetrics::up_mbit,        &RoundMetrics::down_mbit, &RoundMetrics::importance,
    &RoundMetrics::usage_variance, &RoundMetrics::seconds,   &RoundMetrics::peak_memory_mib};
const std::vector<std::string> kHead = {"round",        "client",     "train_samples",
                                        "test_samples", "train_loss", "test_loss"};
const std::vector<std::string> kTail = {"up_mbit",        "down_mbit", "importance",
                                        "usage_variance", "seconds",   "peak_memory_mib"};
constexpr std::size_t kFirstValue = 4;  // of kBefore
constexpr const char* kQuestionHeader = "round,client,question,correct,majority_correct";

}  // namespace

std::size_t RoundTable::column(const std::string& metric) const {
  const auto found = std::find(metrics.begin(), metrics.end(), metric);
  if (found == metrics.end()) throw std::out_of_range(metric);
  return static_cast<std::size_t>(found - metrics.begin());
}

void write_metrics(const RoundTable& table, const std::filesystem::path& path) {
  AtomicFile file(path);
  auto& out = file.stream();
  std::vector<std::string> header = kHead;
  for (const std::string& metric : table.metrics) header.push_back(csv_field(metric));
  header.insert(header.end(), kTail.begin(), kTail.end());
  out << joined(header, ",") << '\n';
  for (const auto& row : table.rows) {
    out << row.round << ',' << csv_field(row.client) << ',' << row.train_samples << ','
        << row.test_samples;
    const auto write = [&](double value) {
      out << ',';
      if (!std::isnan(value)) out << format_double(value);
    };
    for (const Column column : kBefore) write(row.*column);
    for (std::size_t i = 0; i < table.metrics.size(); ++i) write(row.values.at(i));
    for (const Column column : kAfter) write(row.*column);
    out << '\n';
  }
  file.commit();
}

RoundTable read_metrics(const std::filesystem::path& path) {
  const CsvTable file(path);
  const std::vector<std::string>& header = file.header();
  const std::size_t fixed = kHead.size() + kTail.size();
  const auto tail = static_cast<std::ptrdiff_t>(kTail.size());
  if (header.size() < fixed || !std::equal(kHead.begin(), kHead.end(), header.begin()) ||
      !std::equal(kTail.begin(), kTail.end(), header.end() - tail))
    file.refuse_header(joined(kHead, ",") + ",(metrics of the task)," + joined(kTail, ","));
  RoundTable table;
  table.metrics.assign(header.begin() + static_cast<std::ptrdiff_t>(kHead.size()),
                       header.end() - tail);
  for (std::size_t i = 1; i <= file.count(); ++i) {
    RoundMetrics row;
    row.round = static_cast<int>(file.integer(i, 0));
    row.client = file.text(i, 1);
    row.train_samples = file.integer(i, 2);
    row.test_samples = file.integer(i, 3);
    std::size_t column = kFirstValue;
    const auto next = [&] { return file.number(i, column++); };
    for (const Column value : kBefore) row.*value = next();
    for (std::size_t k = 0; k < table.metrics.size(); ++k) row.values.push_back(next());
    for (const Column value : kAfter) row.*value = next();
    table.rows.push_back(std::move(row));
  }
  return table;
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
  const CsvTable file(path);
  if (joined(file.header(), ",") != kQuestionHeader) file.refuse_header(kQuestionHeader);
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
