#include "models/architectures/albef.h"

#include <map>
#include <set>

#include "catch.h"
#include "models/architectures/architectures.h"
#include "models/device.h"
#include "models/model.h"
#include "models/units.h"
#include "peft/files.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"
#include "strata/core/unit_choice.h"
#include "support/kept_bytes.h"
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

Recorded recorded() {
  return Recorded(kReference / "expected.safetensors");
}

Batch questions(const Recorded& given) {
  Batch batch;
  batch.input_ids = given("question.input_ids");
  batch.attention_mask = given("question.attention_mask").to(torch::kFloat);
  batch.pixels = given("pixels");
  return batch;
}

/// Behind which tokens the next one is one of an answer: a mask of ids (m, D - 1), padding 0.
Tensor asked(const Tensor& ids) {
  return ids.narrow(1, 1, ids.size(1) - 1) != 0;
}

/// With answers that start with [CLS], and the sample of each.
Batch with_answers(Batch batch, const Tensor& ids, const Tensor& rows) {
  batch.decoder_ids = ids;
  batch.decoder_rows = rows;
  batch.outputs = asked(ids).nonzero();
  return batch;
}

/// The recorded answers: two, one and two to a question.
Batch answered(const Recorded& given) {
  const Tensor counts = given("answers.counts");
  return with_answers(questions(given), given("answers.input_ids"),
                      torch::arange(counts.size(0)).repeat_interleave(counts));
}

/// One answer a question, without saying whose.
Batch answered_once(const Recorded& given) {
  const Tensor rows = torch::tensor({0, 2, 3});
  return with_answers(questions(given), given("answers.input_ids").index_select(0, rows), Tensor());
}

Tensor targets(const Batch& batch) {
  const Tensor& ids = batch.decoder_ids;
  return ids.narrow(1, 1, ids.size(1) - 1).masked_select(asked(ids));
}

/// Each answer's sum of its tokens' cross-entropies.
Tensor losses(const Model& model, const Batch& batch, double smoothing = 0) {
  const Tensor each =
      torch::cross_entropy_loss(model.run(batch).values.at(kTokenLogits), targets(batch), {},
                                at::Reduction::None, -100, smoothing);
  return torch::zeros({batch.decoder_ids.size(0)}, each.options())
      .index_add(0, batch.outputs.select(1, 0), each);
}

Tensor weighted(const Recorded& given, const Tensor& answers, const Batch& batch) {
  return (given("answers.weights").to(answers.scalar_type()) * answers).sum() / batch.size();
}

double difference(const Tensor& found, const Tensor& expected) {
  return (found - expected).abs().max().item<double>();
}

double relative_error(const Tensor& found, const Tensor& expected) {
  return ((found - expected).norm() / expected.norm()).item<double>();
}

std::shared_ptr<const Architecture> read(const Json& config) {
  const test::TempDir dir;
  return read_architecture(dir.write("config.json", config.dump()));
}

Json config() {
  return load_json(kReference / "config.json").root;
}

/// What stages up to one of that name leave.
State state_after(const Model& model, const Batch& batch, const std::string& name) {
  State state;
  for (std::int64_t stage = 0; stage < model.stage_count(); ++stage) {
    state = model.run_stage(stage, batch, state);
    if (model.architecture().stages()[static_cast<std::size_t>(stage)].name == name) return state;
  }
  throw std::out_of_range(name);
}

/// A model whose weights, those of pairs and adapters among them, are double and all count.
Model in_double(const std::vector<std::string>& methods) {
  Model model = peft::load_model(kReference);
  peft::add_methods(model, peft::parse_methods(methods, "--peft"), 3);
  torch::manual_seed(5);
  for (auto& [name, tensor] : model.weights()) {
    if (name.find("lora_B") != std::string::npos) tensor.normal_(0, 0.1);
    tensor = tensor.to(torch::kDouble);
  }
  return model;
}

std::set<std::string> trainable(const Model& model) {
  std::set<std::string> names;
  for (const Layer& layer : model.blueprint().layers()) {
    for (const Parameter& parameter : layer.parameters)
      if (!layer.frozen) names.insert(parameter.name);
  }
  return names;
}

