#include "strata/optimizers/compare.h"

#include <cmath>
#include <filesystem>
#include <iostream>
#include <optional>

#include "cli/command_line.h"
#include "cli/output_files.h"
#include "core/console.h"
#include "core/document.h"
#include "report/comparison.h"
#include "strata/core/error.h"

namespace strata {
namespace {

Json number(double value) {
  return std::isfinite(value) ? Json(value) : Json();
}

void print_json(const Comparison& comparison, const std::string& out) {
  Json root{
      {"version", 1}, {"out", out}, {"runs", comparison.runs.size()}, {"summary", Json::array()}};
  for (const ComparisonSummary& summary : summarise(comparison.runs)) {
    const ComparisonGroup& group = summary.group;
    root["summary"].push_back({{"instance", group.instance},
                               {"algorithm", group.algorithm},
                               {"start", group.start},
                               {"evaluations", group.evaluations},
                               {"hypervolume_ratio", summary.hypervolume_ratio.median},
                               {"igd_plus", summary.igd_plus.median},
                               {"spread", summary.spread.median},
                               {"seconds", summary.seconds.median},
                               {"best", summary.best},
                               {"p_holm", number(summary.p)}});
  }
  std::cout << root.dump() << '\n';
}

/// What --write-instances alone did.
void print_json(const std::vector<Instance>& instances, const std::string& folder) {
  Json root{{"version", 1}, {"write_instances", folder}, {"instances", Json::array()}};
  for (const Instance& instance : instances) {
    root["instances"].push_back({{"name", instance.name},
                                 {"seed", instance.seed},
                                 {"clients", instance.problem.client_count()},
                                 {"units", instance.problem.unit_count()}});
  }
  std::cout << root.dump() << '\n';
}

}  // namespace

int run_compare(const CompareArguments& arguments, const CommonArguments& common) {
  if (arguments.out.empty() && arguments.write_instances.empty())
    throw InputError("strata compare: --out is required, or --write-instances");
  if (!arguments.out.empty()) {
    check_comparison_folder(arguments.out);
    check_writable(std::filesystem::path(arguments.out) / "compare.json");
  }
  const std::vector<Instance> instances =
      load_instances(arguments.instances, arguments.instance_seeds, arguments.budget);
  if (arguments.out.empty()) {
    write_instances(instances, arguments.write_instances);
    if (common.json) print_json(instances, arguments.write_instances);
    return kExitDone;
  }

  ComparisonOptions options;
  options.algorithms = arguments.algorithms;
  options.starts = arguments.starts;
  options.evaluations = arguments.evaluations;
  options.seeds = arguments.seeds;
  options.population = arguments.population;
  std::optional<Progress> progress;
  options.progress = [&](std::int64_t done, std::int64_t total, const std::string& next) {
    if (!progress) progress.emplace("compare", total);
    progress->update(done, next);
  };
  const Comparison comparison = compare(instances, options);
  progress.reset();
  write_comparison(comparison, arguments.out);
  if (!arguments.write_instances.empty()) write_instances(instances, arguments.write_instances);
  if (common.json) {
    print_json(comparison, arguments.out);
  } else if (!common.quiet) {
    std::cout << comparison_text(comparison);
  }
  return kExitDone;
}

}  // namespace strata
