#include "experiment/local_section.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>

#include "core/csv.h"

namespace strata::experiment {
namespace {

constexpr double kLeastRate = 1e-12, kMostRate = 10;
constexpr std::int64_t kMostTrials = 1000;

/// Three digits are more than a learning rate can be told apart by, and name a folder.
double rounded(double rate) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.2e", rate);
  return std::strtod(text.data(), nullptr);
}

/// From `from` to `to` in equal steps of their logarithms. With one parameter such a grid leaves
/// smaller gaps than as many draws at random.
std::vector<double> geometric_grid(double from, double to, std::int64_t trials) {
  std::vector<double> rates;
  for (std::int64_t k = 0; k < trials; ++k) {
    const double place = static_cast<double>(k) / static_cast<double>(trials - 1);
    rates.push_back(rounded(from * std::pow(to / from, place)));
  }
  rates.front() = from, rates.back() = to;
  return rates;
}

std::vector<double> listed_rates(ObjectReader& reader, const std::string& key) {
  std::vector<double> rates;
  for (const Json& rate : reader.raw(key)) {
    if (!rate.is_number() || rate.get<double>() < kLeastRate || rate.get<double>() > kMostRate)
      reader.fail(key, "a number " + range_text(kLeastRate, kMostRate) + " was expected, found " +
                           excerpt(rate));
    if (std::find(rates.begin(), rates.end(), rate.get<double>()) != rates.end())
      reader.fail(key, "the learning rate " + rate.dump() + " stands twice");
    rates.push_back(rate.get<double>());
  }
  if (rates.size() < 2) reader.fail(key, "a list of at least two learning rates was expected");
  std::sort(rates.begin(), rates.end());
  return rates;
}

void read_search(ObjectReader reader, LocalConfig& local) {
  local.chosen_by = reader.text("by", "");
  if (reader.has("values")) {
    if (!reader.raw("values").is_array()) reader.fail("values", "a list was expected");
    local.learning_rates = listed_rates(reader, "values");
  } else {
    const double from = reader.number("from", kLeastRate, kMostRate);
    const double to = reader.number("to", kLeastRate, kMostRate);
    if (from >= to)
      reader.fail("to", "a number above from was expected, found " + format_double(to));
    const std::int64_t trials = reader.integer("trials", 2, kMostTrials);
    auto& rates = local.learning_rates = geometric_grid(from, to, trials);
    if (std::adjacent_find(rates.begin(), rates.end(), std::greater_equal<>()) != rates.end())
      reader.fail("trials", std::to_string(trials) + " rates from " + format_double(from) + " to " +
                                format_double(to) + " are not apart in three digits; give fewer");
  }
  reader.finish();
}

/// One, or several to choose among.
Field<LocalConfig> learning_rate_field() {
  auto field = training_fields().at("learning_rate").within(&LocalConfig::training);
  field.read = [one = field.read](ObjectReader& reader, LocalConfig& local, bool needed) {
    const Json& value = reader.raw("learning_rate");
    if (value.is_array())
      local.learning_rates = listed_rates(reader, "learning_rate");
    else if (value.is_object())
      read_search(reader.object("learning_rate"), local);
    else
      one(reader, local, needed);
  };
  field.write = [one = field.write](const LocalConfig& local) {
    if (local.learning_rates.empty()) return one(local);
    if (local.chosen_by.empty()) return Json(local.learning_rates);
    return Json{{"values", local.learning_rates}, {"by", local.chosen_by}};
  };
  field.allowed = "0 … 10, a list, or `{from, to, trials}`";
  return field.required().meaning(
      "constant within a round. Of several every strategy gets the one that [suits "
      "it](#learning-rates)");
}

const Fields<PrivateTraining>& private_fields() {
  static const Fields<PrivateTraining> fields({
      field("noise", &PrivateTraining::noise, number(1e-6, 1e6),
            "standard deviation of the noise on a step's sum of gradients, over `clip`")
          .required(),
      field("clip", &PrivateTraining::clip, number(1e-9, 1e9),
            "the longest gradient that a patient can have; longer ones are scaled down to it")
          .required(),
      field("delta", &PrivateTraining::delta, number(1e-15, 0.5), "δ at which ε is said"),
  });
  return fields;
}

/// What would tell of the data beside the noise, or is not the gradient that is clipped.
void check_private(ObjectReader& reader, const LocalConfig& local) {
  if (!local.privacy) return;
  const TrainingOptions& training = local.training;
  for (const auto& [key, given] :
       {std::pair{"calibrate_labels", training.calibrate_labels},
        std::pair{"class_weights", training.class_weights != ClassWeights::kNone},
        std::pair{"focal_gamma", training.focal_gamma > 0},
        std::pair{"flips", training.flips != Flips::kNone}, std::pair{"augment", training.augment},
        std::pair{"precision", training.precision != models::Precision::kFloat32},
        std::pair{"gradient_checkpointing", training.gradient_checkpointing}}) {
    if (given) reader.fail(key, "it does not go with private training (local.private)");
  }
}

void complete_local(ObjectReader& reader, LocalConfig& local) {
  check_private(reader, local);
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
          learning_rate_field(),
          field("schedule", &LocalConfig::schedule, choice(schedules()),
                "of the learning rate over the rounds, after `warmup`: constant; cosine, ½ (1 + "
                "cos(π "
                "(r − 1) / rounds)) of it in round r; or polynomial, (1 − (r − 1) / rounds)^p of "
                "it, p "
                "being `decay_power`"),
          training("warmup")
              .meaning("share of the rounds over which the learning rate rises linearly")
              .written_if_changed(),
          training("decay_power"),
          training("weight_decay"),
          training("clip_norm"),
          training("flips"),
          training("augment"),
          training("calibrate_labels"),
          training("class_weights"),
          training("focal_gamma"),
          training("proximal"),
          training("precision"),
          training("gradient_checkpointing"),
          section("private", &LocalConfig::privacy, private_fields(),
                  "each step hides whether any one patient takes part "
                  "([private_training.md](private_training.md))"),
      },
      complete_local);
  return fields;
}

}  // namespace strata::experiment