/// The gradient of an operation's weight, from that of its output.
Tensor weight_gradient(const CapturedOp& op, const Tensor& gradient, const Tensor& weight) {
  const Tensor delta = gradient.reshape({-1, gradient.size(-1)});
  switch (op.kind) {
    case CapturedOp::Kind::kLinear:
      return delta.t().mm(op.rows().reshape({delta.size(0), -1})).reshape(weight.sizes());
    case CapturedOp::Kind::kNorm:
      return (delta * op.input.reshape(delta.sizes())).sum(0);
    case CapturedOp::Kind::kEmbedding:
      return torch::zeros_like(weight).index_add(0, op.input.reshape(-1), delta);
    default:
      return gradient.sum(0).reshape(weight.sizes());
  }
}

}  // namespace

TEST_CASE("ALBEF's states of image and question are the reference's") {
  const Model model = peft::load_model(kReference);
  const Recorded given = recorded();
  const Batch batch = questions(given);
  const Tensor image = state_after(model, batch, "embeddings").values.at("image");
  const Tensor expected = given("image_states");
  CHECK(difference(image.view(expected.sizes()), expected) < 1e-5);
  const State asked = state_after(model, batch, "block.3");
  const Tensor question = given("question_states");
  CHECK(difference(
            asked.values.at("question").view(question.sizes()) * batch.attention_mask.unsqueeze(2),
            question) < 1e-5);
  CHECK(asked.values.size() == 1);  // the image is done with
}

TEST_CASE("ALBEF classifies by the head of its authors' model for visual entailment") {
  Model model = peft::load_model(kReference);
  const Recorded given = recorded();
  const Batch batch = questions(given);
  const std::string last = "block.3";
  const Tensor states = state_after(model, batch, last).values.at("question");
  model.relabel({"entailment", "neutral", "contradiction"}, 4);
  CHECK(model.weight("cls_head.0.weight").sizes() == std::vector<std::int64_t>{12, 12});
  for (const char* bias : {"cls_head.0.bias", "cls_head.2.bias"}) model.weight(bias).normal_();
  const Tensor first = states.view({batch.size(), -1, 12}).select(1, 0);
  const auto linear = [&](const std::string& name, const Tensor& x) {
    return torch::linear(x, model.weight(name + ".weight"), model.weight(name + ".bias"));
  };
  CHECK(difference(model.forward(batch), linear("cls_head.2", linear("cls_head.0", first).relu())) <
        1e-6);
  // The decoder of answers is there no more.
  for (const auto& [name, weight] : model.weights())
    CHECK(name.find("text_decoder") == std::string::npos);
  const std::vector<Unit> units =
      peft::scheme_units(model.blueprint(), "block", models::Buffers::kFrozen);
  CHECK(units.back().name == "head");
  CHECK(units.back().role == Role::kHead);
  CHECK(units.back().forward_flops == 2.0 * (12 * 12 + 3 * 12));

  const test::TempDir dir;
  peft::save_model(model, dir.path());
  const Model again = peft::load_model(dir.path());
  CHECK(again.fingerprint() == model.fingerprint());
  CHECK(again.architecture().labels().at(1) == "neutral");
  CHECK(difference(again.forward(batch), model.forward(batch)) == 0);

  // Also with prompts before [CLS], in double precision, by its captured operations.
  peft::add_methods(model, peft::parse_methods({"prompts:length=2"}, "--peft"), 3);
  for (auto& [name, tensor] : model.weights()) tensor = tensor.to(torch::kDouble);
  Batch exact = batch;
  exact.pixels = exact.pixels.to(torch::kDouble);
  const std::set<std::string> all = trainable(model);
  for (auto& [name, tensor] : model.weights()) tensor.set_requires_grad(all.count(name) > 0);
  const Tensor targets = torch::tensor({2, 0, 1});
  torch::cross_entropy_loss(model.forward(exact), targets).backward();
  std::vector<CapturedOp> ops;
  State state;
  for (std::int64_t stage = 0; stage < model.stage_count(); ++stage)
    state = model.capture_stage(stage, exact, state, all, ops);
  std::vector<Tensor> outputs;
  for (const CapturedOp& op : ops) outputs.push_back(op.output);
  const auto deltas =
      torch::autograd::grad({torch::cross_entropy_loss(state.values.at(kLogits), targets)}, outputs,
                            {}, true, false, true);
  int heads = 0;
  for (std::size_t i = 0; i < ops.size(); ++i) {
    if (ops[i].weight.rfind("cls_head.", 0) != 0) continue;
    const Tensor& weight = model.weight(ops[i].weight);
    CHECK(difference(weight_gradient(ops[i], deltas[i], weight), weight.grad()) < 1e-9);
    ++heads;
  }
  CHECK(heads == 2);
}

