#include "strata/ntk/score.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>

#include "models/model.h"
#include "ntk/importance_metrics.h"
#include "ntk/lntk.h"
#include "strata/core/error.h"
#include "strata/core/random.h"
#include "tasks/dataset.h"
#include "tasks/segmentation.h"
#include "tasks/task.h"

namespace strata::ntk {
namespace {

/// Rows in ascending order, so that the score depends on which samples were drawn and on nothing
/// else.
std::vector<std::int64_t> sample_rows(std::int64_t available, std::int64_t wanted,
                                      std::uint64_t seed) {
  std::vector<std::int64_t> rows;
  Random random(derive_seed(seed, "samples"));
  wanted = std::min(available, wanted);
  for (const int row : random.sample(static_cast<int>(available), static_cast<int>(wanted))) {
    rows.push_back(row);
  }
  std::sort(rows.begin(), rows.end());
  return rows;
}

/// For what is made of the outputs' gradients.
models::Batch outputs_batch(const models::Model& model, const tasks::Dataset& data,
                            const std::vector<std::int64_t>& rows, const ScoreOptions& options) {
  return data.outputs_batch(rows, model.device(), {options.answers, options.top_answers});
}

/// The task that says what the outputs are.
tasks::TaskPtr outputs_task(const tasks::Dataset& data, const ScoreOptions& options) {
  if (options.random_outputs == 0) return data.task().shared_from_this();
  return tasks::segmentation_in_random_directions(options.random_outputs,
                                                  derive_seed(options.seed, "outputs"));
}

void check_random_outputs(const models::Model& model, const ScoreOptions& options) {
  if (options.random_outputs < 0)
    throw InputError("random_outputs: found " + std::to_string(options.random_outputs) +
                     ", at least 0 is needed");
  if (options.random_outputs > 0 && !model.architecture().segments())
    throw InputError("random_outputs: is for models that segment; one of the type \"" +
                     model.architecture().type() + "\" does not");
}

void check(const tasks::Dataset& data, const std::vector<std::string>& metrics,
           const ScoreOptions& options) {
  for (const std::string& metric : metrics) require_name("metric", metric, metric_names());
  if (options.samples < 1) {
    throw InputError("samples: found " + std::to_string(options.samples) +
                     ", at least 1 is needed");
  }
  if (options.top < 1) {
    throw InputError("top: found " + std::to_string(options.top) + ", at least 1 is needed");
  }
  if (options.top_answers < 1) {
    throw InputError("top_answers: found " + std::to_string(options.top_answers) +
                     ", at least 1 is needed");
  }
  if (data.size() == 0) throw InputError("there are no samples to score on");
}

LntkOptions lntk_options(const ScoreOptions& options, bool loss) {
  LntkOptions lntk;
  lntk.outputs = loss ? NtkOutputs::kLoss : NtkOutputs::kOutputs;
  if (!loss) lntk.output_subset = options.outputs;
  lntk.top = options.top;
  lntk.memory_bytes = options.memory_bytes;
  lntk.parallel = options.parallel;
  lntk.seed = derive_seed(options.seed, "starts");
  lntk.progress = options.progress;
  return lntk;
}

UnitScore eigenvalue_score(const Spectrum& spectrum) {
  UnitScore score;
  score.value = spectrum.values.front();
  score.residual = spectrum.residual;
  if (!spectrum.converged) score.status = "not converged: a lower bound";
  score.eigenvalues = spectrum.values;
  score.second_start = spectrum.second_start;
  return score;
}

UnitScore plain_score(double value) {
  UnitScore score;
  score.value = value;
  return score;
}

/// Metrics that are made of a kernel.
struct Spectral {
  const char* name;
  bool loss;  ///< of the loss's gradients, not of the outputs'
};
constexpr Spectral kSpectral[] = {{"lntk", false}, {"trace", false}, {"gradient", true}};

/// Metrics of the unit's place or of chance; 0 is the model's lowest unit.
struct Placed {
  const char* name;
  double (*value)(const std::string& unit, std::size_t place, std::size_t count,
                  std::uint64_t seed);
};
constexpr Placed kPlaced[] = {
    {"random",
     [](const std::string& unit, std::size_t, std::size_t, std::uint64_t seed) {
       return 1 - Random(derive_seed(seed, "random " + unit)).uniform();
     }},
    {"first", [](const std::string&, std::size_t place, std::size_t count,
                 std::uint64_t) { return static_cast<double>(count - place); }},
    {"last", [](const std::string&, std::size_t place, std::size_t,
                std::uint64_t) { return static_cast<double>(place + 1); }},
};

template <typename Row, std::size_t N>
const Row* find_row(const Row (&rows)[N], const std::string& name) {
  const auto* found = std::find_if(std::begin(rows), std::end(rows),
                                   [&](const Row& row) { return row.name == name; });
  return found == std::end(rows) ? nullptr : found;
}

}  // namespace

std::string default_metric(const models::Model& model) {
  const models::Architecture& architecture = model.architecture();
  return architecture.answers_in_words() || architecture.segments() ? "gradient" : "lntk";
}

std::string settled_metric(const models::Model& model, const std::string& metric) {
  return metric == kAutoMetric ? default_metric(model) : metric;
}

std::vector<std::vector<UnitScore>> score_metrics(const models::Model& model,
                                                  const tasks::Dataset& data,
                                                  const std::vector<Unit>& units,
                                                  const std::vector<std::string>& asked_for,
                                                  const ScoreOptions& options) {
  std::vector<std::string> metrics;
  for (const std::string& metric : asked_for) metrics.push_back(settled_metric(model, metric));
  check(data, metrics, options);
  check_random_outputs(model, options);
  std::vector<std::vector<UnitScore>> scores(metrics.size());
  if (units.empty()) return scores;
  const auto asked = [&](const std::string& metric) {
    return std::find(metrics.begin(), metrics.end(), metric) != metrics.end();
  };
  const auto rows = sample_rows(data.size(), options.samples, options.seed);

  std::map<std::string, std::vector<UnitScore>> found;
  if (asked("lntk") || asked("trace")) {
    LntkOptions lntk = lntk_options(options, false);
    lntk.trace = asked("trace");
    const models::Batch outputs = outputs_batch(model, data, rows, options);
    const tasks::TaskPtr task = outputs_task(data, options);
    for (const UnitSpectrum& unit : layerwise_spectra(model, *task, outputs, units, lntk)) {
      found["lntk"].push_back(eigenvalue_score(unit.spectrum));
      found["trace"].push_back(plain_score(unit.trace));
    }
  }
  std::vector<std::string> measures;
  for (const std::string& metric : importance_metrics()) {
    if (asked(metric)) measures.push_back(metric);
  }
  const bool of_losses = asked("gradient") || !measures.empty();
  const models::Batch batch = of_losses ? data.batch(rows, model.device()) : models::Batch();
  if (asked("gradient")) {
    for (const UnitSpectrum& unit :
         layerwise_spectra(model, data.task(), batch, units, lntk_options(options, true))) {
      found["gradient"].push_back(eigenvalue_score(unit.spectrum));
    }
  }
  if (!measures.empty()) {
    if (std::any_of(measures.begin(), measures.end(), reads_samples))
      check_activations(model, batch);
    for (const auto& [metric, values] :
         importance_scores(model, data.task(), batch, units, measures,
                           {options.memory_bytes, options.frozen, options.progress})) {
      for (const double value : values) found[metric].push_back(plain_score(value));
    }
  }

  std::map<std::string, std::size_t> place;
  for (const Unit& unit : model.units()) place.emplace(unit.name, place.size());
  for (std::size_t m = 0; m < metrics.size(); ++m) {
    if (const auto at = found.find(metrics[m]); at != found.end()) {
      scores[m] = at->second;
      continue;
    }
    for (const Unit& unit : units) {
      const auto at = place.find(unit.name);
      if (at == place.end()) throw InputError("the model has no unit \"" + unit.name + "\"");
      scores[m].push_back(plain_score(
          find_row(kPlaced, metrics[m])->value(unit.name, at->second, place.size(), options.seed)));
    }
  }
  return scores;
}

std::vector<UnitScore> score_units(const models::Model& model, const tasks::Dataset& data,
                                   const std::vector<Unit>& units, const ScoreOptions& options) {
  return score_metrics(model, data, units, {options.metric}, options).front();
}

Eigen::MatrixXd loss_gradient_gram(const models::Model& model, const tasks::Task& task,
                                   const models::Batch& batch, const std::vector<Unit>& units) {
  Eigen::MatrixXd gram = Eigen::MatrixXd::Zero(batch.size(), batch.size());
  LntkOptions options;
  options.outputs = NtkOutputs::kLoss;
  options.method = NtkMethod::kGram;
  visit_unit_grams(
      model, task, batch, units, options, [&](const std::string&, const torch::Tensor& theta) {
        const torch::Tensor whole = theta.contiguous();
        gram +=
            Eigen::Map<const Eigen::MatrixXd>(whole.data_ptr<double>(), gram.rows(), gram.cols());
      });
  return gram;
}

ScoreEstimate estimate_score(const models::Model& model, const tasks::Dataset& data,
                             const std::vector<Unit>& units, const ScoreOptions& options) {
  const std::string metric = settled_metric(model, options.metric);
  check(data, {metric}, options);
  check_random_outputs(model, options);
  const std::int64_t samples = std::min<std::int64_t>(data.size(), options.samples);
  const auto rows = sample_rows(data.size(), 2, options.seed);
  const models::Batch trial = data.batch(rows, model.device());
  const auto& measures = importance_metrics();
  if (const Spectral* spectral = find_row(kSpectral, metric)) {
    return estimate_spectra(model, *outputs_task(data, options),
                            spectral->loss ? trial : outputs_batch(model, data, rows, options),
                            samples, units, lntk_options(options, spectral->loss));
  }
  // Metrics of the unit's place or of chance take nothing.
  if (std::find(measures.begin(), measures.end(), metric) == measures.end()) return {};
  const ImportanceOptions limits{options.memory_bytes, options.frozen, {}};
  const ImportancePlan plan = plan_importance(model, trial, samples, units, {metric}, limits);
  const ImportancePlan short_plan =
      plan_importance(model, trial, trial.size(), units, {metric}, limits);
  ScoreEstimate estimate{0, plan.bytes, plan.least_bytes, 0};
  if (plan.groups.empty()) return estimate;
  const auto start = std::chrono::steady_clock::now();
  importance_scores(model, data.task(), trial, units, {metric}, limits);
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const double passes =
      static_cast<double>(plan.groups.size()) / static_cast<double>(short_plan.groups.size());
  // Time goes with the samples, but for magnitude and synflow, which read none.
  const bool reads = reads_samples(metric);
  estimate.seconds = seconds * passes *
                     (reads ? static_cast<double>(samples) / static_cast<double>(trial.size()) : 1);
  return estimate;
}

}  // namespace strata::ntk
