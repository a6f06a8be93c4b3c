#include "experiment/training_options.h"

namespace strata::experiment {

const Choices<Schedule>& schedules() {
  static const Choices<Schedule> table({{Schedule::kConstant, "constant"},
                                        {Schedule::kCosine, "cosine"},
                                        {Schedule::kPolynomial, "polynomial"}});
  return table;
}

const Fields<TrainingOptions>& training_fields() {
  using Options = TrainingOptions;
  const Choices<Flips> flips({{Flips::kNone, "none"},
                              {Flips::kHorizontal, "horizontal"},
                              {Flips::kVertical, "vertical"},
                              {Flips::kBoth, "both"}});
  const Choices<ClassWeights> weights(
      {{ClassWeights::kNone, "none"}, {ClassWeights::kBalanced, "balanced"}});
  const Choices<LocalOptimizer> optimizers(
      {{LocalOptimizer::kAdamw, "adamw"}, {LocalOptimizer::kSgd, "sgd"}});
  static const Fields<Options> fields({
      field("optimizer", &Options::optimizer, choice(optimizers),
            "of the steps: `adamw`, or `sgd`, plain and without momentum: w ← w − η (g + "
            "`weight_decay` w), g the clipped gradient. Either starts afresh in every round")
          .written_if_changed(),
      field("batch_size", &Options::batch_size, whole(1, 65536), "examples of a step"),
      field("learning_rate", &Options::learning_rate, number(0, 10), "of AdamW"),
      field("weight_decay", &Options::weight_decay, number(0, 10), "on all trained weights"),
      field("clip_norm", &Options::clip_norm, number(0),
            "bound on the gradient's norm over all trained weights; 0: none"),
      field("warmup", &Options::warmup, number(0, 1), "share of the steps with rising rate"),
      field("decay_power", &Options::decay_power, number(0.1, 100),
            "p of the polynomial schedule, which takes (1 − t)^p of the rate at the share t of the "
            "way; FLAP-SAM has 7")
          .written_if_changed(),
      field("calibrate_labels", &Options::calibrate_labels, boolean(),
            "adds the logarithm of each answer's share in the client's training data to its logit "
            "in the loss, so that a client whose answers are mostly \"no\" learns from its images "
            "rather than the answer (logit adjustment, Menon et al. 2021; FedLC, Zhang et al. "
            "2022); nothing more leaves the client"),
      field("class_weights", &Options::class_weights, choice(weights),
            "what a label's loss counts: the same for each, or by the client's own counts, so that "
            "every label that it has counts the same; for one label an example")
          .written_if_changed(),
      field("focal_gamma", &Options::focal_gamma, number(0, 10),
            "γ of the focal loss (Lin et al., ICCV 2017): the loss l of an example counts "
            "(1 − e⁻ˡ)^γ times, so that what is right already counts little; 0: cross-entropy")
          .written_if_changed(),
      field("flips", &Options::flips, choice(flips),
            "random mirroring of training images; not for questions of left and right"),
      field("augment", &Options::augment, boolean(),
            "training samples are varied as the task varies them: stacks of slices as FLAP-SAM's "
            "code does ([tasks.md](tasks.md#segmentation)); other tasks have no variation of their "
            "own")
          .written_if_changed(),
      field("proximal", &Options::proximal, number(0, 1e6),
            "μ of FedProx (Li et al., MLSys 2020): adds μ/2 ‖w − w₀‖² to the loss, w₀ the round's "
            "global weights")
          .written_if_changed(),
      field("precision", &Options::precision, choice(models::precisions()),
            "of the forward pass: float32, or bfloat16 by LibTorch's autocast; weights, gradients "
            "and AdamW stay in float32. Faster on GPUs and on processors with AMX; on others "
            "float32 is computed in, which is said")
          .written_if_changed(),
      field("gradient_checkpointing", &Options::gradient_checkpointing, boolean(),
            "keeps what enters each block and runs the block again in the backward pass: the same "
            "numbers, with the activations of one block in memory in place of all, for about a "
            "third more time")
          .written_if_changed(),
  });
  return fields;
}

}  // namespace strata::experiment