TEST_CASE("ALBEF's images are processed as CLIP's unless a file says otherwise") {
  const data::ImageProcessor processor = peft::load_model(kReference).blueprint().image_processor();
  CHECK(processor.size == data::ImageSize{16, 16});
  CHECK(processor.resize == data::ImageProcessor::Resize::kExact);
  CHECK_FALSE(processor.crop);
  CHECK(processor.filter == data::Filter::kBicubic);
  CHECK(processor.mean == std::array<double, 3>{0.48145466, 0.4578275, 0.40821073});
  CHECK(processor.std == std::array<double, 3>{0.26862954, 0.26130258, 0.27577711});
  // It is written, and a file of ViT's without these keys has ViT's own.
  const test::TempDir dir;
  peft::save_model(peft::load_model(kReference), dir.path());
  CHECK(peft::load_model(dir.path()).blueprint().image_processor().key() == processor.key());
  dir.write(
      "preprocessor_config.json",
      R"({"image_processor_type": "ViTImageProcessor", "size": {"height": 16, "width": 16}})");
  const data::ImageProcessor other = peft::load_model(dir.path()).blueprint().image_processor();
  CHECK(other.filter == data::Filter::kBilinear);
  CHECK(other.mean == std::array<double, 3>{0.5, 0.5, 0.5});
}

TEST_CASE("ALBEF's logits and losses of several weighted answers a question are the reference's") {
  const Model model = peft::load_model(kReference);
  const Recorded given = recorded();
  Batch batch = answered(given);
  const Tensor answers = losses(model, batch);
  CHECK(difference(answers, given("answer_losses")) < 1e-4);
  CHECK(weighted(given, answers, batch).item<double>() ==
        Approx(given("loss").item<double>()).epsilon(1e-5));
  CHECK(weighted(given, losses(model, batch, 0.1), batch).item<double>() ==
        Approx(given("loss_smoothed").item<double>()).epsilon(1e-5));
  batch.outputs = Tensor();  // everywhere
  const Tensor expected = given("logits");
  const Tensor logits = model.run(batch).values.at(kTokenLogits).view(expected.sizes());
  CHECK(difference(logits * given("answers.attention_mask").unsqueeze(2), expected) < 1e-4);
}

TEST_CASE("ALBEF's gradients are the reference's, those of the tied words among them") {
  Model model = in_double({});
  const Recorded given = recorded();
  Batch batch = answered(given);
  batch.pixels = batch.pixels.to(torch::kDouble);
  for (auto& [name, tensor] : model.weights()) tensor.set_requires_grad(true);
  weighted(given, losses(model, batch), batch).backward();
  const std::string start = "gradient.";
  int checked = 0;
  for (const TensorEntry& entry : given.tensors()) {
    if (entry.name.rfind(start, 0) != 0) continue;
    CAPTURE(entry.name);
    const Tensor gradient = model.weight(entry.name.substr(start.size())).grad();
    REQUIRE(gradient.defined());
    CHECK(relative_error(gradient, given(entry.name)) < 1e-5);  // float64's, recorded as float32
    ++checked;
  }
  CHECK(checked == 32);
}

