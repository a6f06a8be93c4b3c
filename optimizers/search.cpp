#include "strata/optimizers/search.h"

#include <algorithm>
#include <set>

#include "optimizers/algorithms.h"
#include "optimizers/feasible.h"
#include "optimizers/islands.h"
#include "optimizers/neighbourhood.h"
#include "strata/core/error.h"
#include "strata/core/plan_archive.h"
#include "strata/optimizers/baselines.h"
#include "strata/optimizers/exact_front.h"
#include "strata/optimizers/feasible.h"

namespace strata::optimizers {
namespace {

constexpr int kPasses = 8;  // of greedy starts

/// `count` assignments that settle under prices: eight across the range, and then those of the
/// widest gaps between neighbours, which are the steps of the largest area below the front.
std::vector<Assignment> greedy_assignments(const LayerModel& model, std::size_t count) {
  std::vector<Assignment> found;
  FrontArchive archive;
  UnitState state(model, round_robin(model.problem()));
  const auto add = [&](const Prices& prices) {
    settle(state, prices, kPasses);
    archive.insert(state);
    found.push_back(state.assignment());
  };
  for (const Prices& prices : price_ladder(model, 8)) add(prices);
  std::set<std::pair<std::int64_t, std::int64_t>> tried;
  while (found.size() < count && model.two_objectives()) {
    const auto entries = archive.entries();
    const FrontArchive::Entry *low = nullptr, *high = nullptr;
    double widest = 0;
    for (std::size_t i = 1; i < entries.size(); ++i) {
      const Value &a = entries[i - 1]->value, &b = entries[i]->value;
      const double area = static_cast<double>(b.importance - a.importance) *
                          static_cast<double>(b.spread - a.spread);
      if (area <= widest || tried.count({a.spread, b.spread})) continue;
      widest = area;
      low = entries[i - 1];
      high = entries[i];
    }
    if (!low) break;
    tried.insert({low->value.spread, high->value.spread});
    const double slope =
        static_cast<double>(high->value.importance - low->value.importance) /
        (static_cast<double>(high->value.spread - low->value.spread) / model.units());
    state = UnitState(model, high->bits);
    add({slope, 0, 0});
  }
  return found;
}

std::vector<Assignment> exact_assignments(const LayerModel& model, std::size_t count) {
  const auto points = exact_front(model.problem(), {.sweep = false}).points;
  std::vector<Assignment> found;
  for (const std::size_t i : evenly_spread(points.size(), count))
    found.push_back(points[i].assignment);
  return found;
}

/// Random assignments come where others are fewer than the population, so of themselves at once.
std::vector<Assignment> no_assignments(const LayerModel&, std::size_t) {
  return {};
}

struct Start {
  std::string name;
  /// So many assignments, or fewer.
  std::vector<Assignment> (*assignments)(const LayerModel& model, std::size_t count);
};

const std::vector<Start>& start_rows() {
  static const std::vector<Start> rows = {
      {"random", no_assignments}, {"greedy", greedy_assignments}, {"exact", exact_assignments}};
  return rows;
}

/// `population` assignments to begin with; random ones where the start has fewer.
std::vector<Assignment> starting_assignments(const LayerModel& model, const SearchOptions& options,
                                             std::uint64_t seed) {
  const auto size = static_cast<std::size_t>(options.population);
  const auto& rows = start_rows();
  const auto start = std::find_if(rows.begin(), rows.end(),
                                  [&](const Start& row) { return row.name == options.start; });
  std::vector<Assignment> starts = start->assignments(model, size);
  while (starts.size() < size) {
    const auto stream = derive_seed(seed, {static_cast<std::uint64_t>(starts.size())});
    starts.push_back(random_assignment(model.problem(), stream));
  }
  return starts;
}

/// The warm start made feasible, each assignment once.
std::vector<std::vector<std::uint64_t>> repaired(const LayerModel& model,
                                                 const Assignment& fallback,
                                                 const std::vector<Assignment>& warm_start) {
  const PlanningProblem& problem = model.problem();
  std::vector<bool> idle(problem.clients.size(), !problem.counts_units());
  for (const Assignment& assignment : warm_start) {
    for (int c = 0; c < problem.client_count(); ++c)
      if ((assignment.row(c).array() > 0).any()) idle[c] = false;
  }
  std::vector<std::vector<std::uint64_t>> found;
  std::set<std::vector<std::uint64_t>> seen;
  std::vector<WorthOfUnit> scratch;
  Eigen::VectorXd worth;
  for (Assignment assignment : warm_start) {
    repair(problem, fallback, assignment);
    for (const int c : model.movable()) {
      if (!idle[c]) continue;
      worth = problem.importance.row(c);
      fill_client(problem, c, worth.data(), assignment, scratch);
    }
    auto bits = to_bits(model, assignment);
    if (seen.insert(bits).second) found.push_back(std::move(bits));
  }
  return found;
}

/// Evaluates the warm start, with at most half of the evaluations.
void record_warm_start(SearchRun& run, const Assignment& fallback,
                       const std::vector<Assignment>& warm_start) {
  const auto warm = repaired(run.model, fallback, warm_start);
  const auto most = static_cast<std::size_t>((run.limit() + 1) / 2);
  for (const std::size_t i : evenly_spread(warm.size(), most)) {
    if (run.spent()) return;
    run.record(UnitState(run.model, warm[i]));
  }
}

/// As many assignments for every island as it has starts: the archive's, evenly spread and dealt
/// out in turn, so that each island gets some from all of the front, and then its own starts. (To
/// give up starts for earlier assignments would cost more than it gains where scores moved by more
/// than a few percent, as greedy starts are made for the new ones.)
std::vector<std::vector<Assignment>> with_archive(
    const SearchRun& run, const std::vector<std::vector<Assignment>>& starts) {
  const auto entries = run.archive.entries();
  const std::size_t size = starts.front().size();
  const auto chosen = evenly_spread(entries.size(), size * starts.size());
  std::vector<std::vector<Assignment>> populations(starts.size());
  for (std::size_t k = 0; k < chosen.size(); ++k) {
    populations[k % starts.size()].push_back(to_assignment(run.model, entries[chosen[k]]->bits));
  }
  for (std::size_t i = 0; i < starts.size(); ++i) {
    for (std::size_t k = 0; populations[i].size() < size; ++k)
      populations[i].push_back(starts[i][k]);
  }
  return populations;
}

}  // namespace

const std::vector<std::string>& search_starts() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const Start& start : start_rows()) all.push_back(start.name);
    return all;
  }();
  return names;
}

