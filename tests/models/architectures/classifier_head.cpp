#include "models/architectures/classifier_head.h"

#include <map>
#include <set>

#include "catch.h"
#include "models/cost.h"
#include "models/units.h"
#include "strata/core/unit_choice.h"
#include "support/captured_gradients.h"
#include "support/speaking.h"

using namespace strata;
using namespace strata::models;
using Catch::Matchers::Contains;
using test::batch_of;
using test::difference;
using test::load_speaking;
using test::Recorded;
using test::recorded_speaking;
using torch::Tensor;

namespace {

const std::vector<std::string> kLabels = {"edema", "fracture", "nodule"};

/// The weight of the words' head, which is the words' own where there is no other.
std::string head_of(const Model& model) {
  for (const std::string name : {"language_model.lm_head.weight", "lm_head.weight",
                                 "language_model.model.embed_tokens.weight",
                                 "language_model.model.decoder.embed_tokens.weight"}) {
    if (model.weights().count(name)) return name;
  }
  throw std::out_of_range("head");
}

/// With labels whose logits are those of the first words.
Model classifier(const std::string& name) {
  Model model = load_speaking(name);
  const Tensor words = model.weight(head_of(model)).narrow(0, 0, 3).clone();
  model.relabel(kLabels, 7);
  model.weight("score.weight").copy_(words);
  return model;
}

/// What transformers gives for the first words behind a case's last tokens; T5 for those that its
/// decoder begins with.
Tensor recorded_logits(const std::string& name, const std::string& which) {
  const Recorded recorded = recorded_speaking(name);
  const Tensor all = recorded(which + ".logits").narrow(2, 0, 3);
  if (test::answers_apart(name)) return all.select(1, 0);
  const Tensor mask = recorded(which + ".attention_mask").to(torch::kLong);
  const Tensor last = mask.mul(torch::arange(mask.size(1))).amax(1);
  return all.index({torch::arange(mask.size(0)), last});
}

Batch texts(const std::string& name, const std::string& which) {
  Batch batch = batch_of(recorded_speaking(name), which, name);
  batch.answers = batch.outputs = batch.decoder_ids = Tensor();
  return batch;
}

}  // namespace

TEST_CASE("a classifier reads what the words' head would read of the last token, as transformers") {
  for (const std::string name : {"llava", "llava_qwen2", "smolvlm", "blip2_opt", "blip2_t5"}) {
    const Model model = classifier(name);
    for (const std::string which : {"right", "left", "concatenated"}) {
      if (!recorded_speaking(name).has(which + ".logits")) continue;
      CAPTURE(name, which);
      const Batch batch = texts(name, which);
      const Tensor found = model.forward(batch), expected = recorded_logits(name, which);
      CHECK(found.sizes() == expected.sizes());
      const double allowed = 1e-4 * expected.abs().max().item<double>();
      CHECK(difference(found, expected) < allowed);
      CHECK(difference(model.forward(rows_of(batch, 1, 2)), found.narrow(0, 1, 2)) < allowed);
    }
  }
}

TEST_CASE("all of a PaliGemma's text is its prompt, which sees itself both ways") {
  const Model words = load_speaking("paligemma"), model = classifier("paligemma");
  Batch batch = texts("paligemma", "right");
  const Tensor found = model.forward(batch);
  const Tensor mask = batch.attention_mask.to(torch::kLong);
  const Tensor last = mask.mul(torch::arange(mask.size(1))).amax(1);
  batch.outputs = torch::stack({torch::arange(mask.size(0)), last}, 1);
  CHECK(difference(found, words.run(batch).values.at(kTokenLogits).narrow(1, 0, 3)) < 1e-5);
}

TEST_CASE("gradients of a classifier are captured as autograd has them") {
  for (const std::string name : {"llava", "paligemma", "blip2_opt", "blip2_t5"}) {
    Model model = classifier(name);
    const std::string target = test::answers_apart(name) ? "q" : "q_proj";
    peft::add_methods(
        model, peft::parse_methods({"lora:rank=2,targets=" + target, "prompts:length=2"}, "--peft"),
        3);
    CAPTURE(name);
    test::check_captured_gradients(model, texts(name, "right"), torch::tensor({2, 0, 1}));
  }
}