TEST_CASE("ALBEF ranks a list of answers by their first tokens, then as a whole") {
  constexpr std::int64_t kBest = 4, kCls = 1;
  const Model model = peft::load_model(kReference);
  const Recorded given = recorded();
  const Batch batch = questions(given);
  const std::int64_t n = batch.size();
  Batch first = batch;
  first.decoder_ids = torch::full({n, 1}, kCls, torch::kInt64);
  const Tensor listed = given("list.input_ids");
  const Tensor log = torch::log_softmax(model.run(first).values.at(kTokenLogits), 1)
                         .index_select(1, listed.select(1, 1));
  const auto [log_first, chosen] = log.topk(kBest, 1);
  CHECK(chosen.equal(given("first.chosen")));
  CHECK(difference(log_first, given("first.log")) < 1e-4);

  const Tensor of_question = torch::arange(n).repeat_interleave(kBest);
  const Batch whole = with_answers(batch, listed.index_select(0, chosen.flatten()), of_question);
  const Tensor log_whole = -losses(model, whole).view({n, kBest});
  CHECK(difference(log_whole, given("whole.log")) < 1e-4);
  const auto ranked = [&](const Tensor& by) {
    return chosen.gather(1, by.argsort(1, /*descending=*/true));
  };
  CHECK(ranked(log_first + log_whole).equal(given("ranked")));
  CHECK(ranked(log_whole).equal(given("ranked_once")));
  CHECK_FALSE(given("ranked").equal(given("ranked_once")));
}

TEST_CASE("some samples of a batch have their own answers, and compute what they did in it") {
  const Model model = peft::load_model(kReference);
  const Recorded given = recorded();
  const Batch batch = answered(given);
  const Tensor all = losses(model, batch);
  const Batch last = rows_of(batch, 1, 2);
  CHECK(last.decoder_rows.equal(torch::tensor({0, 1, 1})));
  CHECK(last.decoder_ids.equal(batch.decoder_ids.narrow(0, 2, 3)));
  CHECK(difference(losses(model, last), all.narrow(0, 2, 3)) < 1e-5);
  CHECK(difference(losses(model, rows_of(batch, 0, 1)), all.narrow(0, 0, 2)) < 1e-5);
  CHECK(batch.decoder_rows.max().item<int>() == 2);  // the whole is as it was

  const Batch once = answered_once(given);
  CHECK(difference(losses(model, once), all.index_select(0, torch::tensor({0, 2, 3}))) < 1e-5);
  const Batch part = rows_of(once, 2, 1);
  CHECK(part.decoder_ids.equal(once.decoder_ids.narrow(0, 2, 1)));
  CHECK(difference(losses(model, part), all.narrow(0, 3, 1)) < 1e-5);
}

TEST_CASE("ALBEF's captured operations give the gradients of autograd") {
  const Recorded given = recorded();
  for (Batch batch : {answered(given), answered_once(given)}) {
    Model model = in_double(
        {"lora:rank=2,targets=qkv+query+fc1", "adapters:reduction=4", "prompts:length=2"});
    batch.pixels = batch.pixels.to(torch::kDouble);
    const std::set<std::string> all = trainable(model);
    for (auto& [name, tensor] : model.weights()) tensor.set_requires_grad(all.count(name) > 0);
    const Tensor factors = torch::arange(1, targets(batch).size(0) + 1).to(torch::kDouble);
    const auto loss_of = [&](const State& state) {
      const Tensor each = torch::cross_entropy_loss(state.values.at(kTokenLogits), targets(batch),
                                                    {}, at::Reduction::None);
      return (each * factors).sum();
    };
    loss_of(model.run(batch)).backward();

    std::vector<CapturedOp> ops;
    State state;
    for (std::int64_t stage = 0; stage < model.stage_count(); ++stage)
      state = model.capture_stage(stage, batch, state, all, ops);
    std::vector<Tensor> outputs;
    for (const CapturedOp& op : ops) outputs.push_back(op.output);
    const auto deltas =
        torch::autograd::grad({loss_of(state)}, outputs, {}, /*retain_graph=*/true, false, true);
    std::map<std::string, Tensor> found;
    const auto add = [&](const std::string& name, const Tensor& gradient) {
      Tensor& sum = found[name];
      sum = sum.defined() ? sum + gradient : gradient;
    };
    for (std::size_t i = 0; i < ops.size(); ++i) {
      CAPTURE(ops[i].weight, ops[i].bias);
      REQUIRE(deltas[i].defined());
      if (!ops[i].bias.empty())
        add(ops[i].bias, deltas[i].reshape({-1, deltas[i].size(-1)}).sum(0));
      if (!ops[i].weight.empty())
        add(ops[i].weight, weight_gradient(ops[i], deltas[i], model.weight(ops[i].weight)));
    }
    // One row that every token adds, whosever it is.
    const auto is_head_bias = [](const CapturedOp& op) {
      return op.bias == "text_decoder.cls.predictions.bias" && op.weight.empty();
    };
    CHECK(std::count_if(ops.begin(), ops.end(), is_head_bias) == 1);
    CHECK(found.size() == all.size());
    for (const std::string& name : all) {
      CAPTURE(name);
      REQUIRE(found.count(name) == 1);
      const Tensor& expected = model.weight(name).grad();
      CHECK(difference(found[name], expected) < 1e-8 * (1 + expected.abs().max().item<double>()));
    }
  }
}

