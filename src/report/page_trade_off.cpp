#include "report/page.h"

#include <algorithm>

#include "core/budget.h"
#include "core/console.h"
#include "report/run_statistics.h"
#include "strata/core/planning_problem.h"
#include "strata/optimizers/baselines.h"

namespace strata::report {
namespace {

/// A round with scores and a plan over the same clients and units.
struct Decision {
  int round = 0;
  PlanningProblem problem;
  Assignment top_k;
  const Plan* plan = nullptr;
};

/// The plan's budgets; false where they count what the run does not know of a unit.
bool take_budgets(const RunFolder& run, const Plan& plan, PlanningProblem& problem) {
  const Budget of_units;
  problem.ranks = plan.ranks;
  if (plan.counted.empty() || plan.counted == of_units.of || plan.has_ranks()) {
    std::vector<std::int64_t> trained;
    for (int i = 0; i < problem.client_count(); ++i)
      trained.push_back(plan.assignment.row(i).cast<std::int64_t>().sum());
    set_budgets(problem, of_units.of, trained);
    return true;
  }
  std::vector<Unit> units;
  for (const auto& name : problem.units) {
    const auto unit = std::find_if(run.unit_costs.begin(), run.unit_costs.end(),
                                   [&](const Unit& known) { return known.name == name; });
    if (unit == run.unit_costs.end()) return false;
    units.push_back(*unit);
  }
  set_budgets(problem, plan.counted, plan.budgets, costs_of(units, plan.counted));
  return true;
}

std::vector<Decision> decisions_of(const RunFolder& run) {
  std::vector<Decision> decisions;
  for (const PlannedRound& planned : run.plans) {
    const Plan& plan = planned.plan;
    if (!planned.has_scores || !planned.has_plan || plan.clients != planned.scores.clients ||
        plan.units != planned.scores.units) {
      continue;
    }
    Decision decision;
    decision.round = planned.round;
    decision.plan = &plan;
    decision.problem.clients = plan.clients;
    decision.problem.units = plan.units;
    decision.problem.importance = planned.scores.scores;
    if (!take_budgets(run, plan, decision.problem)) continue;
    decision.top_k = optimizers::top_k(decision.problem);
    decisions.push_back(std::move(decision));
  }
  return decisions;
}

/// How far a front that need not be exact is from the exact one.
std::string distance_text(const Plan& plan) {
  if (!plan.gap.known) return " How far the front is from the exact one was not measured.";
  return " In that round the plan has " + fixed(100 * plan.gap.relative, 2) +
         " % less importance than the exact front at its usage variance, and the front covers " +
         fixed(plan.gap.hypervolume_ratio, 4) + " of the exact front's hypervolume.";
}

void add_gap_table(Page& page, const std::vector<Decision>& decisions) {
  HtmlTable table;
  table.id = "table-front";
  table.header = {"round",
                  "algorithm",
                  "rule",
                  "points on the front",
                  "importance",
                  "usage variance",
                  "gap to the exact front",
                  "gap %",
                  "hypervolume ratio"};
  table.left_columns = 3;
  for (const Decision& decision : decisions) {
    const Plan& plan = *decision.plan;
    const double known = plan.gap.known ? 1 : kNaN;
    table.rows.push_back(
        {std::to_string(decision.round), plan.algorithm, plan.choose,
         std::to_string(plan.front.size()), fixed(plan.objectives.importance, 4),
         fixed(plan.objectives.usage_variance, 4), text(known * plan.gap.importance, 4),
         text(100 * known * plan.gap.relative, 2), text(known * plan.gap.hypervolume_ratio, 4)});
  }
  // A long table would push the next section out of sight.
  constexpr std::size_t kMostRounds = 6;
  page.body += decisions.size() > kMostRounds
                   ? html_details("Every planned round in numbers", html(table))
                   : html(table);
  page.paragraph(
      "The gap is the importance that an assignment of the same usage variance could have at "
      "most, "
      "minus the plan's; the hypervolume ratio compares the whole front with the exact supported "
      "one "
      "(1 is as good).");
}

/// The front itself; marks come on top of it.
ScatterChart front_chart(const Decision& decision) {
  ScatterChart chart;
  chart.title = "round " + std::to_string(decision.round);
  chart.x_label = "usage variance (smaller is more even)";
  chart.y_label = "importance (larger is better)";
  ScatterSeries front{kGrey, Mark::kCircle, 0.7, true, {}, {}};
  for (const Objectives& point : decision.plan->front) {
    front.x.push_back(point.usage_variance);
    front.y.push_back(point.importance);
  }
  chart.series.push_back(std::move(front));
  return chart;
}

void mark(ScatterChart& chart, const Objectives& at, const std::string& colour, Mark shape,
          double size) {
  chart.series.push_back({colour, shape, size, false, {at.usage_variance}, {at.importance}});
}

/// What a strategy planned in the decision's round from the decision's scores, with the seed of the
/// page's run; null where it did not.
const PlannedRound* plan_beside(const Page& page, const Decision& decision,
                                const std::string& strategy) {
  const Runs runs = page.experiment.of(strategy);
  const auto same_seed = std::find_if(runs.begin(), runs.end(), [&](const RunFolder* run) {
    return run->seed == page.primary.seed && strategy != page.primary.strategy;
  });
  if (same_seed == runs.end()) return nullptr;
  const PlannedRound* planned = (*same_seed)->plan_of(decision.round);
  if (!planned || planned->plan.clients != decision.problem.clients ||
      planned->plan.units != decision.problem.units ||
      !is_feasible(decision.problem, planned->plan.assignment)) {
    return nullptr;
  }
  return planned;
}

/// Marks the other strategies' plans. @returns whether each client's best units are among them.
bool mark_strategies(const Page& page, const Decision& decision, ScatterChart& chart,
                     std::vector<LegendEntry>& legend) {
  bool has_top_k = false;
  for (const std::string& name : page.experiment.strategies) {
    const PlannedRound* planned = plan_beside(page, decision, name);
    if (!planned) continue;
    const bool is_top_k = planned->plan.assignment == decision.top_k;
    has_top_k = has_top_k || is_top_k;
    const Mark shape = is_top_k ? Mark::kSquare : Mark::kTriangle;
    mark(chart, evaluate(decision.problem, planned->plan.assignment), page.colour(name), shape,
         1.5);
    legend.push_back({name, page.colour(name), shape});
  }
  return has_top_k;
}

}  // namespace

void add_usage(Page& page) {
  page.section("How evenly the units are used");
  const auto decisions = decisions_of(page.primary);
  if (decisions.empty()) {
    page.paragraph("No round of this run has both scores and a plan.");
    return;
  }
  const std::string id = "fig-usage";
  std::vector<std::string> panels;
  HtmlTable table;
  table.id = "table-usage";
  table.header = {"round", "usage variance before", "usage variance after", "importance before",
                  "importance after"};
  const std::string after_colour = page.colour(page.primary.strategy);
  const int side = panels_in_a_row(page.primary.selectable.size());
  for (const Decision& decision : ends(decisions)) {
    BarChart chart;
    chart.title = "round " + std::to_string(decision.round);
    chart.y_label = "clients that train the unit";
    chart.groups = decision.problem.units;
    if (side == 1) chart.width = kPageWidth;
    const std::vector<int> before = usage(decision.top_k), after = usage(decision.plan->assignment);
    chart.series = {{kGrey, {before.begin(), before.end()}},
                    {after_colour, {after.begin(), after.end()}}};
    const Objectives top = evaluate(decision.problem, decision.top_k);
    chart.title += ": variance " + fixed(top.usage_variance, 2) + " before, " +
                   fixed(decision.plan->objectives.usage_variance, 2) + " after";
    panels.push_back(page.panel(id, draw(chart), "Usage of the units in " + chart.title));
    table.rows.push_back({std::to_string(decision.round), fixed(top.usage_variance, 3),
                          fixed(decision.plan->objectives.usage_variance, 3),
                          fixed(top.importance, 3),
                          fixed(decision.plan->objectives.importance, 3)});
  }
  page.body += html_figure(
      id,
      html_legend({{"before planning (each client's best units by score)", kGrey, Mark::kBox},
                   {"after planning (" + page.primary.strategy + ")", after_colour, Mark::kBox}}),
      {panels},
      "How many clients train each unit, if every client took its most important units, "
      "and as planned (" +
          page.primary_name() +
          "). The flatter the bars, the smaller the "
          "usage variance and the more units learn from several clients.",
      side == 1 ? Panels::kNatural : Panels::kPairs);
  page.body += html(table);
}

void add_fronts(Page& page) {
  page.section("The trade-off behind the plan");
  const auto decisions = decisions_of(page.primary);
  if (decisions.empty()) {
    page.paragraph("No round of this run has both scores and a plan.");
    return;
  }
  const std::string id = "fig-front";
  const bool exact = decisions.front().plan->kind == AlgorithmKind::kExact;
  std::vector<LegendEntry> legend = {
      {exact ? "exact front" : "front found by " + decisions.front().plan->algorithm, kGrey,
       Mark::kCircle},
      {"chosen plan (" + page.primary.strategy + ")", page.colour(page.primary.strategy),
       Mark::kDiamond}};
  std::vector<std::string> panels;
  bool top_k_named = false;
  for (const Decision& decision : ends(decisions)) {
    ScatterChart chart = front_chart(decision);
    // Strategies share their foundation, hence their scores, in the first round only.
    const bool first = decision.round == decisions.front().round;
    if (!first || !mark_strategies(page, decision, chart, legend)) {
      mark(chart, evaluate(decision.problem, decision.top_k), "#1f2328", Mark::kSquare, 1.1);
      if (!top_k_named) legend.push_back({"importance alone (top-k)", "#1f2328", Mark::kSquare});
      top_k_named = true;
    }
    mark(chart, decision.plan->objectives, page.colour(page.primary.strategy), Mark::kDiamond, 2.2);
    panels.push_back(page.panel(id, draw(chart), "Front in " + chart.title));
  }
  page.body += html_figure(
      id, html_legend(legend), {panels},
      "Every point is a way to assign units to clients; none of the front's points can "
      "gain importance without using the units less evenly. The diamond is the plan that "
      "was run (" +
          page.primary_name() +
          "). A mark below the front gives importance away. Other strategies are shown in the "
          "first round, where all start from the same scores." +
          (exact ? std::string() : distance_text(*decisions.front().plan)));
  add_gap_table(page, decisions);
}

}  // namespace strata::report
