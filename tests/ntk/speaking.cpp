// Kernels of models that speak, whose rows are the log-likelihoods of answers, and of the same with
// a classifier's head.
#include <Eigen/Eigenvalues>
#include <map>
#include <set>

#include "catch.h"
#include "data/image.h"
#include "models/model.h"
#include "models/tokenizer_files.h"
#include "ntk/lntk.h"
#include "peft/files.h"
#include "peft/lora.h"
#include "strata/core/atomic_file.h"
#include "support/brute_force.h"
#include "support/speaking_model.h"
#include "support/tiny_model.h"
#include "tasks/answer_generation.h"
#include "tasks/dataset.h"
#include "tasks/image_text_classification.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::models;
using namespace strata::ntk;
using torch::Tensor;

namespace {

/// Every folder of tests/reference/vlms.
const std::vector<std::string> kRecorded = {
    "albef",       "blip2_opt",    "blip2_opt_post", "blip2_t5",     "llava",
    "llava_full",  "llava_layers", "llava_llama3",   "llava_med",    "llava_mistral",
    "llava_qwen2", "paligemma",    "smolvlm",        "smolvlm_tiles"};

data::Manifest write_questions(const std::filesystem::path& folder) {
  data::Manifest manifest;
  manifest.folder = folder;
  const std::vector<std::string> answers = {"no", "dark blue", "so", "12"};
  for (std::size_t i = 0; i < answers.size(); ++i) {
    data::Image image{18, 18, std::vector<std::uint8_t>(18 * 18 * 3)};
    for (std::size_t p = 0; p < image.pixels.size(); ++p)
      image.pixels[p] = static_cast<std::uint8_t>((p * (7 + 4 * i) + 31 * i) % 251);
    const std::string name = std::to_string(i) + ".png";
    data::write_png(image, folder / name);
    manifest.examples.push_back(
        {name, std::string(3 * i, 'q') + "?", {answers[i]}, "train", "ct", "open", ""});
  }
  return manifest;
}

/// Θ in double: one differentiation of one sample's loss at a time, no capture.
Eigen::MatrixXd brute_force(Model& model, const std::vector<Tensor>& losses, const Unit& unit) {
  std::vector<Tensor> weights = model.weights_of(unit);
  Eigen::MatrixXd jacobian;
  for (std::size_t row = 0; row < losses.size(); ++row) {
    const auto gradients = torch::autograd::grad({losses[row]}, weights, {}, true, false, true);
    std::vector<Tensor> flat;
    for (std::size_t w = 0; w < weights.size(); ++w)
      flat.push_back(gradients[w].defined() ? gradients[w].reshape(-1)
                                            : torch::zeros({weights[w].numel()}, torch::kDouble));
    const Tensor all = torch::cat(flat).contiguous();
    if (row == 0) jacobian.resize(static_cast<Eigen::Index>(losses.size()), all.numel());
    jacobian.row(static_cast<Eigen::Index>(row)) =
        Eigen::Map<const Eigen::RowVectorXd>(all.data_ptr<double>(), all.numel());
  }
  return jacobian * jacobian.transpose();
}

/// Weights and images in double, all of them leaves.
Model widened(const Model& model, Batch& batch) {
  Model wide = model.clone();
  batch.pixels = batch.pixels.to(torch::kDouble);
  for (auto& [name, tensor] : wide.weights())
    tensor = tensor.to(torch::kDouble).requires_grad_(true);
  return wide;
}

/// λ₁ and trace of every unit are those of its rows in double.
void check_spectra(const std::vector<UnitSpectrum>& spectra, const std::vector<Unit>& units,
                   Model& wide, const std::vector<Tensor>& rows, double tolerance = 1e-4) {
  REQUIRE(spectra.size() == units.size());
  for (std::size_t u = 0; u < units.size(); ++u) {
    CAPTURE(units[u].name);
    const Eigen::MatrixXd theta = brute_force(wide, rows, units[u]);
    const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(theta);
    const double largest = solver.eigenvalues().maxCoeff();
    CHECK(largest > 0);
    CHECK(spectra[u].spectrum.values.front() == Approx(largest).epsilon(tolerance));
    CHECK(spectra[u].trace == Approx(theta.trace()).epsilon(tolerance));
  }
}

/// The entries of a vector.
std::vector<Tensor> each_of(const Tensor& all) {
  std::vector<Tensor> entries;
  for (std::int64_t i = 0; i < all.size(0); ++i) entries.push_back(all[i]);
  return entries;
}

/// LoRA pairs in every layer that takes them, adapters and prompts.
void add_every_method(Model& model) {
  std::string targets;
  for (const std::string& target : peft::lora_targets(model.blueprint()))
    targets += (targets.empty() ? "" : "+") + target;
  peft::add_methods(
      model,
      peft::parse_methods(
          {"lora:rank=1,targets=" + targets, "adapters:reduction=2", "prompts:length=2"}, "--peft"),
      3);
  // Second factors begin at 0, which gives the first ones no gradient. With larger ones float32's
  // own rounding in ALBEF's first blocks is 2e-4 of a kernel.
  for (auto& [weight, tensor] : model.weights()) {
    if (tensor.is_floating_point() && tensor.count_nonzero().item<std::int64_t>() == 0)
      tensor.copy_(0.05 * torch::sin(torch::arange(tensor.numel(), torch::kFloat)).view_as(tensor));
  }
}

std::vector<Unit> units_of_every_scheme(const Model& model) {
  std::vector<Unit> units;
  std::set<std::string> names;
  for (const std::string scheme : {"block", "lora", "adapter", "norm", "bias", "prompt"}) {
    int of_scheme = 0;
    for (const Unit& unit :
         peft::scheme_units(model.blueprint(), scheme, models::Buffers::kFrozen)) {
      ++of_scheme;
      if (names.insert(unit.name).second) units.push_back(unit);
    }
    CAPTURE(scheme);
    CHECK(of_scheme > 0);
  }
  return units;
}

}  // namespace