TEST_CASE("prompts stand before the question: its image and answer see them") {
  const Recorded given = recorded();
  const Batch batch = answered(given);
  Model model = peft::load_model(kReference);
  const Tensor without = losses(model, batch);
  peft::add_methods(model, peft::parse_methods({"prompts:length=2"}, "--peft"), 3);
  CHECK(state_after(model, batch, "block.3").values.at("question").size(0) == 3 * (5 + 2));
  const Tensor with = losses(model, batch);
  CHECK(difference(with, without) > 1e-3);
  // The same of a question without its padding.
  Batch alone = rows_of(batch, 1, 1);
  for (Tensor* text : {&alone.input_ids, &alone.attention_mask}) *text = text->narrow(1, 0, 3);
  CHECK(difference(losses(model, alone), with.narrow(0, 2, 1)) < 1e-4);
  const auto names =
      names_of(peft::scheme_units(model.blueprint(), "prompt+layernorm", models::Buffers::kFrozen));
  CHECK(std::count(names.begin(), names.end(), "prompt") == 1);
  const auto prompt = std::find(names.begin(), names.end(), "prompt");
  CHECK(*(prompt - 1) == "embeddings");
  CHECK(*(prompt + 1) == "layernorm.0");
}

TEST_CASE("ALBEF's 30 blocks compete, and its other units are those of embeddings and head") {
  const Blueprint blueprint(read({{"model_type", "albef"}}));
  CHECK(blueprint.parameter_count() == 290336058);
  CHECK(blueprint.architecture().text_tokens() == 512);
  CHECK(blueprint.architecture().vocabulary_size() == 30522);
  CHECK(blueprint.architecture().image_model().image_size == 384);
  const std::vector<Unit> units =
      peft::scheme_units(blueprint, "block", 40, models::Buffers::kFrozen);
  REQUIRE(units.size() == 34);
  std::map<std::string, const Unit*> by_name;
  for (const Unit& unit : units) by_name[unit.name] = &unit;
  std::vector<Role> roles;
  for (const Unit& unit : units) roles.push_back(unit.role);
  for (int i = 0; i < 12; ++i) {
    CHECK(by_name.at("vision.block." + std::to_string(i))->parameter_count == 7087872);
    CHECK(by_name.at("block." + std::to_string(i))->parameter_count == (i < 6 ? 7087872 : 9451776));
    if (i < 6) CHECK(by_name.at("decoder.block." + std::to_string(i))->parameter_count == 9451776);
  }
  CHECK(role_name(by_name.at("vision.embeddings")->role) == "vision");
  CHECK(role_name(by_name.at("embeddings")->role) == "embeddings");
  CHECK(role_name(by_name.at("decoder.embeddings")->role) == "embeddings");
  CHECK(role_name(by_name.at("head")->role) == "output");
  const UnitChoice choice = choose_units(names_of(units), roles, {});
  CHECK(choice.competing.size() == 30);
  CHECK(choice.always.empty());
  CHECK(units[choice.competing.front()].name == "vision.block.0");
  CHECK(units[choice.competing.back()].name == "decoder.block.5");

  // Only the words that are the head's weight, too, are in no unit.
  std::int64_t held = 0;
  for (const Unit& unit : units) held += unit.parameter_count;
  CHECK(held == 290336058 - 30522 * 768);
  CHECK(by_name.at("decoder.embeddings")->parameter_count == (512 + 2 + 2) * 768);
  CHECK(by_name.at("head")->parameter_count == 768 * 768 + 3 * 768 + 30522);
  CHECK(by_name.at("head")->forward_flops == 2.0 * 9 * 768 * 768);
  // A layer of the decoder works on an answer of ten tokens, one of the tower on 577.
  CHECK(by_name.at("vision.block.0")->forward_flops > 2.0 * 577 * 12 * 768 * 768);
  CHECK(by_name.at("decoder.block.0")->forward_flops < by_name.at("block.6")->forward_flops / 2);
}

