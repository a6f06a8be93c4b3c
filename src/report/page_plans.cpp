#include "report/page.h"

#include <algorithm>
#include <optional>

#include "core/text.h"
#include "report/run_statistics.h"

namespace strata::report {
namespace {

bool has_plans(const RunFolder& run) {
  return run.rounds > 0 && run.plan_of(run.rounds) != nullptr;
}

/// In how many of the rounds 1, 2, … each client trained each unit, as a share, over all seeds.
std::optional<Heatmap> share_map(const Page& page, const std::string& strategy) {
  Heatmap map;
  map.rows = page.primary.clients;
  map.columns = page.primary.selectable;
  map.values = Eigen::MatrixXd::Zero(static_cast<Eigen::Index>(map.rows.size()),
                                     static_cast<Eigen::Index>(map.columns.size()));
  int rounds = 0;
  for (const RunFolder* run : page.experiment.of(strategy)) {
    for (int round = 1; round <= run->rounds; ++round) {
      const PlannedRound* planned = run->plan_of(round);
      if (!planned) continue;
      ++rounds;
      map.values += page.placed(planned->plan);
    }
  }
  if (rounds == 0) return std::nullopt;
  map.values /= rounds;
  return map;
}

void add_round_by_round(Page& page) {
  const std::string id = "fig-assignments-rounds";
  const int shown = std::min(page.primary.rounds, 10), per_row = std::min(shown, 5);
  std::vector<std::vector<std::string>> rows;
  for (int round = 1; round <= shown; ++round) {
    const PlannedRound* planned = page.primary.plan_of(round);
    if (!planned) continue;
    Heatmap map;
    map.title = "round " + std::to_string(round);
    map.rows = page.primary.clients;
    map.columns = page.primary.selectable;
    map.values = page.placed(planned->plan);
    map.one_colour = page.colour(page.primary.strategy);
    map.zero_colour = kLightGrey;
    map.colour_bar = false;
    const int names = heatmap_margins(map);
    // The panels of a row share its left names, so that their cells can be larger.
    map.row_names = rows.empty() || static_cast<int>(rows.back().size()) == per_row;
    const int room = (kPageWidth - names - 16 * (per_row - 1)) / per_row - 12;
    map.cell_width =
        std::clamp(room / std::max<int>(1, static_cast<int>(map.columns.size())), 3, 16);
    map.cell_height = std::clamp(map.cell_width, 10, 16);
    map.column_names = map.cell_width >= 9;
    if (map.row_names) rows.emplace_back();
    rows.back().push_back(page.panel(id, draw(map), "Assignment in " + map.title));
  }
  page.body += html_figure(
      id, "", rows,
      "Who trains what, round by round (" + page.primary_name() +
          "): a coloured cell is a "
          "unit that the client trains in that round." +
          (page.primary.rounds > shown ? " The first " + std::to_string(shown) + " of " +
                                             std::to_string(page.primary.rounds) + " rounds."
                                       : std::string()),
      Panels::kRow);
}

}  // namespace

void add_scores(Page& page) {
  page.section("Scores");
  std::vector<const PlannedRound*> scored;
  for (const PlannedRound& planned : page.primary.plans) {
    if (planned.has_scores) scored.push_back(&planned);
  }
  if (scored.empty()) {
    page.paragraph("No round of this run scored its units.");
    return;
  }
  const std::string id = "fig-scores";
  double high = 0;
  for (const PlannedRound* planned : ends(scored)) {
    if (planned->scores.scores.size()) high = std::max(high, planned->scores.scores.maxCoeff());
  }
  std::vector<std::string> panels;
  for (const PlannedRound* planned : ends(scored)) {
    Heatmap map;
    map.title = "round " + std::to_string(planned->round);
    map.rows = planned->scores.clients;
    map.columns = planned->scores.units;
    map.values = planned->scores.scores;
    map.high = high > 0 ? round_up(high) : 1;
    map.decimals = 2;
    map.value_label = "score";
    fit(map, panels_in_a_row(map.columns.size()));
    panels.push_back(page.panel(id, draw(map), "Scores in " + map.title));
  }
  page.body +=
      html_figure(id, "", {panels},
                  "How important each unit is for each client (" + page.primary.metric +
                      " scores, " + page.primary_name() +
                      "), in the first and the last round that scored. Brighter is more important; "
                      "each row sums to 1.",
                  Panels::kNatural);
}

void add_assignments(Page& page) {
  page.section("Assignments");
  std::string id = "fig-assignments";
  std::vector<std::string> panels;
  for (const std::string& name : page.experiment.strategies) {
    auto map = share_map(page, name);
    if (!map || page.trains_everything(name)) continue;
    map->title = shortened(name, 40);
    map->zero_colour = kLightGrey;
    map->decimals = 2;
    map->value_label = "share of rounds";
    fit(*map, panels_in_a_row(map->columns.size()));
    panels.push_back(page.panel(id, draw(*map), "Share of rounds, strategy " + name));
  }
  if (panels.empty()) {
    page.paragraph("No strategy of this run chooses who trains what.");
    return;
  }
  page.body += html_figure(id, "", {panels},
                           "In which share of the rounds each client trained each unit" +
                               std::string(page.several_seeds() ? ", over all seeds" : "") +
                               ". 1 is every round; grey is never.",
                           Panels::kNatural);
  if (has_plans(page.primary)) add_round_by_round(page);
}

void add_coverage(Page& page) {
  page.section("Units that nobody trained");
  const std::string id = "fig-coverage";
  std::vector<std::string> panels;
  HtmlTable table;
  table.id = "table-coverage";
  table.header = {"strategy", "round", "units nobody trained"};
  table.left_columns = 3;
  std::size_t rounds = 0;
  for (const std::string& name : page.experiment.strategies) {
    const RunFolder& run = *page.experiment.of(name).front();
    if (!has_plans(run) || page.trains_everything(name)) continue;
    Heatmap map;
    map.title = shortened(name, 40);
    map.columns = page.primary.selectable;
    map.values.resize(run.rounds, static_cast<Eigen::Index>(map.columns.size()));
    map.high = static_cast<double>(page.primary.clients.size());
    for (int round = 1; round <= run.rounds; ++round) {
      map.rows.push_back("round " + std::to_string(round));
      const PlannedRound* planned = run.plan_of(round);
      map.values.row(round - 1).setConstant(kNaN);
      if (!planned) continue;
      ++rounds;
      Eigen::MatrixXd trained = page.placed(planned->plan);
      for (std::size_t i = 0; i < page.primary.clients.size(); ++i) {
        if (!run.used(round, page.primary.clients[i]))
          trained.row(static_cast<Eigen::Index>(i)).setZero();
      }
      map.values.row(round - 1) = trained.colwise().sum();
      std::vector<std::string> untrained;
      for (std::size_t l = 0; l < map.columns.size(); ++l) {
        if (map.values(round - 1, static_cast<Eigen::Index>(l)) == 0)
          untrained.push_back(map.columns[l]);
      }
      if (!untrained.empty())
        table.rows.push_back({name, std::to_string(round), joined(untrained)});
    }
    map.decimals = 0;
    map.zero_colour = "#ffd0b5";
    map.value_label = "clients";
    fit(map, panels_in_a_row(map.columns.size()));
    panels.push_back(page.panel(id, draw(map), "Clients that trained each unit, strategy " + name));
  }
  if (panels.empty()) {
    page.paragraph("No strategy of this run chooses who trains what.");
    return;
  }
  page.body +=
      html_figure(id, "", {panels},
                  "How many clients trained each unit in each round" +
                      std::string(page.several_seeds() ? " (first seed)" : "") +
                      ". A unit that nobody trained (pale orange) keeps its weights in that round.",
                  Panels::kNatural);
  if (table.rows.empty()) {
    page.paragraph("Every selectable unit was trained by at least one client in each of the " +
                   std::to_string(rounds) + " planned rounds.");
  } else {
    page.body += html_details("The untrained units by name", html(table));
  }
}

}  // namespace strata::report