void check_search(const std::string& algorithm, const SearchOptions& options) {
  require_name("start", options.start, search_starts());
  if (options.evaluations < 1) {
    throw InputError("evaluations: found " + std::to_string(options.evaluations) +
                     ", allowed is 1 or more");
  }
  if (!(options.seconds >= 0))
    throw InputError("seconds: found " + std::to_string(options.seconds) +
                     ", allowed is 0 or more");
  if (options.population < 8 || options.population % 4 != 0) {
    throw InputError("population: found " + std::to_string(options.population) +
                     ", allowed is a multiple of 4 that is at least 8");
  }
  if (options.islands < 1)
    throw InputError("islands: found " + std::to_string(options.islands) +
                     ", allowed is 1 or more");
  const Algorithm* known = find_algorithm(algorithm);
  if (options.islands > 1 && known && known->uses.search && !known->uses.islands) {
    throw InputError("islands: found " + std::to_string(options.islands) + " with " + algorithm +
                     ", allowed is 1; islands are for Strata's own algorithms");
  }
}

void check_warm_start(const PlanningProblem& problem, const std::vector<Assignment>& warm_start) {
  for (std::size_t k = 0; k < warm_start.size(); ++k) {
    const Assignment& assignment = warm_start[k];
    const std::string where = "warm_start: assignment " + std::to_string(k) + ": ";
    if (assignment.rows() != problem.client_count() || assignment.cols() != problem.unit_count()) {
      throw InputError(where + "found " + std::to_string(assignment.rows()) + " clients and " +
                       std::to_string(assignment.cols()) + " units, the problem has " +
                       std::to_string(problem.client_count()) + " and " +
                       std::to_string(problem.unit_count()));
    }
    if (assignment.size() > 0 && assignment.maxCoeff() > 1) {
      throw InputError(where + "found an entry of " +
                       std::to_string(static_cast<int>(assignment.maxCoeff())) +
                       ", allowed are 0 and 1");
    }
  }
}

SearchResult search(const PlanningProblem& problem, const std::string& algorithm,
                    const SearchOptions& options, const std::optional<Objectives>& reference) {
  require_algorithm("algorithm", algorithm, search_algorithms());
  check_search(algorithm, options);
  check_warm_start(problem, options.warm_start);
  require_units(problem, "the algorithm " + algorithm);
  const Assignment feasible = feasible_assignment(problem);
  const LayerModel model(problem);
  const std::uint64_t stream = derive_seed(options.seed, algorithm);
  SearchRun run(model, {options.evaluations, options.seconds}, stream, reference);
  if (model.movable().empty()) {
    run.record(UnitState(model, feasible));
  } else {
    const AlgorithmRow& row = row_of(algorithm);
    const bool warm = !options.warm_start.empty();
    if (warm) record_warm_start(run, feasible, options.warm_start);
    std::vector<std::vector<Assignment>> starts;
    for (int i = 0; i < options.islands; ++i) {
      starts.push_back(starting_assignments(
          model, options, derive_seed(options.seed, {static_cast<std::uint64_t>(i)})));
      for (const Assignment& start : starts.back()) {
        // pagmo's algorithms evaluate their population themselves.
        if ((row.pagmo && !warm) || run.spent()) break;
        run.record(UnitState(model, start));
      }
    }
    if (warm) starts = with_archive(run, starts);
    if (row.pagmo) {
      row.pagmo(run, starts.front());
    } else if (options.islands > 1) {
      search_islands(run, row.search, options.seed, starts);
    } else if (!run.spent()) {
      std::vector<UnitState> population;
      for (const Assignment& start : starts.front()) population.emplace_back(model, start);
      row.search(run, population);
    }
  }
  run.finish();
  return {run.archive.front(model), run.evaluations(), run.seconds(), run.log()};
}

}  // namespace strata::optimizers