TEST_CASE("adapters behind ALBEF's blocks are as many as the published ones") {
  const Blueprint blueprint(read({{"model_type", "albef"}}));
  const Blueprint with = peft::with_methods(
      blueprint, peft::parse_methods({"adapters:reduction=16"}, "--peft"), "model");
  CHECK(with.parameter_count() - blueprint.parameter_count() == 30 * 74544);
  const std::vector<Unit> units = peft::scheme_units(with, "adapter", 40, models::Buffers::kFrozen);
  std::int64_t of_blocks = 0;
  for (const Unit& unit : units)
    if (unit.role == Role::kBody) of_blocks += unit.parameter_count;
  CHECK(of_blocks == 2236320);
}

TEST_CASE("what ALBEF's units keep is what autograd keeps") {
  if (!test::heap_is_known()) {
    WARN("this build's allocator does not tell what it holds");
    return;
  }
  Json json = config();
  json.update(
      {{"image_res", 32}, {"vision_width", 72}, {"hidden_size", 72}, {"encoder_width", 72}});
  json.update({{"intermediate_size", 160}, {"max_position_embeddings", 40}, {"vocab_size", 300}});
  Model model(Blueprint(read(json)), 1);
  const Batch sample = model.blueprint().example(28);
  constexpr std::int64_t kSamples = 8;
  Batch batch;
  batch.input_ids = sample.input_ids.repeat({kSamples, 1});
  batch.attention_mask = sample.attention_mask.repeat({kSamples, 1});
  batch.pixels = torch::randn({kSamples, 3, 32, 32});
  batch.decoder_ids = sample.decoder_ids.repeat({kSamples, 1});
  std::vector<Tensor> outputs;
  for (std::int64_t i = 0; i < kSamples; ++i)
    outputs.push_back(sample.outputs + torch::tensor({i, std::int64_t{0}}));
  batch.outputs = torch::cat(outputs);
  for (const std::string scheme : {"block", "layernorm", "bias"}) {
    CAPTURE(scheme);
    model.set_units(peft::scheme_units(model.blueprint(), scheme, 28, models::Buffers::kFrozen));
    test::check_activation_bytes(model, batch);
  }
}

TEST_CASE("dropout acts in ALBEF's texts alone, where it is asked for") {
  const Recorded given = recorded();
  const Batch batch = answered(given);
  const auto logits = [&](const Model& model) {
    return model.run(batch, make_generator(model.device(), 7)).values.at(kTokenLogits);
  };
  const test::TempDir dir;
  std::filesystem::copy(kReference / "model.safetensors", dir / "model.safetensors");
  Json json = config();
  json.update({{"hidden_dropout_prob", 0}, {"attention_probs_dropout_prob", 0}});
  dir.write("config.json", json.dump());
  const Tensor without = peft::load_model(kReference).run(batch).values.at(kTokenLogits);
  CHECK(difference(logits(peft::load_model(dir.path())), without) < 1e-4);
  for (const char* key : {"hidden_dropout_prob", "attention_probs_dropout_prob"}) {
    Json one = json;
    one[key] = 0.1;
    dir.write("config.json", one.dump());
    CHECK(difference(logits(peft::load_model(dir.path())), without) > 1e-2);
  }
}

