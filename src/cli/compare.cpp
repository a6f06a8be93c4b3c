#include "strata/optimizers/compare.h"

#include <cmath>
#include <filesystem>
#include <iostream>
#include <optional>

#include "cli/command_line.h"
#include "cli/output_files.h"
#include "core/console.h"
#include "core/document.h"
#include "core/folder_lock.h"
#include "report/comparison.h"
#include "strata/core/error.h"
#include "strata/optimizers/comparison_files.h"

namespace strata::cli {
namespace {

void print_json(const optimizers::Comparison& comparison, const std::string& out) {
  Json root{
      {"version", 1}, {"out", out}, {"runs", comparison.runs.size()}, {"summary", Json::array()}};
  for (const optimizers::ComparisonSummary& summary : optimizers::summarise(comparison.runs)) {
    const optimizers::ComparisonGroup& group = summary.group;
    root["summary"].push_back({{"instance", group.instance},
                               {"algorithm", group.algorithm},
                               {"start", group.start},
                               {"evaluations", group.evaluations},
                               {"hypervolume_ratio", summary.hypervolume_ratio.median},
                               {"igd_plus", summary.igd_plus.median},
                               {"spread", summary.spread.median},
                               {"seconds", summary.seconds.median},
                               {"best", summary.best},
                               {"p_holm", number_or_null(summary.p)}});
  }
  std::cout << printable_json(root.dump()) << '\n';
}

/// What --write-instances alone did.
void print_json(const std::vector<optimizers::Instance>& instances, const std::string& folder) {
  Json root{{"version", 1}, {"write_instances", folder}, {"instances", Json::array()}};
  for (const optimizers::Instance& instance : instances) {
    root["instances"].push_back({{"name", instance.name},
                                 {"seed", instance.seed},
                                 {"clients", instance.problem.client_count()},
                                 {"units", instance.problem.unit_count()}});
  }
  std::cout << printable_json(root.dump()) << '\n';
}

/// The comparison in `folder`, if it is over. @throws InputError where it is another one.
std::optional<optimizers::Comparison> read_finished(
    const std::vector<optimizers::Instance>& instances,
    const optimizers::ComparisonOptions& options, const std::filesystem::path& folder) {
  if (!std::filesystem::exists(folder / "compare.json") ||
      optimizers::holds_unfinished_comparison(folder))
    return std::nullopt;
  optimizers::Comparison comparison = optimizers::read_comparison(folder);
  if (!optimizers::holds_runs_of(comparison, instances, options)) {
    throw InputError((folder / "compare.json").string() +
                     ": the folder holds another comparison, which is over; choose another --out");
  }
  return comparison;
}

/// Makes the runs that the folder does not have, and writes the comparison.
optimizers::Comparison compare_into(const CompareArguments& arguments,
                                    const std::vector<optimizers::Instance>& instances,
                                    optimizers::ComparisonOptions options) {
  const std::filesystem::path folder = arguments.out;
  if (auto finished = read_finished(instances, options, folder)) return *std::move(finished);
  std::optional<FolderLock> lock;
  std::optional<optimizers::ComparisonJournal> journal;
  // Not before the instances are checked: what is wrong with one leaves no trace.
  options.begin = [&] {
    lock.emplace(folder);
    // Another process may have come and gone since the first look.
    optimizers::check_comparison_folder(folder, arguments.resume);
    journal.emplace(folder, optimizers::comparison_settings(instances, options));
    if (!journal->finished().empty())
      log_info("resuming after " + std::to_string(journal->finished().size()) + " runs");
    return journal->finished();
  };
  options.after_run = [&](const optimizers::FinishedRun& run) { journal->add(run); };
  optimizers::Comparison comparison = optimizers::compare(instances, options);
  comparison.provenance = journal->provenance();
  optimizers::write_comparison(comparison, folder);
  journal->remove();
  return comparison;
}

}  // namespace

int run_compare(const CompareArguments& arguments, const CommonArguments& common) {
  if (arguments.out.empty() && arguments.write_instances.empty())
    throw InputError("strata compare: --out is required, or --write-instances");
  if (arguments.resume && arguments.out.empty())
    throw InputError("strata compare: --resume is for --out, which was not given");
  if (!arguments.out.empty()) {
    refuse_locked_folder(arguments.out);
    optimizers::check_comparison_folder(arguments.out, arguments.resume);
    check_writable(std::filesystem::path(arguments.out) / "compare.json");
  }
  const std::vector<optimizers::Instance> instances =
      optimizers::load_instances(arguments.instances, arguments.instance_seeds, arguments.budget);
  if (arguments.out.empty()) {
    optimizers::write_instances(instances, arguments.write_instances);
    if (common.json) print_json(instances, arguments.write_instances);
    return kExitDone;
  }

  optimizers::ComparisonOptions options = arguments.options;
  std::optional<Progress> progress;
  options.progress = [&](std::int64_t done, std::int64_t total, const std::string& next) {
    if (!progress) progress.emplace("compare", total);
    progress->update(done, next);
  };
  const optimizers::Comparison comparison = compare_into(arguments, instances, options);
  progress.reset();
  if (!arguments.write_instances.empty())
    optimizers::write_instances(instances, arguments.write_instances);
  if (common.json) {
    print_json(comparison, arguments.out);
  } else if (!common.quiet) {
    std::cout << report::comparison_text(comparison);
  }
  return kExitDone;
}

}  // namespace strata::cli
