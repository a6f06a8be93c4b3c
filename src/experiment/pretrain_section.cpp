#include "experiment/pretrain_section.h"

namespace strata::experiment {
namespace {

bool trains(const PretrainConfig& pretrain) {
  return pretrain.epochs > 0;
}

/// `schedule`, within the training.
const Fields<TrainingOptions>& schedule_field() {
  static const Fields<TrainingOptions> fields({
      field("schedule", &TrainingOptions::schedule, choice(schedules()),
            "of the learning rate after the warm-up: `cosine` falls to 0"),
  });
  return fields;
}

void complete_pretrain(ObjectReader& reader, PretrainConfig& pretrain) {
  if (trains(pretrain)) return;
  if (pretrain.from.empty())
    reader.fail("epochs", "a whole number from 1 to " + std::to_string(kMostCount) +
                              " was expected, found 0 (which goes with pretrain.from)");
  for (const char* key : {"data", "evaluate_every", "batch_size", "learning_rate", "weight_decay",
                          "clip_norm", "flips", "warmup", "schedule"}) {
    if (reader.has(key)) reader.fail(key, "with pretrain.epochs 0 nothing is trained");
  }
}

}  // namespace

const Fields<PretrainConfig>& pretrain_fields() {
  using Config = PretrainConfig;
  const auto training = [](const char* key) {
    return training_fields().at(key).within(&Config::training).written_if(trains);
  };
  static const Fields<Config> fields(
      {
          field(
              "from", &Config::from, text(),
              "a model folder to begin with: it keeps its weights and its tokenizer and gets a "
              "fresh output layer for the answers of `vocabulary`, as with `model.answers: data`; "
              "one that answers in words is trained on as it is")
              .default_text("a fresh model")
              .written_if_changed(),
          field("data", &Config::data, text(),
                "`public` (the public share of `data.folder`) or a folder: all its training "
                "examples (central training)")
              .required_if(trains, "required, but with `epochs: 0`")
              .written_if(trains),
          field("vocabulary", &Config::vocabulary, texts(),
                "data sets whose training questions and answers, beside those of `data`, make the "
                "vocabulary and the labels")
              .default_text("`[data.folder]`"),
          field("epochs", &Config::epochs, whole(0),
                "0 goes with `from` alone: the model as it is but for the new output layer, where "
                "only `vocabulary` and `seed` say something")
              .required(),
          training("batch_size"),
          training("learning_rate")
              .required_if(trains, "required, but with `epochs: 0`")
              .meaning("the highest"),
          training("weight_decay"),
          training("warmup"),
          training("decay_power"),
          schedule_field().at("schedule").within(&Config::training).written_if(trains),
          training("flips").meaning(
              "random mirroring; questions about sides then lose their meaning"),
          training("augment"),
          training("class_weights"),
          training("focal_gamma"),
          training("clip_norm"),
          field("evaluate_every", &Config::evaluate_every, whole(1),
                "epochs between evaluations on the test split; the last is always evaluated")
              .written_if(trains),
          field("seed", &Config::seed, seed_number(), "of weights and the order of the examples"),
      },
      complete_pretrain);
  return fields;
}

}  // namespace strata::experiment