TEST_CASE("ALBEF's files are written as they came, byte for byte") {
  Model model = peft::load_model(kReference);
  const test::TempDir out;
  peft::save_model(model, out.path());
  CHECK(read_file(out / "model.safetensors") == read_file(kReference / "model.safetensors"));
  const Model back = peft::load_model(out.path());
  CHECK(back.fingerprint() == model.fingerprint());
  CHECK(load_json(out / "config.json").root.at("fusion_layer") == 2);
  // What has changed is written anew.
  model.weight("visual_encoder.norm.bias").add_(1);
  peft::save_model(model, out.path());
  CHECK(peft::load_model(out.path()).fingerprint() == model.fingerprint());
}

TEST_CASE("a file may hold ALBEF's shared weights under both names, if they are one") {
  const std::string words = "text_decoder.bert.embeddings.word_embeddings.weight";
  const std::string cls = "text_decoder.cls.predictions.";
  const SafetensorsFile file(kReference / "model.safetensors");
  std::vector<TensorView> views;
  for (const TensorEntry& entry : file.tensors())
    views.push_back({entry.name, entry.dtype, entry.shape, file.bytes(entry)});
  const auto again = [&](const std::string& name, const std::string& as) {
    const TensorEntry* entry = file.find(name);
    REQUIRE(entry);
    views.push_back({as, entry->dtype, entry->shape, file.bytes(*entry)});
  };
  again(words, cls + "decoder.weight");
  again(cls + "bias", cls + "decoder.bias");
  const std::string positions(8 * 8, '\0');
  views.push_back({"text_encoder.embeddings.position_ids", Dtype::kI64, {1, 8}, positions});
  const test::TempDir dir;
  dir.write("config.json", config().dump());
  write_safetensors(dir / "model.safetensors", views, {{"format", "pt"}});
  const Model model = peft::load_model(dir.path());
  CHECK(model.fingerprint() == peft::load_model(kReference).fingerprint());
  const test::TempDir out;
  peft::save_model(model, out.path());
  CHECK(read_file(out / "model.safetensors") == read_file(dir / "model.safetensors"));

  std::string other(file.bytes(*file.find(cls + "bias")));
  other.back() ^= 1;
  for (TensorView& view : views)
    if (view.name == cls + "decoder.bias") view.bytes = other;
  write_safetensors(dir / "model.safetensors", views, {{"format", "pt"}});
  CHECK_THROWS_WITH(peft::load_model(dir.path()), Contains("two names of one weight"));
}

TEST_CASE("what is not computed of ALBEF is refused by its key") {
  const auto refused = [](const Json& change) {
    Json json = config();
    json.update(change);
    const test::TempDir dir;
    try {
      read_architecture(dir.write("config.json", json.dump(1)));
    } catch (const InputError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  CHECK(refused(Json::object()).empty());
  CHECK_THAT(refused({{"model_type", "albeff"}}), Contains("did you mean \"albef\"?"));
  CHECK_THAT(refused({{"encoder_width", 16}}),
             Contains("encoder_width: found 16") && Contains("hidden_size = 12"));
  CHECK_THAT(refused({{"vision_width", 24}}), Contains("vision_width") && Contains("hidden_size"));
  CHECK_THAT(refused({{"fusion_layer", 4}}), Contains("fusion_layer") && Contains("= 4"));
  CHECK_THAT(refused({{"vision_heads", 5}}), Contains("vision_width") && Contains("vision_heads"));
  CHECK_THAT(refused({{"num_attention_heads", 5}}), Contains("num_attention_heads"));
  CHECK_THAT(refused({{"patch_size", 5}}), Contains("image_res") && Contains("patch_size"));
  CHECK_THAT(refused({{"hidden_act", "relu"}}), Contains("hidden_act"));
  CHECK_THAT(refused({{"mlp_ratio", 21846}}), Contains("mlp_ratio"));
  CHECK_THAT(refused({{"hidden_dropout_prob", 1}}), Contains("hidden_dropout_prob"));

  const Model model = peft::load_model(kReference);
  const Recorded given = recorded();
  CHECK_THROWS_WITH(model.run(questions(given)), Contains("needs the tokens of answers"));
  Batch batch = questions(given);
  batch.decoder_ids = torch::ones({3, 9}, torch::kInt64);
  CHECK_THROWS_WITH(model.run(batch), Contains("9 tokens") && Contains("8 positions"));
}
