#pragma once
/// \file
/// The backward passes that all units share, a stage at a time from the top down. Internal.

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "models/capture.h"
#include "models/model.h"
#include "models/stage_inputs.h"
#include "ntk/jacobian.h"
#include "ntk/lntk.h"
#include "ntk/stage_plan.h"
#include "tasks/task.h"

namespace strata::ntk {

/// One unit on its way through the stages.
struct UnitWork {
  const Unit* unit;
  std::set<std::string> weights;
  std::set<std::int64_t> stages;  ///< of its weights
  torch::Tensor theta;            ///< once a part of it was found
  std::vector<JacobianFactor> factors;
};

/// For each of the K outputs, the gradients of a stage's values; undefined where it depends on
/// none.
using Gradients = std::vector<std::vector<torch::Tensor>>;

/// See layerwise_spectra. Its arguments must outlive it.
class Sweep {
 public:
  using Finished = std::function<void(std::size_t unit, UnitWork& work, bool lanczos)>;

  Sweep(const models::Model& model, const tasks::Task& task, const models::Batch& batch,
        const std::vector<Unit>& units, const LntkOptions& options);

  /// `finished` gets every unit once: with Θ, or with its factors where it goes by Lanczos.
  void run(const Finished& finished);

  /// What `run` would take with `samples` samples: a sweep over one output is timed.
  ScoreEstimate estimate(std::int64_t samples);

 private:
  /// What is to be differentiated by: where weights are used.
  struct Targets {
    std::set<std::string> weights;
    std::map<std::string, std::int64_t> stage;  ///< that uses a weight
    std::int64_t lowest = 0;
  };
  /// A stage's captured operations. Several may share an output, whose δ is then kept once.
  struct Captured {
    std::vector<models::CapturedOp> ops;
    std::vector<torch::Tensor> outputs;
    std::vector<std::size_t> output_of;  ///< by operation
  };
  /// A stage that has been run again, ready to be differentiated.
  struct Stage {
    std::int64_t number;
    Captured captured;
    std::vector<torch::Tensor> output, input;  ///< no input where nothing below is asked for
    StagePlan plan;
  };

  static Targets targets_of(const models::Model& model, const std::vector<Unit>& units);
  static Captured distinct_outputs(std::vector<models::CapturedOp> ops);
  /// Sizes for `samples` samples, which may be others than those of the batch.
  std::vector<OpShape> shapes_of(const Captured& captured, std::int64_t samples) const;

  /// Keeps the inputs of the stages from the lowest that is needed on, in `inputs_`.
  models::State forward();
  /// The K gradients of the last stage's output with which the backward passes begin.
  Gradients output_gradients(const models::State& output) const;
  /// Runs the stage once more and captures its operations.
  Stage capture(std::int64_t stage) const;
  /// The plan for `samples` samples and K outputs, where `gradients` are of the batch's.
  StagePlan plan(const Stage& stage, const Gradients& gradients, std::int64_t samples,
                 std::int64_t outputs) const;
  Gradients differentiate(Stage& stage, const Gradients& gradients);
  std::set<std::size_t> units_at(std::int64_t stage, const std::vector<OpShape>& shapes) const;
  /// Kernels held during a stage: of the units that have begun and not ended, and one for sums.
  double kernels_at(std::int64_t stage) const;
  void finish(const Stage& stage, std::int64_t rows, const Finished& finished);

  std::map<std::size_t, torch::Tensor> backward(const Stage& stage, std::size_t group,
                                                const Gradients& gradients, Gradients& below) const;
  void collect(const Stage& stage, const Part& part,
               const std::map<std::size_t, torch::Tensor>& deltas);
  void add_factor(const std::string& weight, const JacobianFactor& factor, const StagePlan& plan);

  const models::Model& model_;
  const tasks::Task& task_;
  const models::Batch& batch_;
  const std::vector<Unit>& units_;
  const LntkOptions& options_;
  const Targets targets_;
  const std::int64_t samples_;
  models::StageInputs inputs_;
  std::vector<UnitWork> works_;
};

/// @throws WorkError naming the stage where the output has a number that is not finite.
void check_finite(const models::Model& model, std::int64_t stage, const models::State& output);

}  // namespace strata::ntk
