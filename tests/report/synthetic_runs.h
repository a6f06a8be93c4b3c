#pragma once
// Run folders as the runner leaves them, with made-up numbers, for the tests of the report.

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <numeric>
#include <string>
#include <vector>

#include "strata/core/atomic_file.h"
#include "strata/core/plan.h"
#include "strata/core/random.h"
#include "strata/core/score_table.h"
#include "strata/fedrunner/metrics.h"

namespace strata::test {

struct SyntheticRun {
  std::string name = "demo";
  std::string strategy = "f3ocus";
  std::string algorithm = "exact";  // exact, topk, random, full
  std::uint64_t seed = 1;
  int rounds = 5;
  int budget = 4;
  bool synthetic = true;
  int questions = 40,
      further_questions = 3;  // test questions of client i: the first + i · the second
  bool question_file = true;
  std::vector<std::string> clients = {"xray",   "ct",         "mri",       "ultrasound", "oct",
                                      "fundus", "dermoscopy", "histology", "endoscopy"};
  std::vector<std::string> units = {"block.0", "block.1", "block.2",  "block.3",
                                    "block.4", "block.5", "block.6",  "block.7",
                                    "block.8", "block.9", "block.10", "block.11"};
};

inline ScoreTable synthetic_scores(const SyntheticRun& run, int round) {
  ScoreTable table;
  table.metric = "lntk";
  table.samples = 32;
  table.clients = run.clients;
  table.units = run.units;
  table.scores.resize(table.client_count(), table.unit_count());
  Random random(derive_seed(run.seed, {static_cast<std::uint64_t>(round)}));
  for (int i = 0; i < table.client_count(); ++i) {
    for (int l = 0; l < table.unit_count(); ++l) {
      const double top = 0.7 * table.unit_count() + i % 3 - 0.4 * round;
      table.scores(i, l) = 0.15 + std::exp(-0.08 * (l - top) * (l - top)) + 0.25 * random.uniform();
    }
  }
  normalise_rows(table.scores);
  return table;
}

inline PlanningProblem synthetic_problem(const SyntheticRun& run, const ScoreTable& scores) {
  return {
      run.clients, run.units, scores.scores,
      std::vector<int>(run.clients.size(),
                       run.algorithm == "full" ? static_cast<int>(run.units.size()) : run.budget)};
}

// Each client's best units, then, for "exact", the single exchanges that cost least importance per
// unit of usage variance gained; every step is a point of the front and the middle one is the plan.
inline Plan synthetic_plan(const SyntheticRun& run, const ScoreTable& scores, int round) {
  const PlanningProblem problem = synthetic_problem(run, scores);
  Plan plan;
  plan.algorithm = run.algorithm;
  plan.kind = run.algorithm == "exact" ? AlgorithmKind::kExact : AlgorithmKind::kBaseline;
  plan.choose = "knee";
  plan.seed = run.seed;
  plan.clients = run.clients;
  plan.units = run.units;
  plan.scores_digest = digest(scores);
  plan.assignment = Assignment::Zero(problem.client_count(), problem.unit_count());
  Random random(derive_seed(run.seed, {99, static_cast<std::uint64_t>(round)}));
  for (int i = 0; i < problem.client_count(); ++i) {
    std::vector<int> order = random.sample(problem.unit_count(), problem.unit_count());
    if (run.algorithm != "random") {
      std::iota(order.begin(), order.end(), 0);
      std::stable_sort(order.begin(), order.end(),
                       [&](int a, int b) { return scores.scores(i, a) > scores.scores(i, b); });
    }
    for (int k = 0; k < problem.budgets[static_cast<std::size_t>(i)]; ++k) {
      plan.assignment(i, order[static_cast<std::size_t>(k)]) = 1;
    }
  }
  std::vector<std::pair<Objectives, Assignment>> steps = {
      {evaluate(problem, plan.assignment), plan.assignment}};
  while (run.algorithm == "exact") {
    const Objectives at = steps.back().first;
    double best = std::numeric_limits<double>::infinity();
    Assignment next;
    for (int i = 0; i < problem.client_count(); ++i) {
      for (int a = 0; a < problem.unit_count(); ++a) {
        for (int b = 0; b < problem.unit_count(); ++b) {
          if (!steps.back().second(i, a) || steps.back().second(i, b)) continue;
          Assignment trial = steps.back().second;
          std::swap(trial(i, a), trial(i, b));
          const Objectives to = evaluate(problem, trial);
          const double gain = at.usage_variance - to.usage_variance;
          if (gain < 1e-9) continue;
          const double price = (at.importance - to.importance) / gain;
          if (price < best) {
            best = price;
            next = trial;
          }
        }
      }
    }
    if (next.size() == 0) break;
    steps.emplace_back(evaluate(problem, next), next);
  }
  const auto& chosen = steps[steps.size() / 2];
  plan.objectives = chosen.first;
  plan.assignment = chosen.second;
  for (auto step = steps.rbegin(); step != steps.rend(); ++step) plan.front.push_back(step->first);
  plan.gap = {true, 0.0125, 0.005, run.algorithm == "exact" ? 1.0 : 0.25};
  plan.provenance = {{"strata", "0.1.0"}, {"commit", "0123456789ab"}};
  return plan;
}

// Row values are simple functions of their indices, so that a test can recompute every table.
inline fedrunner::RoundMetrics synthetic_row(const SyntheticRun& run, int round, int client) {
  fedrunner::RoundMetrics row;
  row.round = round;
  row.client = run.clients[static_cast<std::size_t>(client)];
  row.train_samples = 100 + 10 * client;
  row.test_samples = run.questions + run.further_questions * client;
  const double rate = run.algorithm == "exact" ? 0.5 : run.algorithm == "topk" ? 0.4 : 0.1;
  const auto seed = static_cast<int>(run.seed);
  const double accuracy = 0.25 + 0.02 * (client % 5) + 0.4 * (1 - std::exp(-rate * round)) +
                          0.01 * ((7 * seed + 3 * client + 5 * round) % 6) * (round > 0);
  const auto asked = static_cast<double>(row.test_samples);
  row.values.assign(3, std::round(accuracy * asked) / asked);
  row.test_loss = 2 - row.values[0];
  row.train_loss = round ? 1.5 / round : std::numeric_limits<double>::quiet_NaN();
  row.up_mbit = round ? 0.5 + 0.125 * client : 0;
  row.down_mbit = round ? 1 : 0;
  row.importance = row.usage_variance = std::numeric_limits<double>::quiet_NaN();
  row.seconds = round ? 0.25 : 0;
  row.peak_memory_mib = 100;
  return row;
}

inline std::vector<fedrunner::RoundMetrics> synthetic_metrics(const SyntheticRun& run) {
  std::vector<fedrunner::RoundMetrics> rows;
  const int clients = static_cast<int>(run.clients.size());
  for (int round = 0; round <= run.rounds; ++round) {
    fedrunner::RoundMetrics all = synthetic_row(run, round, 0), mean = all;
    all.client = "all";
    mean.client = "mean";
    all.values[0] = mean.values[0] = 0;
    all.test_samples = mean.test_samples = 0;
    all.up_mbit = mean.up_mbit = all.down_mbit = mean.down_mbit = 0;
    for (int i = 0; i < clients; ++i) {
      const fedrunner::RoundMetrics row = synthetic_row(run, round, i);
      all.values[0] += row.values[0] * static_cast<double>(row.test_samples);
      all.test_samples += row.test_samples;
      mean.values[0] += row.values[0] / clients;
      all.up_mbit += row.up_mbit;
      all.down_mbit += row.down_mbit;
      rows.push_back(row);
    }
    all.values[0] /= static_cast<double>(all.test_samples);
    mean.up_mbit = all.up_mbit / clients;
    mean.down_mbit = all.down_mbit / clients;
    rows.push_back(all);
    rows.push_back(mean);
  }
  return rows;
}

// Strategies agree on most questions, as models that learnt from the same examples do; the most
// frequent answer is right for two of five.
inline std::vector<fedrunner::QuestionResult> synthetic_questions(const SyntheticRun& run) {
  std::vector<fedrunner::QuestionResult> rows;
  for (int client = 0; client < static_cast<int>(run.clients.size()); ++client) {
    const fedrunner::RoundMetrics row = synthetic_row(run, run.rounds, client);
    Random shared(derive_seed(5, {static_cast<std::uint64_t>(client)}));
    Random own(derive_seed(run.seed, {static_cast<std::uint64_t>(client), run.algorithm.size()}));
    std::vector<std::pair<double, int>> difficulty;
    for (int q = 0; q < row.test_samples; ++q)
      difficulty.emplace_back(shared.uniform() + 0.4 * own.uniform(), q);
    std::sort(difficulty.begin(), difficulty.end());
    std::vector<bool> correct(static_cast<std::size_t>(row.test_samples));
    const auto right = std::lround(row.values[0] * static_cast<double>(row.test_samples));
    for (std::size_t k = 0; k < static_cast<std::size_t>(right); ++k)
      correct[static_cast<std::size_t>(difficulty[k].second)] = true;
    for (int q = 0; q < row.test_samples; ++q)
      rows.push_back({run.rounds, row.client, q, correct[static_cast<std::size_t>(q)], q % 5 < 2});
  }
  return rows;
}

inline void write_synthetic_run(const SyntheticRun& run, const std::filesystem::path& folder) {
  nlohmann::ordered_json json{{"version", 1},
                              {"name", run.name},
                              {"strategy", run.strategy},
                              {"seed", run.seed},
                              {"metric", "lntk"},
                              {"algorithm", run.algorithm},
                              {"budget", run.budget},
                              {"clients", run.clients},
                              {"units", {{"selectable", run.units}, {"always", {"head"}}}}};
  for (const std::string& unit : run.units) {
    json["unit_costs"].push_back({{"name", unit},
                                  {"parameters", 49984},
                                  {"bytes", 199936},
                                  {"forward_flops", 4.1e6},
                                  {"activation_bytes", 163840}});
  }
  json["unit_costs"].push_back({{"name", "head"},
                                {"parameters", 12000},
                                {"bytes", 48000},
                                {"forward_flops", 24000},
                                {"activation_bytes", 512}});
  json["foundation"] = "4f2d0c6b8a901122334455667788990011223344556677889900112233445566";
  json["synthetic"] = run.synthetic;
  json["status"] = "done";
  json["rounds_done"] = run.rounds;
  json["provenance"] = {{"strata", "0.1.0"},
                        {"commit", "0123456789ab"},
                        {"command", "strata run configs/demo.yaml --out results/demo"},
                        {"machine", "Example CPU, 2 cores"},
                        {"date", "2025-01-31"}};
  write_file(folder / "run.json", json.dump(1) + "\n");
  write_file(folder / "config.yaml",
             "name: demo\ndata:\n  folder: data/phantoms\n  partition: modality\nrun:\n  seeds: [" +
                 std::to_string(run.seed) +
                 "]\n  score: {every: 1}\n  note: \"<fixed> & 'checked'\"\n");
  fedrunner::write_metrics(
      {{"accuracy", "open_accuracy", "closed_accuracy"}, synthetic_metrics(run)},
      folder / "metrics.csv");
  if (run.question_file)
    fedrunner::write_questions(synthetic_questions(run), folder / "questions.csv");
  for (int round = 1; round <= run.rounds; ++round) {
    std::string number = std::to_string(round);
    number.insert(0, 3 - number.size(), '0');
    const ScoreTable scores = synthetic_scores(run, round);
    if (run.algorithm != "random") write_scores(scores, folder / "rounds" / number / "scores.json");
    write_plan(synthetic_plan(run, scores, round), folder / "rounds" / number / "plan.json");
  }
}

// f3ocus, topk and random (and full, with four) for every seed.
inline void write_synthetic_experiment(const std::filesystem::path& folder, int strategies,
                                       int seeds, SyntheticRun shape = {}) {
  const std::vector<std::pair<std::string, std::string>> kinds = {
      {"f3ocus", "exact"}, {"topk", "topk"}, {"random", "random"}, {"full", "full"}};
  for (int s = 0; s < strategies; ++s) {
    for (int seed = 1; seed <= seeds; ++seed) {
      std::tie(shape.strategy, shape.algorithm) = kinds[static_cast<std::size_t>(s)];
      shape.seed = static_cast<std::uint64_t>(seed);
      write_synthetic_run(shape, folder / (shape.strategy + "-seed" + std::to_string(seed)));
    }
  }
}

}  // namespace strata::test
