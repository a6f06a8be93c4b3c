#pragma once
// Recorded cases of models that answer in words (tests/reference/vlms.py).

#include <filesystem>
#include <string>
#include <vector>

#include "models/architectures/architectures.h"
#include "models/batch.h"
#include "models/model.h"
#include "peft/files.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"
#include "support/recorded.h"
#include "temp_dir.h"

namespace strata::test {

inline const std::filesystem::path kSpeaking =
    std::filesystem::path(STRATA_SOURCE_DIR) / "tests" / "reference" / "vlms";

inline models::Model load_speaking(const std::string& name) {
  return peft::load_model(kSpeaking / name);
}

inline Recorded recorded_speaking(const std::string& name) {
  return Recorded(kSpeaking / name / "expected.safetensors");
}

inline Json speaking_config(const std::string& model) {
  return load_json(kSpeaking / model / "config.json").root;
}

inline Json speaking_cases(const std::string& model) {
  return load_json(kSpeaking / model / "cases.json").root.at("cases");
}

inline std::shared_ptr<const models::Architecture> read_config(const Json& config) {
  const TempDir dir;
  return models::read_architecture(dir.write("config.json", config.dump()));
}

/// The message with which a configuration is refused; "" where it is not. `change` is made in
/// `section`, or at the top.
inline std::string refusal(Json config, const std::string& section, const Json& change) {
  (section.empty() ? config : config[section]).update(change);
  const TempDir dir;
  try {
    models::read_architecture(dir.write("config.json", config.dump(1)));
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

/// Whether labels stand where they are predicted: an encoder reads the text, a decoder answers.
inline bool answers_apart(const std::string& model) {
  return speaking_config(model).value("text_config", Json::object()).value("model_type", "") ==
         "t5";
}

/// A case, and which of the places behind which a token was asked for.
inline models::Batch batch_of(const Recorded& recorded, const std::string& name,
                              const std::string& model) {
  const Json cases = speaking_cases(model);
  models::Batch batch;
  batch.input_ids = recorded(name + ".input_ids");
  batch.attention_mask = recorded(name + ".attention_mask").to(torch::kFloat);
  const auto images = cases.at(name).at("images").get<std::vector<std::int64_t>>();
  batch.pixels = recorded("pixels").index_select(0, torch::tensor(images));
  if (!recorded.has(name + ".labels")) return batch;
  const torch::Tensor labels = recorded(name + ".labels");
  const std::int64_t last = labels.size(1) - 1;
  if (answers_apart(model)) {
    const torch::Tensor start = torch::zeros({labels.size(0), 1}, torch::kInt64);
    batch.decoder_ids = torch::cat({start, labels.narrow(1, 0, last).clamp_min(0)}, 1);
    batch.outputs = (labels != -100).nonzero();
  } else {
    batch.answers = labels != -100;
    batch.outputs = batch.answers.narrow(1, 1, last).nonzero();
  }
  return batch;
}

/// The tokens that are asked for, in the order of Batch::outputs.
inline torch::Tensor targets_of(const Recorded& recorded, const std::string& name,
                                const std::string& model) {
  const torch::Tensor labels = recorded(name + ".labels");
  const torch::Tensor next =
      answers_apart(model) ? labels : labels.narrow(1, 1, labels.size(1) - 1);
  return next.masked_select(next != -100);
}

inline double difference(const torch::Tensor& found, const torch::Tensor& expected) {
  return (found - expected).abs().max().item<double>();
}

/// A classifier's logits, or those of tokens.
inline const torch::Tensor& any_logits(const models::State& output) {
  const auto found = output.values.find(models::kLogits);
  return found == output.values.end() ? output.values.at(models::kTokenLogits) : found->second;
}

inline torch::Tensor loss_of(const models::Model& model, const models::Batch& batch,
                             const torch::Tensor& targets) {
  return torch::cross_entropy_loss(any_logits(model.run(batch)), targets);
}

/// Logits at every token of a case, 0 where none were recorded.
inline torch::Tensor logits_of(const models::Model& model, const Recorded& recorded,
                               const std::string& name, const std::string& which) {
  models::Batch batch = batch_of(recorded, which, name);
  batch.outputs = torch::Tensor();
  const torch::Tensor found =
      model.run(batch).values.at(models::kTokenLogits).view(recorded(which + ".logits").sizes());
  const torch::Tensor shown = answers_apart(name)
                                  ? (recorded(which + ".labels") != -100).to(torch::kFloat)
                                  : batch.attention_mask;
  return found * shown.unsqueeze(2);
}

inline void check_logits(const models::Model& model, const std::string& name,
                         const std::vector<std::string>& cases) {
  const Recorded recorded = recorded_speaking(name);
  for (const std::string& which : cases) {
    CAPTURE(name, which);
    const torch::Tensor expected = recorded(which + ".logits");
    const torch::Tensor found = logits_of(model, recorded, name, which);
    CHECK(difference(found, expected) < 1e-4 * expected.abs().max().item<double>());
  }
}

/// The gradients of a model's weights against those that were recorded under `start`. Returns how
/// many there are.
inline int check_gradients(const models::Model& model, const Recorded& recorded,
                           const std::string& start, double tolerance) {
  int checked = 0;
  for (const TensorEntry& entry : recorded.tensors()) {
    if (entry.name.rfind(start, 0) != 0) continue;
    const std::string weight = entry.name.substr(start.size());
    CAPTURE(weight);
    const torch::Tensor gradient = model.weight(weight).grad();
    REQUIRE(gradient.defined());
    const torch::Tensor expected = recorded(entry.name);
    CHECK(((gradient - expected).norm() / expected.norm()).item<double>() < tolerance);
    ++checked;
  }
  return checked;
}

/// The loss of the case "right", and all gradients of it that were recorded. Returns how many.
inline int check_loss_and_gradients(models::Model& model, const std::string& name,
                                    double tolerance = 1e-4) {
  const Recorded recorded = recorded_speaking(name);
  const models::Batch batch = batch_of(recorded, "right", name);
  for (auto& [weight, tensor] : model.weights()) tensor.set_requires_grad(true);
  const torch::Tensor loss = loss_of(model, batch, targets_of(recorded, "right", name));
  CAPTURE(name);
  CHECK(loss.item<double>() == Approx(recorded("right.loss").item<double>()).epsilon(1e-5));
  loss.backward();
  return check_gradients(model, recorded, "right.gradient.", tolerance);
}

/// Weights and images from here on in double precision.
inline void in_double(models::Model& model, models::Batch& batch) {
  for (auto& [name, tensor] : model.weights())
    if (tensor.is_floating_point()) tensor = tensor.to(torch::kDouble);
  batch.pixels = batch.pixels.to(torch::kDouble);
}

/// What is read is written again, byte for byte.
inline void check_saved_as_read(const std::filesystem::path& folder) {
  const models::Model model = peft::load_model(folder);
  const TempDir out;
  peft::save_model(model, out.path());
  CAPTURE(folder);
  CHECK(read_file(out.path() / "model.safetensors") == read_file(folder / "model.safetensors"));
  CHECK(load_json(out.path() / "config.json").root.at("text_config") ==
        load_json(folder / "config.json").root.at("text_config"));
  CHECK(peft::load_model(out.path()).fingerprint() == model.fingerprint());
}

/// So many samples of the model's example.
inline models::Batch repeated_example(const models::Model& model, std::int64_t text_tokens,
                                      std::int64_t samples) {
  models::Batch batch = model.blueprint().example(text_tokens);
  const torch::Tensor outputs = batch.outputs;
  for (torch::Tensor* each : {&batch.input_ids, &batch.attention_mask, &batch.decoder_ids})
    if (each->defined()) *each = each->repeat({samples, 1});
  batch.pixels = torch::randn({samples, 3, batch.pixels.size(2), batch.pixels.size(3)});
  std::vector<torch::Tensor> all;
  for (std::int64_t i = 0; i < samples; ++i)
    all.push_back(outputs + torch::tensor({i, std::int64_t{0}}));
  batch.outputs = torch::cat(all);
  return batch;
}

}  // namespace strata::test
