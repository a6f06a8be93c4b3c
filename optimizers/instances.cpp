#include "strata/optimizers/instances.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "core/csv.h"
#include "core/text.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"
#include "strata/core/plan.h"
#include "strata/core/random.h"
#include "strata/core/score_table.h"
#include "strata/optimizers/exact_front.h"

namespace strata::optimizers {
namespace fs = std::filesystem;
namespace {

constexpr double kNoise = 0.5;  // of a client beside the trend's standard deviation of 1
constexpr int kMostEach = 100000;

/// 9x24 as two numbers.
bool parse_size(const std::string& text, std::int64_t& clients, std::int64_t& units) {
  const auto cross = text.find('x');
  if (cross == std::string::npos) return false;
  const std::string first = text.substr(0, cross), second = text.substr(cross + 1);
  return all_digits(first) && all_digits(second) && parse_integer(first, clients) &&
         parse_integer(second, units);
}

/// NAME of NAME.scores.csv or NAME.csv.
std::string stem_of(const fs::path& file) {
  const fs::path stem = file.stem();
  return stem.extension() == ".scores" ? stem.stem().string() : stem.string();
}

/// NAME-7 as NAME and 7.
Instance named_after(const std::string& stem) {
  const auto dash = stem.rfind('-');
  std::int64_t number = 0;
  if (dash != std::string::npos && dash > 0 && all_digits(stem.substr(dash + 1)) &&
      parse_integer(stem.substr(dash + 1), number))
    return {stem.substr(0, dash), static_cast<std::uint64_t>(number), {}};
  return {stem, 0, {}};
}

std::string file_stem(const Instance& instance) {
  return instance.seed == 0 ? instance.name : instance.name + "-" + std::to_string(instance.seed);
}

Instance read_instance(const fs::path& file, const std::string& budget) {
  if (!is_utf8(file.filename().string()))
    throw InputError(file.string() + ": the file's name is not valid UTF-8");
  Instance instance = named_after(stem_of(file));
  const ScoreTable scores = read_scores(file);
  const fs::path beside = file.parent_path() / (stem_of(file) + ".budgets.csv");
  if (!fs::exists(beside) && budget.empty()) {
    throw InputError(file.string() + ": no budgets: " + beside.string() +
                     " is not there and --budget is not given");
  }
  instance.problem = make_problem(scores, fs::exists(beside) ? beside.string() : budget);
  return instance;
}

std::vector<fs::path> score_files(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (entry.is_regular_file() && name.ends_with(".csv") && !name.ends_with(".budgets.csv") &&
        !name.ends_with(".front.csv"))
      files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  if (files.empty()) {
    throw InputError(folder.string() +
                     ": no scores; the folder must hold NAME.scores.csv and NAME.budgets.csv");
  }
  return files;
}

}  // namespace

PlanningProblem generate_instance(int clients, int units, std::uint64_t seed) {
  if (clients < 1 || units < 8) {
    throw InputError("instance " + std::to_string(clients) + "x" + std::to_string(units) +
                     ": allowed are at least 1 client and 8 units (budgets are 2 to units / 4)");
  }
  Random random(
      derive_seed(seed, {static_cast<std::uint64_t>(clients), static_cast<std::uint64_t>(units)}));
  PlanningProblem problem;
  std::vector<double> trend;
  for (int l = 0; l < units; ++l) {
    problem.units.push_back("layer-" + std::to_string(l));
    trend.push_back(random.normal());
  }
  problem.importance.resize(clients, units);
  for (int i = 0; i < clients; ++i) {
    problem.clients.push_back("client-" + std::to_string(i));
    for (int l = 0; l < units; ++l)
      problem.importance(i, l) = std::exp(trend[l] + kNoise * random.normal());
    problem.budgets.push_back(static_cast<int>(random.between(2, units / 4)));
  }
  normalise_rows(problem.importance);
  return problem;
}

std::vector<Instance> load_instances(const std::vector<std::string>& entries, int seeds,
                                     const std::string& budget) {
  std::vector<Instance> instances;
  for (const std::string& entry : entries) {
    std::int64_t clients = 0, units = 0;
    if (parse_size(entry, clients, units)) {
      if (clients > kMostEach || units > kMostEach)
        throw InputError("instance " + entry + ": at most 100000 clients and units are allowed");
      for (int seed = 1; seed <= seeds; ++seed) {
        const auto number = static_cast<std::uint64_t>(seed);
        instances.push_back(
            {entry, number,
             generate_instance(static_cast<int>(clients), static_cast<int>(units), number)});
      }
    } else if (fs::is_directory(entry)) {
      for (const fs::path& file : score_files(entry))
        instances.push_back(read_instance(file, budget));
    } else if (entry.ends_with(".csv")) {
      instances.push_back(read_instance(entry, budget));
    } else {
      throw InputError("instances: \"" + entry +
                       "\" is no size such as 9x24, no folder and no .csv file");
    }
  }
  std::set<std::pair<std::string, std::uint64_t>> seen;
  for (const Instance& instance : instances) {
    if (!seen.emplace(instance.name, instance.seed).second)
      throw InputError("instances: " + file_stem(instance) + " stands twice");
  }
  return instances;
}

void write_instances(const std::vector<Instance>& instances, const fs::path& folder) {
  for (const Instance& instance : instances) {
    const PlanningProblem& problem = instance.problem;
    ScoreTable scores;
    scores.clients = problem.clients;
    scores.units = problem.units;
    scores.scores = problem.importance;
    const std::string stem = file_stem(instance);
    write_scores(scores, folder / (stem + ".scores.csv"));
    std::string budgets = "client,budget\n";
    for (int i = 0; i < problem.client_count(); ++i)
      budgets += csv_field(problem.clients[i]) + "," + std::to_string(problem.budgets[i]) + "\n";
    write_file(folder / (stem + ".budgets.csv"), budgets);
    write_front_csv(exact_front(problem, {.sweep = false}).points.objectives(),
                    folder / (stem + ".front.csv"));
  }
}

}  // namespace strata::optimizers
