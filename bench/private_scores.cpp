// What private scores do to plans. Each instance's scores are clipped and noised for several ε, as
// one release or as one of 60. Then the exact front's knee is planned, once with each client's own
// noised row and once with the mean of all noised rows for every client, and measured by the true
// scores, beside the same plans without noise and random assignments.
//
//   bench_private_scores OUT.csv ENTRY…      entries as in load_instances, budgets beside the files

#include <cmath>
#include <cstdio>
#include <iostream>
#include <optional>

#include "cli/report_errors.h"
#include "core/console.h"
#include "core/csv.h"
#include "core/provenance.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"
#include "strata/ntk/private_scores.h"
#include "strata/optimizers/baselines.h"
#include "strata/optimizers/choose.h"
#include "strata/optimizers/exact_front.h"
#include "strata/optimizers/instances.h"
#include "strata/optimizers/statistics.h"

using namespace strata;
using namespace strata::cli;
using namespace strata::ntk;
using namespace strata::optimizers;

namespace {

constexpr double kDelta = 1e-5;
constexpr int kRounds = 60;
constexpr int kSeeds = 100;
const std::vector<double> kEpsilons = {0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000};

Assignment knee_plan(const PlanningProblem& problem) {
  const ExactFront front = exact_front(problem, {.sweep = false});
  return front.points[choose(front.points.objectives(), "knee")].assignment;
}

/// Assignments of several seeds, measured by the true scores.
struct Measured {
  std::vector<double> importance, of_bound, usage_variance, same;
};

double mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

class Measurement {
 public:
  Measurement(const Instance& instance, std::string& csv)
      : name_(instance.name), problem_(instance.problem), csv_(csv) {
    front_ = exact_front(problem_, {.sweep = false});
    plan_ = knee_plan(problem_);
    Measured planned;
    add(plan_, planned);
    true_importance_ = planned.importance[0];
    Measured random;
    for (int seed = 1; seed <= kSeeds; ++seed) add(random_assignment(problem_, seed), random);
    random_importance_ = mean(random.importance);
    write("without noise", {}, nullptr, 1, planned);
    Measured averaged;
    add(knee_plan(with_mean_row(problem_.importance)), averaged);
    write("without noise, mean row", {}, nullptr, 1, averaged);
    write("random", {}, nullptr, kSeeds, random);
  }

  void measure(int releases, double epsilon) {
    ScoreTable table;
    table.clients = problem_.clients;
    table.units = problem_.units;
    table.scores = problem_.importance;
    PrivacyOptions options;
    options.epsilon = epsilon;
    options.delta = kDelta;
    options.releases = releases;
    Measured noised, averaged;
    PrivateScores scores;
    for (int seed = 1; seed <= kSeeds; ++seed) {
      options.seed = seed;
      scores = privatise_scores(table, options);
      PlanningProblem noisy = problem_;
      noisy.importance = scores.table.scores;
      add(knee_plan(noisy), noised);
      add(knee_plan(with_mean_row(scores.table.scores)), averaged);
    }
    write("noised", releases, &scores, kSeeds, noised);
    write("noised, mean row", releases, &scores, kSeeds, averaged);
  }

  /// What was measured so far.
  std::string text() const { return table_.str(); }

 private:
  /// The problem with every client's row replaced by the mean of the given rows: what clients agree
  /// on, with less noise.
  PlanningProblem with_mean_row(const Eigen::MatrixXd& rows) const {
    PlanningProblem problem = problem_;
    problem.importance = rows.colwise().mean().replicate(rows.rows(), 1);
    return problem;
  }

  void add(const Assignment& assignment, Measured& measured) const {
    const Objectives objectives = evaluate(problem_, assignment);
    measured.importance.push_back(objectives.importance);
    measured.of_bound.push_back(objectives.importance /
                                front_.importance_bound(objectives.usage_variance));
    measured.usage_variance.push_back(objectives.usage_variance);
    measured.same.push_back(
        static_cast<double>((assignment.array() * plan_.array()).cast<int>().sum()) /
        plan_.cast<int>().sum());
  }

  void write(const std::string& plan, std::optional<int> releases, const PrivateScores* scores,
             int seeds, const Measured& measured) {
    std::vector<std::string> fields = {name_, std::to_string(problem_.client_count()),
                                       std::to_string(problem_.unit_count()), plan,
                                       releases ? std::to_string(*releases) : ""};
    for (const auto value : {&PrivateScores::epsilon, &PrivateScores::delta,
                             &PrivateScores::release_epsilon, &PrivateScores::sigma}) {
      fields.push_back(scores ? format_double(scores->*value) : "");
    }
    // The noise of an entry against what it hides: the norm of a clipped row.
    fields.push_back(scores ? format_double(scores->sigma / scores->clip) : "");
    const Quartiles importance = quartiles(measured.importance);
    const double gain = true_importance_ - random_importance_;
    for (const double value :
         {static_cast<double>(seeds), mean(measured.importance) / true_importance_,
          importance.lower / true_importance_, importance.upper / true_importance_,
          (mean(measured.importance) - random_importance_) / gain, mean(measured.of_bound),
          mean(measured.usage_variance), mean(measured.same)}) {
      fields.push_back(format_double(value));
    }
    for (std::size_t i = 0; i < fields.size(); ++i) csv_ += (i ? "," : "") + csv_field(fields[i]);
    csv_ += '\n';
    std::vector<std::string> cells = {plan, releases ? std::to_string(*releases) : ""};
    cells.push_back(scores ? format_double(scores->epsilon) : "");
    cells.push_back(scores ? fixed(scores->sigma / scores->clip, 3) : "");
    for (const double value :
         {mean(measured.importance) / true_importance_,
          (mean(measured.importance) - random_importance_) / gain, mean(measured.of_bound),
          mean(measured.usage_variance), mean(measured.same)}) {
      cells.push_back(fixed(value, 3));
    }
    table_.row(cells);
  }

  std::string name_;
  const PlanningProblem& problem_;
  std::string& csv_;
  TextTable table_{{"plan", "releases", "epsilon", "noise/norm", "importance", "gain", "of bound",
                    "usage variance", "same units"}};
  ExactFront front_;
  Assignment plan_;
  double true_importance_ = 0, random_importance_ = 0;
};

int run(int argc, char** argv) {
  if (argc < 3) throw InputError("usage: bench_private_scores OUT.csv ENTRY…");
  set_command_line(argc, argv);
  std::string csv =
      "instance,clients,units,plan,releases,epsilon,delta,release_epsilon,sigma,sigma_over_norm,"
      "seeds,importance,importance_q1,importance_q3,gain,of_bound,usage_variance,same_units\n";
  std::string text;
  for (const Instance& instance :
       load_instances(std::vector<std::string>(argv + 2, argv + argc), 1, "")) {
    Measurement measurement(instance, csv);
    for (const int releases : {1, kRounds}) {
      for (const double epsilon : kEpsilons) measurement.measure(releases, epsilon);
    }
    text += '\n' + instance.name + '\n' + measurement.text();
  }
  write_file(argv[1], csv);
  for (const auto& [key, value] : provenance()) std::cout << key << ": " << value << '\n';
  std::cout << text;
  return kExitDone;
}

}  // namespace

int main(int argc, char** argv) {
  return report_errors([&] { return run(argc, argv); }, "bench_private_scores");
}
