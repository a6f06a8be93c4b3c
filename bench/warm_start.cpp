// What a warm start is worth. A sequence of plans, as of rounds of a federated run: from one to the
// next every score is multiplied by exp(noise · normal) and rows are divided by their sums again.
// Each of the five metaheuristics plans every one of them, once from its ordinary start (cold) and
// once with the archive of the plan before as well (warm; the first plan is cold), at the same
// numbers of evaluations. Beside their hypervolumes over that of the exact supported front stands
// what the earlier archive has under the new scores without any search (kept).
//
//   bench_warm_start OUT.csv     four minutes on one core

#include <cmath>
#include <iostream>

#include "cli/report_errors.h"
#include "core/console.h"
#include "core/csv.h"
#include "core/provenance.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"
#include "strata/core/plan_archive.h"
#include "strata/core/random.h"
#include "strata/optimizers/exact_front.h"
#include "strata/optimizers/hypervolume.h"
#include "strata/optimizers/instances.h"
#include "strata/optimizers/search.h"
#include "strata/optimizers/statistics.h"

using namespace strata;
using namespace strata::cli;
using namespace strata::optimizers;

namespace {

constexpr int kPlans = 4;  // the first of which has nothing to begin with
constexpr int kSeeds = 2;

struct Step {
  PlanningProblem problem;
  std::vector<Objectives> exact;
};

std::vector<Step> sequence(int clients, int units, std::uint64_t seed, double noise) {
  std::vector<Step> steps;
  PlanningProblem problem = generate_instance(clients, units, seed);
  Random random(derive_seed(seed, "drift"));
  for (int k = 0; k < kPlans; ++k) {
    steps.push_back({problem, exact_front(problem, {.sweep = false}).points.objectives()});
    for (int i = 0; i < clients; ++i) {
      for (int l = 0; l < units; ++l) problem.importance(i, l) *= std::exp(noise * random.normal());
    }
    normalise_rows(problem.importance);
  }
  return steps;
}

/// One value for every plan but the first of every sequence.
struct Measured {
  std::vector<double> cold, warm, kept, cold_seconds, warm_seconds;
};

void measure(const std::vector<Step>& steps, const std::string& algorithm, SearchOptions options,
             Measured& measured) {
  std::vector<Assignment> archive;
  for (int k = 0; k < kPlans; ++k) {
    const Step& step = steps[k];
    options.seed = static_cast<std::uint64_t>(k + 1);
    options.warm_start.clear();
    const SearchResult cold = search(step.problem, algorithm, options);
    SearchResult warm = cold;
    if (k > 0) {
      std::vector<Objectives> kept;
      for (const Assignment& assignment : archive)
        kept.push_back(evaluate(step.problem, assignment));
      options.warm_start = archive;
      warm = search(step.problem, algorithm, options);
      measured.cold.push_back(hypervolume_ratio(objectives_of(cold.front), step.exact));
      measured.warm.push_back(hypervolume_ratio(objectives_of(warm.front), step.exact));
      measured.kept.push_back(hypervolume_ratio(kept, step.exact));
      measured.cold_seconds.push_back(cold.seconds);
      measured.warm_seconds.push_back(warm.seconds);
    }
    // As a run's state keeps it: at most 1,000 of the front's assignments.
    Plan plan;
    plan.clients = step.problem.clients;
    plan.units = step.problem.units;
    for (FrontPoint& point : warm.front) plan.archive.push_back(std::move(point.assignment));
    archive = archive_of(plan).assignments;
  }
}

int run(int argc, char** argv) {
  if (argc != 2) throw InputError("usage: bench_warm_start OUT.csv");
  set_command_line(argc, argv);
  std::string csv =
      "instance,noise,algorithm,start,evaluations,runs,cold_q1,cold_median,cold_q3,warm_q1,"
      "warm_median,warm_q3,kept_median,warm_better,cold_seconds_median,warm_seconds_median\n";
  TextTable table({"instance", "noise", "algorithm", "start", "evaluations", "cold", "warm", "kept",
                   "warm better", "cold s", "warm s"});
  for (const auto& [clients, units] : {std::pair{20, 48}, {100, 48}}) {
    const std::string name = std::to_string(clients) + "x" + std::to_string(units);
    for (const double noise : {0.03, 0.1}) {
      std::vector<std::vector<Step>> sequences;
      for (int seed = 1; seed <= kSeeds; ++seed)
        sequences.push_back(sequence(clients, units, static_cast<std::uint64_t>(seed), noise));
      for (const std::string& algorithm : metaheuristics()) {
        for (const std::string start : {"random", "greedy"}) {
          for (const std::int64_t evaluations : {500, 2000, 20000}) {
            Measured measured;
            for (const auto& steps : sequences)
              measure(steps, algorithm, {.start = start, .evaluations = evaluations}, measured);
            const Quartiles cold = quartiles(measured.cold), warm = quartiles(measured.warm);
            const double kept = quartiles(measured.kept).median;
            int better = 0;
            for (std::size_t k = 0; k < measured.cold.size(); ++k)
              better += measured.warm[k] > measured.cold[k];
            const double cold_seconds = quartiles(measured.cold_seconds).median;
            const double warm_seconds = quartiles(measured.warm_seconds).median;
            csv += name + "," + format_double(noise) + "," + algorithm + "," + start + "," +
                   std::to_string(evaluations) + "," + std::to_string(measured.cold.size());
            for (const double value :
                 {cold.lower, cold.median, cold.upper, warm.lower, warm.median, warm.upper, kept,
                  static_cast<double>(better), cold_seconds, warm_seconds}) {
              csv += "," + format_double(value);
            }
            csv += "\n";
            table.row({name, format_double(noise), algorithm, start, std::to_string(evaluations),
                       fixed(cold.median, 4), fixed(warm.median, 4), fixed(kept, 4),
                       std::to_string(better) + "/" + std::to_string(measured.cold.size()),
                       fixed(cold_seconds, 3), fixed(warm_seconds, 3)});
          }
        }
      }
    }
  }
  write_file(argv[1], csv);
  for (const auto& [key, value] : provenance()) std::cout << key << ": " << value << '\n';
  std::cout << '\n' << table.str();
  return kExitDone;
}

}  // namespace

int main(int argc, char** argv) {
  return report_errors([&] { return run(argc, argv); }, "bench_warm_start");
}