TEST_CASE("lntk of a model that speaks is of the log-likelihoods of several answers") {
  struct Kind {
    void (*write)(const std::filesystem::path&);
    std::vector<std::string> schemes;
  };
  const std::vector<Kind> kinds = {{test::write_speaking_model, {"block", "norm"}},
                                   {test::write_t5_model, {"block", "norm"}},
                                   {test::write_albef_model, {"block", "layernorm"}}};
  for (const Kind& kind : kinds) {
    const test::TempDir dir;
    kind.write(dir.path() / "model");
    const data::Manifest manifest = write_questions(dir.path());
    const Model model = peft::load_model(dir.path() / "model");
    CAPTURE(model.architecture().type());
    const data::WordPiece none({"[PAD]", "[UNK]", "[CLS]", "[SEP]"});
    const auto task = tasks::answer_generation();
    const auto data =
        task->encode({0, 1, 2, 3}, {manifest, model.blueprint(), none, false, nullptr,
                                    load_language(model.architecture(), dir.path() / "model")});
    const Batch batch = data->outputs_batch({0, 1, 3}, torch::kCPU, {{"no", "dark blue"}});
    std::vector<Unit> units;
    for (const std::string& scheme : kind.schemes)
      for (const Unit& unit :
           peft::scheme_units(model.blueprint(), scheme, models::Buffers::kFrozen))
        units.push_back(unit);

    Batch in_double = batch;
    Model wide = widened(model, in_double);
    const Tensor all = task->outputs(wide.run(in_double), in_double).reshape(-1);
    REQUIRE(all.size(0) == 6);
    const std::vector<Tensor> rows = each_of(all);
    for (const NtkMethod method : {NtkMethod::kGram, NtkMethod::kLanczos}) {
      LntkOptions options;
      options.trace = true;
      options.method = method;
      check_spectra(layerwise_spectra(model, *task, batch, units, options), units, wide, rows);
    }
  }
}

