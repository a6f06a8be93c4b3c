#include <algorithm>
#include <chrono>
#include <filesystem>
#include <iostream>
#include <set>

#include "cli/command_line.h"
#include "core/console.h"
#include "core/document.h"
#include "strata/core/error.h"
#include "strata/core/plan.h"
#include "strata/core/score_table.h"
#include "strata/optimizers/make_plan.h"

namespace strata {
namespace {

// The columns of the named units, in the order of the table.
ScoreTable select_units(const ScoreTable& table, const std::vector<std::string>& names) {
  std::set<std::string> wanted;
  for (const std::string& name : names) {
    if (std::find(table.units.begin(), table.units.end(), name) == table.units.end()) {
      throw InputError("--unit: the scores have no unit \"" + name + "\"" +
                       did_you_mean(name, table.units) + "; there are " + quoted_list(table.units));
    }
    if (!wanted.insert(name).second) throw InputError("--unit: \"" + name + "\" stands twice");
  }
  ScoreTable selected = table;
  selected.units.clear();
  selected.raw.resize(0, 0);
  selected.scores.resize(table.client_count(), static_cast<Eigen::Index>(wanted.size()));
  for (int unit = 0; unit < table.unit_count(); ++unit) {
    if (!wanted.count(table.units[unit])) continue;
    selected.scores.col(selected.unit_count()) = table.scores.col(unit);
    selected.units.push_back(table.units[unit]);
  }
  return selected;
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : " ") + name;
  return text.empty() ? "(none)" : text;
}

void print_tables(const Plan& plan, double seconds) {
  TextTable clients({"client", "units"});
  for (std::size_t c = 0; c < plan.clients.size(); ++c) {
    clients.row({plan.clients[c], joined(plan.units_of(static_cast<int>(c)))});
  }
  TextTable facts({"plan", plan.algorithm + ", " + plan.choose});
  facts.row({"importance", fixed(plan.objectives.importance, 6)});
  facts.row({"usage variance", fixed(plan.objectives.usage_variance, 6)});
  facts.row({"points on the front", std::to_string(plan.front.size())});
  if (plan.gap.known) {
    facts.row({"gap to the exact front",
               fixed(plan.gap.importance, 6) + " (" + fixed(100 * plan.gap.relative, 3) + " %)"});
    facts.row({"hypervolume ratio", fixed(plan.gap.hypervolume_ratio, 6)});
  }
  facts.row({"seconds", fixed(seconds, 3)});
  std::cout << clients.str() << '\n' << facts.str();
}

void print_json(const Plan& plan, double seconds) {
  Json facts{{"algorithm", plan.algorithm},
             {"choose", plan.choose},
             {"seed", plan.seed},
             {"evaluations", plan.evaluations}};
  facts["clients"] = Json::object();
  for (std::size_t c = 0; c < plan.clients.size(); ++c) {
    facts["clients"][plan.clients[c]] = plan.units_of(static_cast<int>(c));
  }
  facts["objectives"] = {{"importance", plan.objectives.importance},
                         {"usage_variance", plan.objectives.usage_variance}};
  facts["front_points"] = plan.front.size();
  if (plan.gap.known) {
    facts["gap"] = {{"importance", plan.gap.importance},
                    {"relative", plan.gap.relative},
                    {"hypervolume_ratio", plan.gap.hypervolume_ratio}};
  }
  facts["scores_digest"] = plan.scores_digest;
  facts["seconds"] = seconds;
  std::cout << facts.dump() << '\n';
}

}  // namespace

int run_plan(const PlanArguments& arguments, const CommonArguments& common) {
  if (!arguments.out.empty() && !arguments.front.empty() &&
      std::filesystem::weakly_canonical(arguments.out) ==
          std::filesystem::weakly_canonical(arguments.front)) {
    throw InputError("--out and --front name the same file: " + arguments.out);
  }
  const ScoreTable table = read_scores(arguments.scores);
  ScoreTable planned = arguments.units.empty() ? table : select_units(table, arguments.units);
  if (arguments.normalise) normalise_rows(planned.scores);
  const PlanningProblem problem = make_problem(planned, arguments.budget);

  PlanOptions options;
  options.algorithm = arguments.algorithm;
  options.choose = arguments.choose;
  options.seed = arguments.seed;
  options.evaluations = arguments.evaluations;
  options.population = arguments.population;
  options.gap = !arguments.no_gap;
  const auto start = std::chrono::steady_clock::now();
  Plan plan = make_plan(problem, options);
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;

  // The digest identifies the file that was read; what was done to it before planning is said
  // beside it.
  plan.scores_digest = digest(table);
  plan.provenance.emplace_back("normalise", arguments.normalise ? "true" : "false");

  if (!arguments.front.empty()) write_front_csv(plan.front, arguments.front);
  if (!arguments.out.empty()) write_plan(plan, arguments.out);
  if (common.json) {
    print_json(plan, elapsed.count());
  } else if (!common.quiet) {
    print_tables(plan, elapsed.count());
  }
  return kExitDone;
}

}  // namespace strata
