#include <algorithm>
#include <chrono>
#include <filesystem>
#include <iostream>
#include <memory>

#include "cli/command_line.h"
#include "cli/output_files.h"
#include "cli/plan_export.h"
#include "core/amount.h"
#include "core/console.h"
#include "core/plan.h"
#include "core/text.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"
#include "strata/core/front_file.h"
#include "strata/core/plan.h"
#include "strata/core/plan_archive.h"
#include "strata/core/problem_file.h"
#include "strata/core/score_table.h"
#include "strata/optimizers/choose.h"
#include "strata/optimizers/make_plan.h"

namespace strata::cli {
namespace {

std::string units_text(const std::vector<std::string>& names) {
  return names.empty() ? "(none)" : joined(names, " ");
}

/// The client's units, with ranks where the plan has any.
std::vector<std::string> choice_of(const Plan& plan, int client) {
  std::vector<std::string> units;
  each_unit(plan, plan.assignment, static_cast<std::size_t>(client),
            [&](const std::string& unit, int rank) {
              units.push_back(unit + (plan.has_ranks() ? ":" + std::to_string(rank) : ""));
            });
  return units;
}

void print_tables(const Plan& plan, double seconds) {
  TextTable clients({"client", plan.counted + " used", "of", "units"});
  for (std::size_t c = 0; c < plan.clients.size(); ++c) {
    clients.row({plan.clients[c], amount_text(plan.used[c], plan.counted),
                 amount_text(plan.budgets[c], plan.counted),
                 units_text(choice_of(plan, static_cast<int>(c)))});
  }
  TextTable facts({"plan", plan.algorithm + ", " + plan.choose});
  facts.row({"importance", fixed(plan.objectives.importance, 6)});
  facts.row({"usage variance", fixed(plan.objectives.usage_variance, 6)});
  if (plan.objectives.uplink_bytes > 0)
    facts.row({"uplink MB a round", fixed(plan.objectives.uplink_bytes / 1e6, 3)});
  if (plan.objectives.slowest_seconds > 0)
    facts.row({"slowest client's seconds", fixed(plan.objectives.slowest_seconds, 3)});
  facts.row({"points on the front", std::to_string(plan.front.size())});
  if (plan.gap.known) {
    // But for the exact front the gap is a bound of the distance, not the distance.
    const bool exact = plan.gap.certificate == CertificateKind::kExact;
    facts.row({exact ? "gap to the exact front"
                     : "gap to the bound by " + certificate_name(plan.gap.certificate),
               fixed(plan.gap.importance, 6) + " (" + fixed(100 * plan.gap.relative, 3) + " %)"});
    facts.row({"hypervolume ratio", fixed(plan.gap.hypervolume_ratio, 6)});
  }
  if (!plan.always.empty()) facts.row({"every client also trains", units_text(plan.always)});
  facts.row({"seconds", fixed(seconds, 3)});
  std::cout << clients.str() << '\n' << facts.str();
}

/// The earlier plan's assignments for this problem, with one line about what was left out.
std::vector<Assignment> read_warm_start(const std::string& file, const PlanningProblem& problem) {
  const MatchedArchive matched = match_archive(read_archive(file), problem, file);
  std::string left_out;
  const auto add = [&](const std::string& kind, const std::vector<std::string>& dropped,
                       const std::vector<std::string>& names) {
    if (dropped.empty()) return;
    left_out += (left_out.empty() ? "" : " and ") + std::to_string(dropped.size()) + " " + kind +
                (dropped.size() > 1 ? "s" : "") + " (" + quoted_list(dropped, 3) +
                did_you_mean(dropped.front(), names) + ")";
  };
  add("client", matched.dropped_clients, problem.clients);
  add("unit", matched.dropped_units, problem.units);
  if (!left_out.empty())
    log_warning(file + ": left out " + left_out + ", which the problem does not have");
  return matched.assignments;
}

/// What the algorithm does not look at, though it was given.
void tell_of_algorithm(const Plan& plan, const PlanningProblem& problem,
                       const PlanArguments& arguments) {
  for (const auto& [key, value] : plan.provenance)
    if (key == optimizers::kAuto) log_info("algorithm " + std::get<std::string>(value));
  if (plan.kind == AlgorithmKind::kSearch) return;
  if (!arguments.warm.empty()) {
    log_warning("--warm is for metaheuristics; the algorithm " + plan.algorithm +
                " does not depend on it");
  }
  if (problem.has_further_objectives()) {
    auto names = objective_names(problem);
    names.erase(names.begin(), names.begin() + 2);
    log_warning("the algorithm " + plan.algorithm + " does not optimise " + quoted_list(names) +
                "; auto and the metaheuristics do");
  }
}

/// The options about unsupported points, where the plan's algorithm looks for none.
void tell_of_unsupported(const Plan& plan, const PlanOptions& options) {
  const auto unsupported = optimizers::algorithms_with(&optimizers::AlgorithmUses::unsupported);
  if (std::find(unsupported.begin(), unsupported.end(), plan.algorithm) != unsupported.end())
    return;
  for (const auto& [option, given] : {std::pair{"--sweep", options.sweep},
                                      std::pair{"--full-front", options.full_front_seconds > 0}}) {
    if (given)
      log_warning(std::string(option) + " is for the algorithm " + joined(unsupported, " or ") +
                  "; this plan is by " + plan.algorithm);
  }
}

/// A front's file holds every point's assignment, unless that would be gigabytes.
std::string front_content(const Plan& plan, const std::string& file) {
  constexpr std::size_t kMostBytes = std::size_t{1} << 30;
  std::size_t bytes = 0;
  for (std::size_t l = 0; l < plan.units.size(); ++l) {
    const auto column = plan.assignment.col(static_cast<Eigen::Index>(l)).cast<std::size_t>();
    bytes += static_cast<std::size_t>(column.sum()) * (plan.units[l].size() + 1);
  }
  if (bytes == 0 || plan.archive.size() <= kMostBytes / bytes) return front_text(plan, file);
  log_warning("--front: " + std::to_string(plan.front.size()) +
              " points with who trains what would take more than 1 GiB; the objectives alone are "
              "written (--choose row:N plans with the assignment of row N)");
  Plan bare;
  bare.front = plan.front;
  bare.row = plan.row;
  return front_text(bare, file);
}

/// A budget is a number or a file.
bool is_file(const std::string& name) {
  std::error_code unknown;
  return std::filesystem::exists(name, unknown);
}

/// Every file whole or none: all are written under temporary names before the first one appears.
void write_files(const std::vector<std::pair<std::filesystem::path, std::string>>& contents) {
  std::vector<std::unique_ptr<AtomicFile>> files;
  for (const auto& [path, content] : contents) {
    files.push_back(std::make_unique<AtomicFile>(path));
    files.back()->stream() << content << std::flush;
    if (!files.back()->stream()) files.back()->commit();  // throws
  }
  for (auto& file : files) file->commit();
}

/// What the options say of files, before anything is read.
void check_files(const PlanArguments& arguments, const std::vector<NamedFile>& outputs) {
  refuse_same_files({{"--scores", arguments.scores},
                     {"--problem", arguments.problem},
                     {"--costs", arguments.costs},
                     {"--budget", is_file(arguments.budget) ? arguments.budget : ""}},
                    outputs);
  for (const NamedFile& file : outputs) check_writable(file.path);
  for (const auto& [option, given] :
       {std::pair{"--export-template", !arguments.export_template.empty()},
        std::pair{"--export-model", !arguments.export_model.empty()}}) {
    if (given && arguments.exports.empty())
      throw InputError(std::string(option) + " is for --export, which was not given");
  }
}

std::vector<PlanExport> exports_of(const PlanArguments& arguments) {
  std::vector<PlanExport> exports;
  for (const std::string& text : arguments.exports) exports.push_back(parse_export(text));
  return exports;
}

/// A model without a preset can still be told by its weights, but not to PEFT.
AdapterConfigOptions adapter_options(const PlanArguments& arguments,
                                     const std::vector<PlanExport>& exports) {
  AdapterConfigOptions adapters;
  const bool peft = std::any_of(exports.begin(), exports.end(),
                                [](const PlanExport& to) { return to.kind == ExportKind::kPeft; });
  if (!peft && !arguments.export_template.empty())
    throw InputError("--export-template is for --export peft:DIR, which was not given");
  if (peft && !arguments.export_model.empty())
    adapters.family = adapter_family(arguments.export_model);
  adapters.config = arguments.export_template;
  return adapters;
}

LoadedProblem load(const PlanArguments& arguments) {
  if (arguments.scores == "-" && arguments.budget == "-")
    throw InputError("--scores and --budget: only one of them can be standard input");
  ProblemOptions asked{arguments.problem, arguments.scores, arguments.budget, arguments.units};
  asked.normalise = arguments.normalise;
  asked.of = arguments.of;
  asked.costs = arguments.costs;
  asked.metric = arguments.metric;
  asked.ranks = arguments.ranks;
  asked.least_cohort = arguments.least_cohort;
  LoadedProblem loaded = load_problem(asked);
  for (const std::string& warning : loaded.warnings) log_warning(warning);
  return loaded;
}

/// What can be known before the search, which may take long.
void check_problem(const LoadedProblem& loaded, const PlanArguments& arguments,
                   const std::vector<PlanExport>& exports, const std::vector<NamedFile>& outputs) {
  std::vector<NamedFile> read;
  for (const auto& [key, file] : loaded.files)
    read.push_back({key + " of " + arguments.problem, file});
  if (!arguments.export_template.empty())
    read.push_back({"--export-template", arguments.export_template});
  refuse_same_files(read, outputs);
  check_exports(exports, loaded.problem.clients);
  if (loaded.problem.has_ranks() && !arguments.archive.empty())
    throw InputError("--archive is for a later --warm, and searches plan units, not ranks");
  if (!loaded.choose.empty())
    with_context(arguments.problem, [&] { optimizers::check_choice(loaded.choose); });
}

PlanOptions plan_options(const LoadedProblem& loaded, const PlanArguments& arguments) {
  PlanOptions options = arguments.options;
  if (!loaded.choose.empty()) options.choose = loaded.choose;
  if (!arguments.choose.empty()) options.choose = arguments.choose;
  if (!arguments.warm.empty())
    options.search.warm_start = read_warm_start(arguments.warm, loaded.problem);
  return options;
}

/// The plan's files, the plan itself last.
std::vector<std::pair<std::filesystem::path, std::string>> contents_of(
    const Plan& plan, const PlanArguments& arguments, const std::vector<PlanExport>& exports,
    const AdapterConfigOptions& adapters) {
  std::vector<std::pair<std::filesystem::path, std::string>> files;
  if (!arguments.front.empty())
    files.emplace_back(arguments.front, front_content(plan, arguments.front));
  if (!arguments.archive.empty())
    files.emplace_back(arguments.archive, archive_json(archive_of(plan)));
  for (auto& file : export_files(plan, exports, arguments.export_model, adapters))
    files.push_back(std::move(file));
  if (!arguments.out.empty()) files.emplace_back(arguments.out, plan_json(plan));
  return files;
}

}  // namespace

int run_plan(const PlanArguments& arguments, const CommonArguments& common) {
  const std::vector<PlanExport> exports = exports_of(arguments);
  std::vector<NamedFile> outputs = {
      {"--out", arguments.out}, {"--front", arguments.front}, {"--archive", arguments.archive}};
  for (const PlanExport& to : exports) {
    if (to.kind == ExportKind::kRequiresGrad) outputs.push_back({"--export", to.path.string()});
  }
  check_files(arguments, outputs);
  const AdapterConfigOptions adapters = adapter_options(arguments, exports);
  const LoadedProblem loaded = load(arguments);
  check_problem(loaded, arguments, exports, outputs);
  const PlanOptions options = plan_options(loaded, arguments);

  const auto start = std::chrono::steady_clock::now();
  Plan plan = optimizers::make_plan_towards(loaded.problem, loaded.target_usage, options);
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  tell_of_algorithm(plan, loaded.problem, arguments);
  tell_of_unsupported(plan, options);

  // The digest identifies the file that was read; what was done to it before planning is said
  // beside it.
  plan.scores_digest = digest(loaded.scores);
  plan.provenance.emplace_back("normalise", loaded.normalised);
  plan.always = loaded.always;

  write_files(contents_of(plan, arguments, exports, adapters));
  if (common.json) {
    std::cout << printable_json(plan_json(plan));
  } else if (!common.quiet) {
    print_tables(plan, elapsed.count());
  }
  return kExitDone;
}

}  // namespace strata::cli