TEST_CASE("the kernel of every kind of unit of a model that speaks is that of a float64 Jacobian") {
  const test::TempDir dir;
  test::write_speaking_model(dir.path() / "model");
  const data::Manifest manifest = write_questions(dir.path());
  Model model = peft::load_model(dir.path() / "model");
  peft::add_methods(model,
                    peft::parse_methods({"lora:rank=2,targets=q_proj+up_proj",
                                         "adapters:reduction=4", "prompts:length=2"},
                                        "--peft"),
                    3);
  // Fresh pairs give their first factors no gradient.
  for (auto& [name, tensor] : model.weights()) {
    if (name.find("lora_B") != std::string::npos)
      tensor.copy_(0.3 * torch::sin(torch::arange(tensor.numel(), torch::kFloat)).view_as(tensor));
  }
  const data::WordPiece none({"[PAD]", "[UNK]", "[CLS]", "[SEP]"});
  const auto task = tasks::answer_generation();
  const auto data =
      task->encode({0, 1, 2, 3}, {manifest, model.blueprint(), none, false, nullptr,
                                  load_language(model.architecture(), dir.path() / "model")});
  const Batch batch = data->batch({0, 1, 2, 3}, torch::kCPU);

  std::vector<Unit> units;
  std::set<std::string> names;
  for (const std::string scheme : {"block", "lora", "adapter", "norm", "prompt"}) {
    for (const Unit& unit : peft::scheme_units(model.blueprint(), scheme, models::Buffers::kFrozen))
      if (names.insert(unit.name).second) units.push_back(unit);
  }
  REQUIRE(units.size() == 8 + 4 + 4 + 4 + 1);

  Batch in_double = batch;
  Model wide = widened(model, in_double);
  const std::vector<Tensor> losses = each_of(task->losses(wide.run(in_double), in_double));
  for (const NtkOutputs outputs : {NtkOutputs::kOutputs, NtkOutputs::kLoss}) {
    LntkOptions options;
    options.outputs = outputs;
    options.trace = true;
    check_spectra(layerwise_spectra(model, *task, batch, units, options), units, wide, losses);
  }
}

TEST_CASE("of every architecture that speaks, every kind of unit's kernel is that of brute force") {
  std::set<std::string> folders;
  for (const auto& entry : std::filesystem::directory_iterator(test::recorded_model("")))
    if (std::filesystem::exists(entry.path() / "model.safetensors"))
      folders.insert(entry.path().filename().string());
  CHECK(folders == std::set<std::string>(kRecorded.begin(), kRecorded.end()));
  for (const std::string& name : kRecorded) {
    CAPTURE(name);
    const test::TempDir dir;
    const std::filesystem::path folder = dir.path() / "model";
    test::write_recorded_model(name, folder);
    Model model = peft::load_model(folder);
    add_every_method(model);
    const data::Manifest manifest = write_questions(dir.path());
    const std::string prompt = name == "albef" ? "{question}" : "<image>{question} ";
    const data::WordPiece none({"[PAD]", "[UNK]", "[CLS]", "[SEP]"});
    const auto task = tasks::answer_generation();
    const auto data =
        task->encode({0, 1, 2}, {manifest, model.blueprint(), none, false, nullptr,
                                 load_language(model.architecture(), folder), prompt});
    const Batch batch = data->batch({0, 1, 2}, torch::kCPU);

    const std::vector<Unit> units = units_of_every_scheme(model);
    Batch in_double = batch;
    Model wide = widened(model, in_double);
    const std::vector<Tensor> losses = each_of(task->losses(wide.run(in_double), in_double));
    LntkOptions options;
    options.trace = true;
    // In double, too: float32's own rounding in BLIP-2's T5 is 7e-5 of a kernel with LibTorch 1.13,
    // and 1.2e-4 with 2.15.
    check_spectra(layerwise_spectra(wide, *task, in_double, units, options), units, wide, losses,
                  1e-9);
  }
}

