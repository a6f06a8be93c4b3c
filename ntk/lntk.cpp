#include "ntk/lntk.h"

#include <algorithm>
#include <limits>

#include "ntk/jacobian.h"
#include "ntk/sweep.h"
#include "strata/core/random.h"

namespace strata::ntk {
namespace {

using torch::Tensor;

constexpr int kMostSteps = 60;

Eigen::Map<const Eigen::MatrixXd> as_matrix(const Tensor& contiguous) {
  return {contiguous.data_ptr<double>(), contiguous.size(0), contiguous.size(0)};
}

/// The leading eigenvectors of what vectors among the weights (biases, LayerNorms) add to the
/// kernel, which costs next to nothing and has much the same first eigenvectors as the whole,
/// beside a random column, without which an eigenvector orthogonal to all of them would be missed.
Eigen::MatrixXd start_block(const std::vector<JacobianFactor>& factors, int top,
                            std::uint64_t seed) {
  const std::int64_t rows = factors.front().rows();
  Tensor theta = torch::zeros({rows, rows}, torch::kDouble);
  bool any = false;
  for (const JacobianFactor& factor : factors) {
    if (!factor.explicit_rows()) continue;
    add_gram(factor, GramWay::kStreamed, kLargestChunk, theta);
    any = true;
  }
  if (!any) return random_block(rows, std::max(2, top + 1), seed);
  const Eigen::MatrixXd leading = leading_vectors(as_matrix(theta), std::max(4, top + 1), seed);
  Eigen::MatrixXd start(rows, leading.cols() + 1);
  start << leading, random_block(rows, 1, seed);
  return start;
}

std::string named(const UnitWork& work) {
  return "unit \"" + work.unit->name + "\"";
}

UnitSpectrum spectrum_of_kernel(const UnitWork& work, const LntkOptions& options) {
  const std::string& name = work.unit->name;
  const Tensor theta = work.theta.contiguous();
  return {
      name,
      dense_spectrum(as_matrix(theta), options.top, derive_seed(options.seed, name), named(work)),
      theta.trace().item<double>(), NtkMethod::kGram};
}

UnitSpectrum spectrum_of_factors(const UnitWork& work, const LntkOptions& options) {
  const std::string& name = work.unit->name;
  const auto multiply = [&](const Eigen::MatrixXd& block) {
    Eigen::MatrixXd product = Eigen::MatrixXd::Zero(block.rows(), block.cols());
    for (const JacobianFactor& factor : work.factors) product += kernel_product(factor, block);
    return product;
  };
  const Eigen::MatrixXd start =
      start_block(work.factors, options.top, derive_seed(options.seed, name));
  UnitSpectrum found{name, block_lanczos(multiply, start, options.top, kMostSteps, named(work)),
                     std::numeric_limits<double>::quiet_NaN(), NtkMethod::kLanczos};
  if (options.trace) {
    found.trace = 0;
    for (const JacobianFactor& factor : work.factors) found.trace += kernel_trace(factor);
  }
  return found;
}

}  // namespace

std::vector<UnitSpectrum> layerwise_spectra(const models::Model& model, const tasks::Task& task,
                                            const models::Batch& batch,
                                            const std::vector<Unit>& units,
                                            const LntkOptions& options) {
  std::vector<UnitSpectrum> spectra(units.size());
  if (units.empty()) return spectra;
  Sweep(model, task, batch, units, options).run([&](std::size_t u, UnitWork& work, bool lanczos) {
    spectra[u] = lanczos ? spectrum_of_factors(work, options) : spectrum_of_kernel(work, options);
  });
  return spectra;
}

void visit_unit_grams(const models::Model& model, const tasks::Task& task,
                      const models::Batch& batch, const std::vector<Unit>& units,
                      const LntkOptions& options,
                      const std::function<void(const std::string&, const Tensor&)>& visit) {
  LntkOptions gram = options;
  gram.method = NtkMethod::kGram;
  Sweep(model, task, batch, units, gram).run([&](std::size_t, UnitWork& work, bool) {
    visit(work.unit->name, work.theta);
  });
}

void check_activations(const models::Model& model, const models::Batch& batch) {
  const torch::NoGradGuard no_grad;
  models::State state;
  for (std::int64_t stage = 0; stage < model.stage_count(); ++stage) {
    state = model.run_stage(stage, batch, state);
    check_finite(model, stage, state);
  }
}

ScoreEstimate estimate_spectra(const models::Model& model, const tasks::Task& task,
                               const models::Batch& small_batch, std::int64_t samples,
                               const std::vector<Unit>& units, const LntkOptions& options) {
  return Sweep(model, task, small_batch, units, options).estimate(samples);
}

}  // namespace strata::ntk
