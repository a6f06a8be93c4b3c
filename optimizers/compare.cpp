#include "strata/optimizers/compare.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/interrupt.h"
#include "core/provenance.h"
#include "optimizers/algorithms.h"
#include "strata/core/error.h"
#include "strata/optimizers/exact_front.h"
#include "strata/optimizers/hypervolume.h"
#include "strata/optimizers/search.h"

namespace strata::optimizers {
namespace {

constexpr double kTie = 1e-12;  // of hypervolume ratios

/// What an instance's runs are measured against.
struct Reference {
  std::vector<Objectives> exact;
  Objectives nadir;
  double area = 0;
};

Reference reference_of(const Instance& instance) {
  Reference reference;
  reference.exact = exact_front(instance.problem, {.sweep = false}).points.objectives();
  // Sorted by ascending usage variance, and so by ascending importance.
  reference.nadir.importance = reference.exact.front().importance;
  reference.nadir.usage_variance = reference.exact.back().usage_variance;
  reference.area = hypervolume(reference.exact, reference.nadir);
  if (reference.area <= 0) {
    throw InputError("instance " + instance.name + ", seed " + std::to_string(instance.seed) +
                     ": its exact front has " + std::to_string(reference.exact.size()) +
                     " point(s) and no area; at least 3 are needed to compare on it");
  }
  return reference;
}

void require_choices(const char* what, const std::vector<std::string>& found,
                     const std::vector<std::string>& allowed) {
  if (found.empty())
    throw InputError(std::string(what) + ": none is given; at least one is needed");
  for (std::size_t i = 0; i < found.size(); ++i) {
    require_name(what, found[i], allowed);
    if (std::find(found.begin(), found.begin() + static_cast<std::ptrdiff_t>(i), found[i]) !=
        found.begin() + static_cast<std::ptrdiff_t>(i))
      throw InputError(std::string(what) + ": \"" + found[i] + "\" stands twice");
  }
}

void validate(const std::vector<Instance>& instances, const ComparisonOptions& options) {
  if (instances.empty()) throw InputError("instances: none is given; at least one is needed");
  for (const std::string& algorithm : options.algorithms)
    require_algorithm("algorithms", algorithm, search_algorithms());
  require_choices("algorithms", options.algorithms, search_algorithms());
  require_choices("starts", options.starts, search_starts());
  if (options.evaluations.empty())
    throw InputError("evaluations: none is given; at least one is needed");
  SearchOptions search{.population = options.population};
  for (auto it = options.evaluations.begin(); it != options.evaluations.end(); ++it) {
    search.evaluations = *it;
    check_search(options.algorithms.front(), search);
    if (std::find(options.evaluations.begin(), it, *it) != it)
      throw InputError("evaluations: " + std::to_string(*it) + " stands twice");
  }
  if (options.seeds < 1)
    throw InputError("seeds: found " + std::to_string(options.seeds) + ", allowed is 1 or more");
}

/// About ten a decade, the last is the budget.
std::vector<std::int64_t> curve_places(std::int64_t budget) {
  std::vector<std::int64_t> places;
  for (int tenth = 10;; ++tenth) {
    const std::int64_t place = std::llround(std::pow(10.0, tenth / 10.0));
    if (place >= budget) break;
    places.push_back(place);
  }
  places.push_back(budget);
  return places;
}

/// The hypervolume ratio after so many evaluations: 0 before the first line of the log.
std::vector<double> sample(const std::vector<SearchLogLine>& log, double area,
                           const std::vector<std::int64_t>& places) {
  std::vector<double> ratios;
  auto next = log.begin();
  double ratio = 0;
  for (const std::int64_t place : places) {
    for (; next != log.end() && next->evaluations <= place; ++next)
      ratio = next->hypervolume / area;
    ratios.push_back(ratio);
  }
  return ratios;
}

void measure(const SearchResult& result, const Reference& reference, ComparisonRun& run) {
  const std::vector<Objectives> front = objectives_of(result.front);
  run.hypervolume_ratio = hypervolume_ratio(front, reference.exact);
  run.igd_plus = igd_plus(front, reference.exact);
  run.spread = spread(front, reference.exact);
  run.points = static_cast<std::int64_t>(front.size());
  run.seconds = result.seconds;
  for (std::size_t t = 0; t < kComparisonTargets.size(); ++t) {
    for (const SearchLogLine& line : result.log) {
      if (line.hypervolume < kComparisonTargets[t] * reference.area) continue;
      run.reached[t] = {static_cast<double>(line.evaluations), line.seconds};
      break;
    }
  }
}

ComparisonGroup group_of(const ComparisonRun& run) {
  return {run.instance, run.algorithm, run.start, run.evaluations};
}

bool is_same_run(const ComparisonRun& a, const ComparisonRun& b) {
  return group_of(a) == group_of(b) && a.instance_seed == b.instance_seed && a.seed == b.seed;
}

std::string describe(const ComparisonRun& run) {
  return run.instance + " " + std::to_string(run.instance_seed) + ", " + run.algorithm + " from " +
         run.start + ", seed " + std::to_string(run.seed);
}

/// In order, each with the index of its instance.
std::vector<std::pair<std::size_t, ComparisonRun>> planned_runs(
    const std::vector<Instance>& instances, const ComparisonOptions& options) {
  std::vector<std::pair<std::size_t, ComparisonRun>> runs;
  for (std::size_t i = 0; i < instances.size(); ++i) {
    for (const std::string& start : options.starts) {
      for (const std::int64_t evaluations : options.evaluations) {
        for (const std::string& algorithm : options.algorithms) {
          for (int seed = 1; seed <= options.seeds; ++seed) {
            ComparisonRun run;
            run.instance = instances[i].name;
            run.instance_seed = instances[i].seed;
            run.algorithm = algorithm;
            run.start = start;
            run.evaluations = evaluations;
            run.seed = static_cast<std::uint64_t>(seed);
            runs.emplace_back(i, std::move(run));
          }
        }
      }
    }
  }
  return runs;
}

/// Curves being collected, one list of samples a run.
struct CurveSamples {
  ComparisonGroup group;
  std::vector<std::vector<double>> runs;
};

ComparisonCurve curve_of(const CurveSamples& samples) {
  ComparisonCurve curve;
  curve.group = samples.group;
  curve.evaluations = curve_places(samples.group.evaluations);
  for (std::size_t i = 0; i < curve.evaluations.size(); ++i) {
    std::vector<double> ratios;
    for (const auto& run : samples.runs) ratios.push_back(run[i]);
    const Quartiles q = quartiles(ratios);
    curve.lower.push_back(q.lower);
    curve.median.push_back(q.median);
    curve.upper.push_back(q.upper);
  }
  return curve;
}

using Runs = std::vector<const ComparisonRun*>;

template <typename Value>
Quartiles quartiles_of(const Runs& runs, Value value) {
  std::vector<double> values;
  for (const ComparisonRun* run : runs) values.push_back(value(*run));
  return quartiles(std::move(values));
}

ComparisonSummary summary_of(const ComparisonGroup& group, const Runs& runs) {
  ComparisonSummary summary;
  summary.group = group;
  summary.runs = static_cast<int>(runs.size());
  const auto over = [&](auto member) {
    return quartiles_of(runs,
                        [&](const ComparisonRun& run) { return static_cast<double>(run.*member); });
  };
  summary.hypervolume_ratio = over(&ComparisonRun::hypervolume_ratio);
  summary.igd_plus = over(&ComparisonRun::igd_plus);
  summary.spread = over(&ComparisonRun::spread);
  summary.points = over(&ComparisonRun::points);
  summary.seconds = over(&ComparisonRun::seconds);
  for (std::size_t t = 0; t < kComparisonTargets.size(); ++t) {
    auto& reached = summary.reached[t];
    reached.evaluations =
        quartiles_of(runs, [&](const ComparisonRun& run) { return run.reached[t].evaluations; });
    reached.seconds =
        quartiles_of(runs, [&](const ComparisonRun& run) { return run.reached[t].seconds; });
    reached.runs = static_cast<int>(std::count_if(runs.begin(), runs.end(), [&](const auto* run) {
      return std::isfinite(run->reached[t].evaluations);
    }));
  }
  return summary;
}

double mean_ratio(const Runs& runs) {
  double sum = 0;
  for (const ComparisonRun* run : runs) sum += run->hypervolume_ratio;
  return sum / static_cast<double>(runs.size());
}

/// Ratios in the order of instance seeds and seeds, so that runs of two groups make pairs.
std::vector<double> paired_ratios(Runs runs) {
  std::sort(runs.begin(), runs.end(), [](const ComparisonRun* a, const ComparisonRun* b) {
    return std::pair(a->instance_seed, a->seed) < std::pair(b->instance_seed, b->seed);
  });
  std::vector<double> ratios;
  for (const ComparisonRun* run : runs) ratios.push_back(run->hypervolume_ratio);
  return ratios;
}

void require_pairs(const Runs& a, const Runs& b) {
  const auto has = [](const Runs& runs, const ComparisonRun& wanted) {
    return std::any_of(runs.begin(), runs.end(), [&](const ComparisonRun* run) {
      return run->instance_seed == wanted.instance_seed && run->seed == wanted.seed;
    });
  };
  for (const ComparisonRun* run : a) {
    if (has(b, *run)) continue;
    throw InputError("comparison: there is a run of " + describe(*run) + ", but none of " +
                     b.front()->algorithm + " to pair it with");
  }
}

/// Marks the best of `rivals`, which share instance, start and evaluations, and tests the others
/// against it.
void test_against_best(const std::vector<std::size_t>& rivals, const std::vector<Runs>& runs,
                       std::vector<ComparisonSummary>& summaries) {
  const std::size_t best =
      *std::max_element(rivals.begin(), rivals.end(), [&](std::size_t a, std::size_t b) {
        const double median_a = summaries[a].hypervolume_ratio.median;
        const double median_b = summaries[b].hypervolume_ratio.median;
        if (std::abs(median_a - median_b) > kTie) return median_a < median_b;
        return mean_ratio(runs[a]) < mean_ratio(runs[b]) - kTie;
      });
  summaries[best].best = true;
  std::vector<std::size_t> others;
  std::vector<double> p;
  for (const std::size_t rival : rivals) {
    if (rival == best) continue;
    require_pairs(runs[best], runs[rival]);
    require_pairs(runs[rival], runs[best]);
    others.push_back(rival);
    p.push_back(
        wilcoxon_signed_rank(paired_ratios(runs[best]), paired_ratios(runs[rival]), kTie).p);
  }
  const std::vector<double> adjusted = holm(p);
  for (std::size_t i = 0; i < others.size(); ++i) summaries[others[i]].p = adjusted[i];
}

}  // namespace

bool holds_runs_of(const Comparison& comparison, const std::vector<Instance>& instances,
                   const ComparisonOptions& options) {
  const auto planned = planned_runs(instances, options);
  return comparison.population == options.population &&
         std::equal(planned.begin(), planned.end(), comparison.runs.begin(), comparison.runs.end(),
                    [](const auto& a, const ComparisonRun& b) { return is_same_run(a.second, b); });
}

Comparison compare(const std::vector<Instance>& instances, const ComparisonOptions& options) {
  validate(instances, options);
  // All before the first run, so that a bad instance does not cost the time of the others.
  std::vector<Reference> references;
  for (const Instance& instance : instances) references.push_back(reference_of(instance));

  const auto finished_runs = options.begin ? options.begin() : std::vector<FinishedRun>();

  Comparison comparison;
  comparison.provenance = provenance();
  comparison.population = options.population;
  std::vector<CurveSamples> samples;
  const auto total = static_cast<std::int64_t>(instances.size() * options.algorithms.size() *
                                               options.starts.size() * options.evaluations.size()) *
                     options.seeds;
  const auto keep = [&](FinishedRun finished) {
    const ComparisonGroup group = group_of(finished.run);
    auto found = std::find_if(samples.begin(), samples.end(),
                              [&](const CurveSamples& curve) { return curve.group == group; });
    if (found == samples.end()) found = samples.insert(samples.end(), {group, {}});
    found->runs.push_back(std::move(finished.curve));
    comparison.runs.push_back(std::move(finished.run));
  };
  const auto one_run = [&](std::size_t i, ComparisonRun run) {
    const auto earlier = std::find_if(finished_runs.begin(), finished_runs.end(),
                                      [&](const auto& one) { return is_same_run(one.run, run); });
    if (earlier != finished_runs.end()) return keep(*earlier);
    stop_if_interrupted();
    if (options.progress)
      options.progress(static_cast<std::int64_t>(comparison.runs.size()), total, describe(run));
    const SearchResult result = search(instances[i].problem, run.algorithm,
                                       {.start = run.start,
                                        .evaluations = run.evaluations,
                                        .population = options.population,
                                        .seed = run.seed},
                                       references[i].nadir);
    measure(result, references[i], run);
    FinishedRun finished;
    finished.curve = sample(result.log, references[i].area, curve_places(run.evaluations));
    finished.run = std::move(run);
    if (options.after_run) options.after_run(finished);
    keep(std::move(finished));
  };
  for (auto& [i, run] : planned_runs(instances, options)) one_run(i, std::move(run));
  for (const CurveSamples& curve : samples) comparison.curves.push_back(curve_of(curve));
  return comparison;
}

std::vector<ComparisonSummary> summarise(const std::vector<ComparisonRun>& runs) {
  std::vector<ComparisonGroup> groups;
  std::vector<Runs> members;
  for (const ComparisonRun& run : runs) {
    const ComparisonGroup group = group_of(run);
    const auto found = std::find(groups.begin(), groups.end(), group);
    const auto place = static_cast<std::size_t>(found - groups.begin());
    if (found == groups.end()) {
      groups.push_back(group);
      members.emplace_back();
    }
    members[place].push_back(&run);
  }
  std::vector<ComparisonSummary> summaries;
  for (std::size_t g = 0; g < groups.size(); ++g)
    summaries.push_back(summary_of(groups[g], members[g]));
  const auto are_rivals = [](const ComparisonGroup& a, const ComparisonGroup& b) {
    return a.instance == b.instance && a.start == b.start && a.evaluations == b.evaluations;
  };
  std::vector<ComparisonSummary> ordered;
  std::vector<bool> done(groups.size(), false);
  for (std::size_t first = 0; first < groups.size(); ++first) {
    if (done[first]) continue;
    std::vector<std::size_t> rivals;
    for (std::size_t g = first; g < groups.size(); ++g)
      if (are_rivals(groups[first], groups[g])) rivals.push_back(g);
    test_against_best(rivals, members, summaries);
    for (const std::size_t rival : rivals) {
      done[rival] = true;
      ordered.push_back(summaries[rival]);
    }
  }
  return ordered;
}

}  // namespace strata::optimizers