TEST_CASE("so it is of every classifier of images with texts, its fresh head's among them") {
  for (const std::string& name : kRecorded) {
    CAPTURE(name);
    const test::TempDir dir;
    const std::filesystem::path folder = dir.path() / "model";
    test::write_recorded_model(name, folder);
    Model model = peft::load_model(folder);
    model.relabel({"edema", "nodule", "rib"}, 5);
    add_every_method(model);
    data::Manifest manifest = write_questions(dir.path());
    manifest.classes = {"edema", "nodule", "rib"};
    manifest.multi_label = true;
    for (std::size_t i = 0; i < manifest.examples.size(); ++i) {
      manifest.examples[i].text = manifest.examples[i].question;
      manifest.examples[i].labels = {manifest.classes.begin(), manifest.classes.begin() + i};
    }
    const std::string prompt = name == "albef" ? "{question}" : "<image>{question} ";
    const data::WordPiece none({"[PAD]", "[UNK]", "[CLS]", "[SEP]"});
    const auto task = tasks::image_text_classification();
    const auto data =
        task->encode({0, 1, 2}, {manifest, model.blueprint(), none, false, nullptr,
                                 load_language(model.architecture(), folder), prompt});
    const Batch batch = data->batch({0, 1, 2}, torch::kCPU);
    const std::vector<Unit> units = units_of_every_scheme(model);
    CHECK(std::any_of(units.begin(), units.end(), [](const Unit& unit) {
      return unit.name == "head" && unit.role == Role::kHead;
    }));
    Batch in_double = batch;
    Model wide = widened(model, in_double);
    in_double.labels = in_double.labels.to(torch::kDouble);
    const Tensor logits = wide.run(in_double).values.at(kLogits);
    REQUIRE(logits.sizes() == torch::IntArrayRef({3, 3}));
    const std::vector<Tensor> losses = each_of(task->losses(wide.run(in_double), in_double));
    LntkOptions options;
    options.trace = true;
    check_spectra(layerwise_spectra(model, *task, batch, units, options), units, wide,
                  each_of(logits.reshape(-1)));
    options.outputs = NtkOutputs::kLoss;
    check_spectra(layerwise_spectra(model, *task, batch, units, options), units, wide, losses);
  }
}

namespace {

/// Σ |w ∂R/∂|w|| of every weight by its definition, the whole model at once: R is the sum of the
/// outputs with weights |w|, every word's vector the sum of all where words enter, and inputs of 1.
std::map<std::string, double> synaptic_flow(const Model& original, const Batch& ones) {
  const torch::AutoGradMode recording(true);
  Model sizes = original, summed = original;
  std::vector<std::string> names;
  std::vector<Tensor> leaves;
  for (const auto& [name, weight] : original.weights()) {
    names.push_back(name);
    leaves.push_back(weight.detach().to(torch::kDouble).abs().requires_grad_(true));
    sizes.weight(name) = summed.weight(name) = leaves.back();
    if (original.blueprint().layer_of(name).vocabulary)
      summed.weight(name) = leaves.back().sum(0, /*keepdim=*/true).expand_as(leaves.back());
  }
  State state;
  for (std::int64_t stage = 0; stage < original.stage_count(); ++stage) {
    // A table of words that is the head's weight, too, is summed where words enter alone.
    const bool last = stage + 1 == original.stage_count();
    state = (last ? sizes : summed).run_stage(stage, ones, state);
  }
  Tensor sum = torch::zeros({}, torch::kDouble);
  for (const auto& [name, value] : state.values) sum = sum + value.sum();
  const auto slopes = torch::autograd::grad({sum}, leaves, {}, false, false, true);
  std::map<std::string, double> flow;
  for (std::size_t i = 0; i < names.size(); ++i) {
    flow[names[i]] =
        slopes[i].defined() ? (slopes[i] * leaves[i].detach()).abs().sum().item<double>() : 0;
  }
  return flow;
}

}  // namespace