TEST_CASE("a classifier's head is always trained, and its language model's blocks compete") {
  for (const std::string name : {"llava", "smolvlm", "blip2_opt", "blip2_t5"}) {
    CAPTURE(name);
    const Model words = load_speaking(name), model = classifier(name);
    const std::vector<Unit> units =
        peft::scheme_units(model.blueprint(), "block", models::Buffers::kFrozen);
    CHECK(names_of(units) ==
          names_of(peft::scheme_units(words.blueprint(), "block", models::Buffers::kFrozen)));
    const Unit& head = units.back();
    CHECK(head.name == "head");
    CHECK(head.role == Role::kHead);
    CHECK(std::count(head.parameters.begin(), head.parameters.end(), "score.weight") == 1);
    const std::int64_t width = model.weight("score.weight").size(1);
    CHECK(head.forward_flops == 2.0 * 3 * static_cast<double>(width));
    std::vector<Role> roles;
    for (const Unit& unit : units) roles.push_back(unit.role);
    CHECK(choose_units(names_of(units), roles, {}).always ==
          std::vector<std::size_t>{units.size() - 1});
    // The table of words is the head's no more.
    for (const Layer& layer : model.blueprint().layers())
      CHECK_FALSE((layer.vocabulary && layer.frozen));
  }
}

TEST_CASE("labels stand in config.json, and what was loaded and saved is the same") {
  for (const std::string name : {"llava", "paligemma", "smolvlm", "blip2_opt", "blip2_t5"}) {
    CAPTURE(name);
    const Model model = classifier(name);
    const test::TempDir dir;
    peft::save_model(model, dir.path());
    const Json config = load_json(dir.path() / "config.json").root;
    CHECK_THAT(config.at("architectures").at(0).get<std::string>(),
               Catch::Matchers::EndsWith("ForSequenceClassification"));
    CHECK(config.at("id2label").at("2") == "nodule");
    CHECK(config.at("label2id").at("nodule") == 2);
    CHECK(config.at("text_config") == test::speaking_config(name).at("text_config"));
    const Model again = peft::load_model(dir.path());
    CHECK(again.architecture().labels() == kLabels);
    CHECK(again.fingerprint() == model.fingerprint());
    CHECK(difference(again.forward(texts(name, "right")), model.forward(texts(name, "right"))) ==
          0);
    // All else is as the file had it.
    const SafetensorsFile before(test::kSpeaking / name / "model.safetensors"),
        after(dir.path() / "model.safetensors");
    for (const TensorEntry& entry : before.tensors()) {
      CAPTURE(entry.name);
      const bool is_head = entry.name.find("lm_head") != std::string::npos;
      REQUIRE((after.find(entry.name) != nullptr) == !is_head);
      if (!is_head) CHECK(after.bytes(*after.find(entry.name)) == before.bytes(entry));
    }
    CHECK(after.tensors().back().name == "score.weight");

    Model other = peft::load_model(dir.path());
    other.relabel({"yes", "no"}, 1);
    CHECK(other.weight("score.weight").size(0) == 2);
    CHECK(other.architecture().config().at("id2label").size() == 2);
  }
}

TEST_CASE("labels are those of a class for classification alone") {
  Json config = test::speaking_config("llava");
  config["id2label"] = {{"0", "LABEL_0"}, {"1", "LABEL_1"}};
  CHECK(test::read_config(config)->labels().empty());
  config["architectures"] = {"LlavaForSequenceClassification"};
  CHECK(test::read_config(config)->labels() == std::vector<std::string>{"LABEL_0", "LABEL_1"});
  config.erase("id2label");
  const test::TempDir dir;
  CHECK_THROWS_WITH(read_architecture(dir.write("config.json", config.dump())),
                    Contains("id2label"));

  config = with_classes({{"model_type", "albef"}, {"problem_type", "x"}, {"num_labels", 4}}, {"a"});
  CHECK(config.at("architectures") == Json{"AlbefForSequenceClassification"});
  CHECK_FALSE(config.contains("problem_type"));
  CHECK_FALSE(config.contains("num_labels"));
}

TEST_CASE("a fresh head is drawn from the seed, and no other weight changes") {
  const Model words = load_speaking("llava");
  Model one = words, other = words;
  one.relabel(kLabels, 1);
  other.relabel(kLabels, 2);
  CHECK(one.weights().size() == words.weights().size());
  CHECK_FALSE(one.weights().count("language_model.lm_head.weight"));
  CHECK(difference(one.weight("score.weight"), other.weight("score.weight")) > 0);
  Model again = words;
  again.relabel(kLabels, 1);
  CHECK(again.fingerprint() == one.fingerprint());
  const double spread = one.weight("score.weight").std().item<double>();
  CHECK(spread == Approx(0.02).epsilon(0.3));
  for (const auto& [name, weight] : one.weights())
    if (name != "score.weight") CHECK(torch::equal(weight, words.weight(name)));
}
