#include "report/result.h"

#include <algorithm>
#include <cmath>

#include "core/console.h"
#include "core/text.h"
#include "report/run_statistics.h"
#include "strata/optimizers/statistics.h"

namespace strata::report {
namespace {

using fedrunner::kAllRow, fedrunner::kMeanRow;

std::int64_t right_of(const fedrunner::RoundMetrics& row) {
  return std::llround(row.values.front() * static_cast<double>(row.test_samples));
}

bool measured(const fedrunner::RoundMetrics* row) {
  return row && row->test_samples > 0 && !std::isnan(row->values.front());
}

Interval scaled(const Interval& interval, double factor) {
  return {factor * interval.value, factor * interval.low, factor * interval.high};
}

Interval within_percent(Interval interval) {
  interval.low = std::max(0.0, interval.low);
  interval.high = std::min(100.0, interval.high);
  return interval;
}

/// One question's share of the accuracy, in percent.
double grain_of(const RunFolder& run, const std::string& client) {
  const fedrunner::RoundMetrics* row = run.find(final_round(run), client);
  return measured(row) ? 100.0 / static_cast<double>(row->test_samples) : 0;
}

/// Whether two runs answered the same questions, as far as their files tell: as many of every
/// client, in the same order, and the most frequent answer right for the same ones.
bool same_questions(const RunFolder& a, const RunFolder& b) {
  return !a.questions.empty() &&
         std::equal(a.questions.begin(), a.questions.end(), b.questions.begin(), b.questions.end(),
                    [](const fedrunner::QuestionResult& x, const fedrunner::QuestionResult& y) {
                      return x.client == y.client && x.question == y.question &&
                             x.majority_correct == y.majority_correct;
                    });
}

Difference in_points(Difference difference) {
  difference.interval = scaled(difference.interval, 100);
  return difference;
}

Difference over_questions(const RunFolder& a, const RunFolder& b, bool& paired) {
  paired = same_questions(a, b);
  if (paired) {
    std::int64_t gained = 0, lost = 0;
    for (std::size_t i = 0; i < a.questions.size(); ++i) {
      gained += a.questions[i].correct && !b.questions[i].correct;
      lost += !a.questions[i].correct && b.questions[i].correct;
    }
    return in_points(paired_questions(gained, lost, static_cast<std::int64_t>(a.questions.size())));
  }
  const fedrunner::RoundMetrics &first = *a.find(final_round(a), kAllRow),
                                &second = *b.find(final_round(b), kAllRow);
  return in_points(unpaired_questions(right_of(first), first.test_samples, right_of(second),
                                      second.test_samples));
}

Difference majority_over_questions(const RunFolder& run) {
  std::int64_t gained = 0, lost = 0;
  for (const fedrunner::QuestionResult& question : run.questions) {
    gained += question.correct && !question.majority_correct;
    lost += !question.correct && question.majority_correct;
  }
  return in_points(paired_questions(gained, lost, static_cast<std::int64_t>(run.questions.size())));
}

/// In percent; NaN without a questions.csv.
double majority_of(const RunFolder& run, const std::string& client = "") {
  std::int64_t right = 0, all = 0;
  for (const fedrunner::QuestionResult& question : run.questions) {
    if (!client.empty() && question.client != client) continue;
    ++all;
    right += question.majority_correct;
  }
  return all ? 100.0 * static_cast<double>(right) / static_cast<double>(all) : kNaN;
}

/// Runs of both strategies with the same seed that can be held against each other.
std::vector<std::pair<const RunFolder*, const RunFolder*>> pairs_of(const Runs& first,
                                                                    const Runs& second) {
  std::vector<std::pair<const RunFolder*, const RunFolder*>> pairs;
  for (const RunFolder* a : first) {
    for (const RunFolder* b : second) {
      if (a->seed == b->seed && final_round(*a) == final_round(*b) &&
          measured(a->find(final_round(*a), kAllRow)) &&
          measured(b->find(final_round(*b), kAllRow)))
        pairs.emplace_back(a, b);
    }
  }
  return pairs;
}

void add_contrasts(const Experiment& experiment, Result& result) {
  const auto& names = experiment.strategies;
  for (std::size_t i = 0; i < names.size(); ++i) {
    for (std::size_t j = i + 1; j < names.size(); ++j) {
      const auto pairs = pairs_of(experiment.of(names[i]), experiment.of(names[j]));
      if (pairs.empty()) {
        result.not_compared.push_back(names[i] + " and " + names[j]);
        continue;
      }
      if (pairs.size() == 1 && !result.judged) {
        result.without_test.push_back(names[i] + " and " + names[j]);
        continue;
      }
      Contrast contrast{names[i], names[j], {}, Over::kSeeds, true, 1};
      if (pairs.size() > 1) {
        std::vector<double> differences;
        for (const auto& [a, b] : pairs)
          differences.push_back(accuracy(*a, final_round(*a), kAllRow) -
                                accuracy(*b, final_round(*b), kAllRow));
        contrast.difference = paired_seeds(differences, grain_of(*pairs[0].first, kAllRow));
      } else {
        contrast.over = Over::kQuestions;
        contrast.difference = over_questions(*pairs[0].first, *pairs[0].second, contrast.paired);
      }
      result.contrasts.push_back(std::move(contrast));
    }
  }
  if (!result.questions_known) return;
  for (const std::string& name : names) {
    const Runs runs = experiment.of(name);
    Contrast contrast{name, kMajority, {}, Over::kSeeds, true, 1};
    if (runs.size() > 1) {
      std::vector<double> differences;
      for (const RunFolder* run : runs)
        differences.push_back(accuracy(*run, final_round(*run), kAllRow) - majority_of(*run));
      contrast.difference = paired_seeds(differences, grain_of(*runs[0], kAllRow));
    } else {
      contrast.over = Over::kQuestions;
      contrast.difference = majority_over_questions(*runs[0]);
    }
    result.contrasts.push_back(std::move(contrast));
  }
}

void adjust(std::vector<Contrast>& contrasts) {
  std::vector<double> p;
  for (const Contrast& contrast : contrasts) p.push_back(contrast.difference.p);
  const auto adjusted = optimizers::holm(p);
  for (std::size_t i = 0; i < contrasts.size(); ++i) contrasts[i].adjusted_p = adjusted[i];
}

std::string range(const Interval& interval) {
  return signed_text(interval.low, 1) + " to " + signed_text(interval.high, 1) + " points";
}

}  // namespace

bool Contrast::with_majority() const {
  return second == kMajority;
}

Interval client_accuracy(const Runs& runs, int round, const std::string& client) {
  std::vector<double> values;
  const fedrunner::RoundMetrics* only = nullptr;
  double grain = 0;
  for (const RunFolder* run : runs) {
    const fedrunner::RoundMetrics* row = run->find(round < 0 ? final_round(*run) : round, client);
    if (!measured(row)) continue;
    only = row;
    values.push_back(100 * row->values.front());
    grain = 100.0 / static_cast<double>(row->test_samples);
  }
  if (values.empty()) return {kNaN, kNaN, kNaN};
  // Of a plain mean over clients the number of right answers is not known.
  if (runs.size() == 1 && (client == kMeanRow || !runs.front()->judged))
    return {values[0], kNaN, kNaN};
  if (runs.size() == 1) {
    Interval interval = scaled(wilson(right_of(*only), only->test_samples), 100);
    interval.value = values[0];
    return interval;
  }
  return within_percent(mean_interval(values, grain));
}

Result result_of(const Experiment& experiment) {
  Result result;
  const RunFolder& primary = *experiment.of(experiment.strategies.front()).front();
  result.questions_known = std::all_of(experiment.runs.begin(), experiment.runs.end(),
                                       [](const RunFolder& run) { return !run.questions.empty(); });
  result.metric = primary.main_metric();
  result.judged = std::all_of(experiment.runs.begin(), experiment.runs.end(),
                              [](const RunFolder& run) { return run.judged; });
  const int last = final_round(primary);
  for (const std::string& client : primary.clients) {
    const fedrunner::RoundMetrics* row = primary.find(last, client);
    result.client_questions.push_back(row ? row->test_samples : 0);
    result.questions += result.client_questions.back();
    result.client_majority.push_back(majority_of(primary, client));
  }
  result.majority = majority_of(primary);
  const auto [least, most] =
      std::minmax_element(result.client_questions.begin(), result.client_questions.end());
  result.equal_clients = *least == *most;
  for (const std::string& name : experiment.strategies) {
    const Runs runs = experiment.of(name);
    result.strategies.push_back({name, client_accuracy(runs, -1, kAllRow),
                                 runs.size() > 1 ? Over::kSeeds : Over::kQuestions});
  }
  result.before = client_accuracy({&primary}, 0, kAllRow);
  add_contrasts(experiment, result);
  adjust(result.contrasts);
  return result;
}

std::string interval_kind(const Result& result) {
  bool seeds = false, questions = false;
  for (const StrategyResult& strategy : result.strategies)
    (strategy.over == Over::kSeeds ? seeds : questions) = true;
  if (!result.judged)
    return seeds ? "95 % intervals over the seeds (Student's t) where a strategy has several"
                 : "no intervals, as one seed tells nothing of chance";
  if (seeds && questions)
    return "95 % intervals: over the seeds (Student's t) where a strategy has several, else over "
           "the test questions (Wilson)";
  return seeds ? "95 % intervals over the seeds (Student's t)"
               : "95 % intervals over the test questions (Wilson)";
}

std::string question_counts(const Result& result) {
  const auto& counts = result.client_questions;
  const auto [least, most] = std::minmax_element(counts.begin(), counts.end());
  return counted(counts.size(), "client") + " with " + grouped(result.questions) +
         (result.judged ? " test questions" : " test stacks") +
         (counts.size() == 1 ? std::string()
          : *least == *most  ? " (" + grouped(*least) + " each)"
                             : " (" + grouped(*least) + " to " + grouped(*most) + " each)");
}

std::string verdict(const Result& result) {
  std::vector<std::string> apart, together, above, below, level;
  std::size_t pairs = 0;
  bool seeds = false;
  for (const Contrast& contrast : result.contrasts) {
    seeds = seeds || contrast.over == Over::kSeeds;
    const bool up = contrast.difference.interval.value > 0;
    if (contrast.with_majority()) {
      (!contrast.distinguishable() ? level : up ? above : below).push_back(contrast.first);
      continue;
    }
    ++pairs;
    if (contrast.distinguishable()) {
      const Interval& d = contrast.difference.interval;
      const Interval from_above = up ? d : Interval{-d.value, -d.high, -d.low};
      const bool first = apart.empty();
      apart.push_back((up ? contrast.first : contrast.second) + " above " +
                      (up ? contrast.second : contrast.first) + " (" +
                      (first ? "95 % interval of the difference " : "") + range(from_above) + ")");
    } else {
      together.push_back(contrast.first + " and " + contrast.second);
    }
  }
  constexpr std::size_t kMost = 4;
  std::string said;
  const auto add = [&](const std::string& sentence) {
    said += (said.empty() ? "" : " ") + sentence;
  };
  if (pairs > 0 && apart.empty()) {
    add(std::string(pairs == 1 ? "The two strategies cannot be told apart: their difference is no"
                               : "No two strategies can be told apart: no difference is") +
        " greater than " + (seeds ? "other seeds" : "another choice of test questions") +
        " may make by chance. That does not show that they are equal.");
  } else if (pairs > 0) {
    if (apart.size() <= kMost) {
      add("Told apart: " + joined(apart, "; ") + ".");
    } else {
      add(std::to_string(apart.size()) + " of " + std::to_string(pairs) +
          " pairs of strategies can be told apart (listed below).");
    }
    if (!together.empty() && together.size() <= kMost)
      add("Not told apart: " + joined(together, "; ") + ".");
    if (together.size() > kMost && apart.size() <= kMost)
      add("The other " + std::to_string(together.size()) + " pairs are not told apart.");
  }
  std::vector<std::string> parts;
  if (!above.empty()) parts.push_back("above it: " + joined(above));
  if (!below.empty()) parts.push_back("below it: " + joined(below));
  if (!level.empty()) parts.push_back("not told apart from it: " + joined(level));
  if (!parts.empty())
    add("Against each client's most frequent training answer (" + text(result.majority, 1) +
        " %): " + joined(parts, "; ") + ".");
  if (!result.without_test.empty())
    add("Not compared, as one seed each tells nothing of chance: " +
        joined(result.without_test, "; ") + ".");
  if (!result.not_compared.empty())
    add("Not compared, as they share no seed at the same round: " +
        joined(result.not_compared, "; ") + ".");
  return said;
}

}  // namespace strata::report