TEST_CASE("of models that speak, every importance metric is that of a float64 computation") {
  for (const std::string& name : kRecorded) {
    CAPTURE(name);
    const test::TempDir dir;
    const std::filesystem::path folder = dir.path() / "model";
    test::write_recorded_model(name, folder);
    if (name == "paligemma") {  // whose texts may have 8192 tokens
      Json config = load_json(folder / "config.json").root;
      config["text_config"]["max_position_embeddings"] = 40;
      write_file(folder / "config.json", config.dump());
    }
    const Model model = test::in_double(peft::load_model(folder));
    const data::Manifest manifest = write_questions(dir.path());
    const std::string prompt = name == "albef" ? "{question}" : "<image>{question} ";
    const data::WordPiece none({"[PAD]", "[UNK]", "[CLS]", "[SEP]"});
    const auto task = tasks::answer_generation();
    const auto data =
        task->encode({0, 1, 2, 3}, {manifest, model.blueprint(), none, false, nullptr,
                                    load_language(model.architecture(), folder), prompt});
    Batch batch = data->batch({0, 1, 2, 3}, torch::kCPU);
    batch.pixels = batch.pixels.to(torch::kDouble);
    const test::BruteForce expected(model, batch, [&](const Model& of, const Batch& part) {
      return task->losses(of.run(part), part).mean();
    });
    std::vector<Unit> units =
        peft::scheme_units(model.blueprint(), "block", models::Buffers::kFrozen);
    for (const Unit& unit : peft::scheme_units(model.blueprint(), "norm", models::Buffers::kFrozen))
      units.push_back(unit);
    test::check_metrics(model, *task, batch, units, expected, 1e-6);

    Batch ones = model.blueprint().example(model.architecture().text_tokens());
    ones.pixels = torch::ones_like(ones.pixels).to(torch::kDouble);
    const auto flow = synaptic_flow(model, ones);
    const auto found = importance_scores(model, *task, batch, units, {"synflow"}).at("synflow");
    for (std::size_t u = 0; u < units.size(); ++u) {
      CAPTURE(units[u].name);
      double expected = 0;
      for (const std::string& weight : units[u].parameters) expected += flow.at(weight);
      // A long text's last words are out of sight of the image where attention has a window.
      const bool beyond = name == "llava_mistral" &&
                          (units[u].role == Role::kVision || units[u].role == Role::kConnector);
      CHECK((expected > 0) == !beyond);
      CHECK(found[u] == Approx(expected).epsilon(1e-9));
    }
  }
}

TEST_CASE("the default metric of a model that speaks is gradient, and lntk has several answers") {
  const test::TempDir dir;
  test::write_speaking_model(dir.path() / "model");
  const data::Manifest manifest = write_questions(dir.path());
  const Model model = peft::load_model(dir.path() / "model");
  CHECK(default_metric(model) == "gradient");
  CHECK(default_metric(test::make_model(test::small_shape(), 1)) == "lntk");
  const data::WordPiece none({"[PAD]", "[UNK]", "[CLS]", "[SEP]"});
  const auto data = tasks::answer_generation()->encode(
      {0, 1, 2, 3}, {manifest, model.blueprint(), none, false, nullptr,
                     load_language(model.architecture(), dir.path() / "model")});
  const std::vector<Unit> units = {model.unit("block.0")};
  const auto value = [&](const ScoreOptions& options) {
    return score_units(model, *data, units, options).front().value;
  };
  CHECK(value({}) == value({.metric = "gradient"}));
  const double all = value({.metric = "lntk"});
  CHECK(all != value({}));
  CHECK(all == value({.metric = "lntk", .answers = {"12", "dark blue", "no", "so"}}));
  CHECK(value({.metric = "lntk", .top_answers = 2}) ==
        value({.metric = "lntk", .answers = {"12", "dark blue"}}));
  CHECK(estimate_score(model, *data, units, {.metric = "lntk"}).backward_passes ==
        4 * estimate_score(model, *data, units, {}).backward_passes);
  CHECK_THROWS_WITH(value({.top_answers = 0}), Catch::Matchers::Contains("top_answers: found 0"));
}
