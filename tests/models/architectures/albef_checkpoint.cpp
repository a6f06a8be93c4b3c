#include "models/architectures/albef_checkpoint.h"

#include "catch.h"
#include "core/torch_file.h"
#include "models/architectures/architectures.h"
#include "models/architectures/published_checkpoints.h"
#include "models/model.h"
#include "models/tensor_bytes.h"
#include "peft/files.h"
#include "strata/core/error.h"
#include "support/recorded.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::models;
using Catch::Matchers::Contains;
using test::Recorded;
using torch::Tensor;

namespace {

const std::filesystem::path kReference =
    std::filesystem::path(STRATA_SOURCE_DIR) / "tests" / "reference" / "vlms" / "albef";

/// All tensors of a checkpoint of PyTorch, copied.
Weights tensors_of(const std::string& name) {
  const TorchFile file(kReference / name);
  Weights tensors;
  for (const TensorEntry& entry : file.tensors()) {
    Tensor tensor = torch::empty(entry.shape, scalar_type(entry.dtype));
    const std::string_view bytes = file.bytes(entry);
    std::copy(bytes.begin(), bytes.end(), static_cast<char*>(tensor.data_ptr()));
    tensors[entry.name] = tensor;
  }
  return tensors;
}

std::shared_ptr<const Architecture> albef() {
  return read_architecture(kReference / "config.json");
}

Model model_of(const Weights& checkpoint) {
  Model model(Blueprint(albef()), 1);
  model.load_state(albef_weights(model.architecture(), checkpoint, "albef.pth"));
  return model;
}

double difference(const Tensor& found, const Tensor& expected) {
  return (found - expected).abs().max().item<double>();
}

std::string refused(const Weights& checkpoint) {
  try {
    albef_weights(*albef(), checkpoint, "albef.pth");
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("a finished checkpoint of ALBEF's authors is the model, whatever else it holds") {
  Weights checkpoint = tensors_of("model.pth");
  CHECK(checkpoint.count("text_encoder.embeddings.position_ids") == 1);
  CHECK(checkpoint.count("text_decoder.cls.predictions.decoder.weight") == 1);
  const std::string expected = peft::load_model(kReference).fingerprint();
  CHECK(model_of(checkpoint).fingerprint() == expected);
  // As it is where it was distilled from momentum copies, and in half precision.
  for (const char* name : {"visual_encoder_m.cls_token", "text_encoder_m.embeddings.odd",
                           "text_decoder_m.bert.embeddings.odd", "temp", "itm_head.weight"})
    checkpoint[name] = torch::zeros({2, 3});
  CHECK(model_of(checkpoint).fingerprint() == expected);
  for (auto& [name, tensor] : checkpoint)
    if (tensor.is_floating_point()) tensor = tensor.to(torch::kHalf);
  const Weights half = albef_weights(*albef(), checkpoint, "albef.pth");
  CHECK(half.at("visual_encoder.norm.bias").scalar_type() == torch::kFloat);
}

TEST_CASE("a finished checkpoint of ALBEF's authors is a folder's pytorch_model.bin as it stands") {
  const test::TempDir dir;
  std::filesystem::copy(kReference / "config.json", dir / "config.json");
  std::filesystem::copy(kReference / "model.pth", dir / "pytorch_model.bin");
  const Model model = peft::load_model(dir.path());
  CHECK(model.fingerprint() == peft::load_model(kReference).fingerprint());
  const test::TempDir out;
  peft::save_model(model, out.path());
  CHECK(peft::load_model(out.path()).fingerprint() == model.fingerprint());
}

TEST_CASE("from a pretrained checkpoint answering starts as ALBEF's authors have it") {
  const Weights checkpoint = tensors_of("pretrained.pth");
  CHECK(checkpoint.count("image_queue") == 1);
  const Model model = model_of(checkpoint);
  const Recorded given(kReference / "expected.safetensors");
  CHECK(difference(model.weight("visual_encoder.pos_embed"),
                   given("start.visual_encoder.pos_embed")) < 1e-6);
  CHECK(model.weight("text_decoder.bert.encoder.layer.1.crossattention.self.key.weight")
            .equal(checkpoint.at("text_encoder.bert.encoder.layer.3.crossattention.self.key."
                                 "weight")));

  Batch batch;
  batch.input_ids = given("question.input_ids");
  batch.attention_mask = given("question.attention_mask").to(torch::kFloat);
  batch.pixels = given("pixels");
  batch.decoder_ids = given("answers.input_ids");
  const Tensor counts = given("answers.counts");
  batch.decoder_rows = torch::arange(counts.size(0)).repeat_interleave(counts);
  State state;
  for (std::int64_t stage = 0; stage < model.stage_count(); ++stage) {
    state = model.run_stage(stage, batch, state);
    const std::string& name = model.architecture().stages()[static_cast<std::size_t>(stage)].name;
    if (name == "embeddings") {
      const Tensor expected = given("start.image_states");
      CHECK(difference(state.values.at("image").view(expected.sizes()), expected) < 1e-5);
    } else if (name == "block.3") {
      const Tensor expected = given("start.question_states");
      CHECK(difference(state.values.at("question").view(expected.sizes()) *
                           batch.attention_mask.unsqueeze(2),
                       expected) < 1e-5);
    }
  }
  const Tensor expected = given("start.logits"), mask = given("answers.attention_mask");
  const Tensor logits = state.values.at(kTokenLogits).view(expected.sizes());
  CHECK(difference(logits * mask.unsqueeze(2), expected) < 1e-4);
  const std::int64_t tokens = mask.size(1);
  const Tensor targets = batch.decoder_ids.masked_fill(mask == 0, -100).narrow(1, 1, tokens - 1);
  const Tensor each = torch::cross_entropy_loss(logits.narrow(1, 0, tokens - 1).transpose(1, 2),
                                                targets, {}, at::Reduction::None, -100);
  const Tensor loss = (given("answers.weights") * each.sum(1)).sum() / batch.size();
  CHECK(loss.item<double>() == Approx(given("start.loss").item<double>()).epsilon(1e-5));
}

TEST_CASE(
    "a folder may hold a checkpoint of ALBEF's authors, finished or pretrained, as it stands") {
  for (const std::string name : {"model.pth", "pretrained.pth"}) {
    CAPTURE(name);
    const test::TempDir dir;
    std::filesystem::copy(kReference / "config.json", dir / "config.json");
    std::filesystem::copy(kReference / name, dir / "ALBEF.pth");
    Model model = peft::load_model(dir.path());
    CHECK(model.fingerprint() == model_of(tensors_of(name)).fingerprint());
    CHECK_NOTHROW(peft::check_weights(dir.path(), model.blueprint()));
    // The decoder's layers, which a pretrained one has from its encoder, are its own.
    const Tensor encoder = model.weight("text_encoder.encoder.layer.2.output.dense.bias").clone();
    model.weight("text_decoder.bert.encoder.layer.0.output.dense.bias").add_(1);
    CHECK(model.weight("text_encoder.encoder.layer.2.output.dense.bias").equal(encoder));
    const test::TempDir out;
    peft::save_model(model, out.path());
    CHECK(peft::load_model(out.path()).fingerprint() == model.fingerprint());

    std::filesystem::copy(kReference / name, dir / "LAVIS.pt");
    CHECK_THROWS_WITH(peft::load_model(dir.path()),
                      Contains("\"ALBEF.pth\" and \"LAVIS.pt\" are checkpoints"));
    // What transformers has for weights comes first.
    std::filesystem::copy(kReference / "model.safetensors", dir / "model.safetensors");
    CHECK(peft::load_model(dir.path()).fingerprint() == peft::load_model(kReference).fingerprint());
  }
  const test::TempDir other;
  std::filesystem::copy(kReference / "model.pth", other / "ALBEF.pth");
  const auto llava = read_architecture(kReference.parent_path() / "llava" / "config.json");
  CHECK_FALSE(has_published_checkpoint(other.path(), *llava));
  std::filesystem::copy(kReference / "config.json", other / "config.json");
  other.write("ALBEF.pth", "no checkpoint");
  CHECK_THROWS_WITH(peft::load_model(other.path()), Contains("ALBEF.pth"));
  CHECK_THROWS_WITH(peft::check_weights(other.path(), peft::read_blueprint(other.path())),
                    Contains("ALBEF.pth"));
}

TEST_CASE("a checkpoint that is not of this ALBEF is refused by the weight") {
  for (const std::string name : {"model.pth", "pretrained.pth"}) {
    CAPTURE(name);
    const Weights checkpoint = tensors_of(name);
    const bool pretrained = name == "pretrained.pth";
    const std::string encoder = pretrained ? "text_encoder.bert." : "text_encoder.";
    const std::string cls = pretrained ? "text_encoder.cls." : "text_decoder.cls.";
    CHECK(refused(checkpoint).empty());

    Weights changed = checkpoint;
    const std::string key = encoder + "encoder.layer.3.attention.self.key.weight";
    changed.erase(key);
    CHECK(refused(changed) == "albef.pth: the weight \"" + key + "\" is missing");
    changed[key] = torch::zeros({12, 13});
    CHECK_THAT(refused(changed),
               Contains("\"" + key + "\" has shape (12, 13)") && Contains("asks for (12, 12)"));
    changed[key] = torch::zeros({12, 12}, torch::kInt64);
    CHECK_THAT(refused(changed), Contains(key) && Contains("not of floats"));

    changed = checkpoint;
    changed[encoder + "encoder.layer.4.output.dense.bias"] = torch::zeros({12});
    CHECK_THAT(refused(changed), Contains("unknown weight \"" + encoder + "encoder.layer.4"));
    changed = checkpoint;
    changed.at(cls + "predictions.decoder.bias") = torch::zeros({40});
    CHECK_THAT(refused(changed), Contains("two names of one weight"));
    for (const std::int64_t tokens : {0, 1, 4}) {  // of no grid that is a square
      changed = checkpoint;
      changed.at("visual_encoder.pos_embed") = torch::zeros({1, tokens, 12});
      CHECK_THAT(refused(changed), Contains("visual_encoder.pos_embed") && Contains("shape"));
    }
  }
  CHECK_THAT(refused({}), Contains("is missing"));
}
