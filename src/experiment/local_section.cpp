#include "experiment/local_section.h"

namespace strata::experiment {
namespace {

void complete_local(ObjectReader& reader, LocalConfig& local) {
  if (local.steps > 0 && local.epochs > 0)
    reader.fail("epochs", "give either local.steps or local.epochs, not both");
  if (local.steps == 0 && local.epochs == 0) local.epochs = 1;
}

}  // namespace

const Fields<LocalConfig>& local_fields() {
  const auto training = [](const char* key) {
    return training_fields().at(key).within(&LocalConfig::training);
  };
  static const Fields<LocalConfig> fields(
      {
          field("steps", &LocalConfig::steps, whole(1), "batches a round")
              .default_text("none")
              .written_if_changed(),
          field("epochs", &LocalConfig::epochs, whole(1),
                "passes over the client's data a round; either these or `steps`")
              .default_text("`1`")
              .written_if_changed(),
          training("batch_size"),
          training("optimizer"),
          training("learning_rate").required().meaning("constant within a round"),
          field("schedule", &LocalConfig::schedule, choice(schedules()),
                "of the learning rate over the rounds: constant, or cosine, ½ (1 + cos(π (r − 1) / "
                "rounds)) of it in round r"),
          training("weight_decay"),
          training("clip_norm"),
          training("flips"),
          training("calibrate_labels"),
          training("class_weights"),
          training("focal_gamma"),
          training("proximal"),
          training("precision"),
          training("gradient_checkpointing"),
      },
      complete_local);
  return fields;
}

}  // namespace strata::experiment
