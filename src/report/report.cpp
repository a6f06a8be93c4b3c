#include "report/report.h"

#include "core/console.h"
#include "report/benchmark_page.h"
#include "report/comparison.h"
#include "report/page.h"
#include "report/run_statistics.h"
#include "strata/core/atomic_file.h"
#include "strata/optimizers/comparison_files.h"

namespace strata::report {
namespace {

std::string page_of(const Experiment& experiment) {
  Page page(experiment);
  add_heading(page);
  add_result(page);
  add_client_accuracy(page);
  add_sites(page);
  add_scores(page);
  add_assignments(page);
  add_usage(page);
  add_fronts(page);
  add_traffic(page);
  add_published_traffic(page);
  add_coverage(page);
  add_missing_updates(page);
  add_settings(page);
  return html_page(experiment.name + " – Strata report", page.body);
}

std::string plain_text(const HtmlTable& table) {
  TextTable text(table.header);
  for (const auto& row : table.rows) text.row(row);
  return text.str();
}

}  // namespace

Report write_report(const std::filesystem::path& folder) {
  Report report;
  report.page = folder / "report.html";
  if (holds_comparison(folder)) {
    const auto comparison = read_comparison_with_peers(folder);
    const auto name = std::filesystem::canonical(folder).filename().string();
    write_file(report.page, comparison_page(comparison, name));
    report.summary = comparison_text(comparison);
  } else if (fedrunner::holds_benchmark(folder)) {
    const auto results = fedrunner::read_benchmark(folder);
    write_file(report.page, benchmark_page(results));
    report.summary = fedrunner::benchmark_table(results);
  } else {
    const Experiment experiment = read_run_folders(folder);
    write_file(report.page, page_of(experiment));
    const Result result = result_of(experiment);
    report.summary = plain_text(result_table(experiment, result));
    if (const auto text = verdict(result); !text.empty()) report.summary += text + "\n";
  }
  return report;
}

}  // namespace strata::report
