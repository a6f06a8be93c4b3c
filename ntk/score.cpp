#include "strata/ntk/score.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "models/transformer.h"
#include "models/vqa_tensors.h"
#include "ntk/gram.h"
#include "ntk/lntk.h"
#include "strata/core/error.h"
#include "strata/core/random.h"

namespace strata {
namespace {

/// Rows in ascending order, so that the score depends on which samples were drawn and on nothing
/// else.
std::vector<std::int64_t> sample_rows(std::int64_t available, const ScoreOptions& options) {
  std::vector<std::int64_t> rows;
  Random random(derive_seed(options.seed, "samples"));
  const std::int64_t wanted = std::min<std::int64_t>(available, options.samples);
  for (const int row : random.sample(static_cast<int>(available), static_cast<int>(wanted))) {
    rows.push_back(row);
  }
  std::sort(rows.begin(), rows.end());
  return rows;
}

double mean_magnitude(const Transformer& model, const Unit& unit) {
  const torch::NoGradGuard no_grad;
  double sum = 0;
  for (const torch::Tensor& weight : model.weights_of(unit)) {
    sum += weight.abs().sum(torch::kDouble).item<double>();
  }
  return sum / static_cast<double>(unit.parameter_count);
}

}  // namespace

std::vector<UnitScore> score_units(const Transformer& model, const VqaTensors& data,
                                   const std::vector<std::string>& units,
                                   const ScoreOptions& options) {
  const std::string& metric = options.metric;
  const auto& metrics = metric_names();
  if (std::find(metrics.begin(), metrics.end(), metric) == metrics.end()) {
    throw InputError("unknown metric \"" + metric + "\"" + did_you_mean(metric, metrics) +
                     "; the metrics are " + quoted_list(metrics));
  }
  if (options.samples < 1) {
    throw InputError("samples: found " + std::to_string(options.samples) +
                     ", at least 1 is needed");
  }
  if (data.size() == 0) throw InputError("there are no samples to score on");
  for (const std::string& name : units) model.unit(name);

  std::vector<UnitScore> scores(units.size());
  if (units.empty()) return scores;
  if (metric == "lntk" || metric == "gradient") {
    std::map<std::string, LargestEigenvalue> found;
    const Batch batch = data.batch(sample_rows(data.size(), options), model.device());
    visit_unit_grams(model, batch, units,
                     metric == "lntk" ? NtkOutputs::kLogits : NtkOutputs::kLoss,
                     [&](const std::string& unit, const torch::Tensor& gram) {
                       found[unit] = largest_eigenvalue(gram, "unit \"" + unit + "\"");
                     });
    for (std::size_t i = 0; i < units.size(); ++i) {
      scores[i] = {found.at(units[i]).value, found.at(units[i]).residual};
    }
    return scores;
  }

  std::map<std::string, double> position;  // 0 at the bottom
  for (const Unit& unit : model.units()) position.emplace(unit.name, position.size());
  for (std::size_t i = 0; i < units.size(); ++i) {
    if (metric == "magnitude") {
      scores[i].value = mean_magnitude(model, model.unit(units[i]));
    } else if (metric == "random") {
      scores[i].value = 1 - Random(derive_seed(options.seed, "random " + units[i])).uniform();
    } else if (metric == "first") {
      scores[i].value = static_cast<double>(position.size()) - position.at(units[i]);
    } else {
      scores[i].value = position.at(units[i]) + 1;
    }
    if (!std::isfinite(scores[i].value)) {
      throw WorkError("the score of unit \"" + units[i] + "\" is not finite");
    }
  }
  return scores;
}

}  // namespace strata
