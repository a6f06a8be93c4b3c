#include "ntk/lntk.h"

#include <Eigen/Eigenvalues>
#include <cstring>
#include <map>
#include <numeric>
#include <set>

#include "catch.h"
#include "core/document.h"
#include "ntk/eigenvalues.h"
#include "ntk/jacobian.h"
#include "strata/core/error.h"
#include "strata/core/random.h"
#include "strata/core/safetensors.h"
#include "support/answers.h"
#include "support/peft_methods.h"
#include "support/short_files.h"
#include "support/tiny_model.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::data;
using namespace strata::models;
using namespace strata::ntk;
using Catch::Matchers::Contains;
using torch::Tensor;

namespace {

Tensor random_tensor(std::vector<std::int64_t> shape, Random& random) {
  Tensor tensor = torch::empty(shape);
  for (std::int64_t i = 0; i < tensor.numel(); ++i) {
    tensor.data_ptr<float>()[i] = static_cast<float>(random.normal());
  }
  return tensor;
}

struct Sizes {
  std::int64_t hidden, heads, layers, labels, samples;
  bool qkv_bias;
  std::string architecture = "vilt";
};

Model make_model(const Sizes& shape) {
  test::ModelShape config;
  config.model_type = shape.architecture;
  config.hidden_size = shape.hidden;
  config.num_attention_heads = shape.heads;
  config.num_hidden_layers = shape.layers;
  config.intermediate_size = 3 * shape.hidden;
  config.image_size = 8;
  config.patch_size = 4;
  config.vocab_size = 20;
  config.max_position_embeddings = 12;
  config.initializer_range = 0.2;
  config.qkv_bias = shape.qkv_bias;
  for (std::int64_t i = 0; i < shape.labels; ++i) {
    config.labels.push_back("answer " + std::to_string(i));
  }
  return test::make_model(config, 5);
}

/// Questions of different lengths, so that there is padding.
Batch make_batch(const Model& model, std::int64_t n) {
  Random random(11);
  const std::int64_t longest = 7;
  Batch batch;
  const bool text = (model.architecture().text_tokens() > 0);
  if (text) {
    batch.input_ids = torch::zeros({n, longest}, torch::kInt64);
    batch.attention_mask = torch::zeros({n, longest});
  }
  batch.labels = torch::zeros({n}, torch::kInt64);
  for (std::int64_t i = 0; i < n; ++i) {
    const std::int64_t length = i == 0 ? longest : random.between(2, longest);
    for (std::int64_t t = 0; text && t < length; ++t) {
      batch.input_ids[i][t] = random.between(1, 19);
      batch.attention_mask[i][t] = 1;
    }
    batch.labels[i] = static_cast<std::int64_t>(
        random.below(static_cast<std::int64_t>(model.architecture().labels().size())));
  }
  batch.pixels = random_tensor({n, 3, 8, 8}, random);
  return batch;
}

Tensor loss_of(const Model& model, const Batch& batch) {
  return torch::cross_entropy_loss(model.forward(batch), batch.labels);
}

void train(Model& model, const Batch& batch, int steps) {
  std::vector<std::string> names;
  for (const Unit& unit : model.units()) names.push_back(unit.name);
  model.train_only(names);
  for (int step = 0; step < steps; ++step) {
    loss_of(model, batch).backward();
    const torch::NoGradGuard no_grad;
    for (const Unit& unit : model.units()) {
      for (Tensor& weight : model.weights_of(unit)) {
        weight.sub_(weight.grad(), 0.1);
        weight.mutable_grad().reset();
      }
    }
  }
  model.train_only({});
}

/// Adapters, LoRA and prompts, none of whose weights is zero as it would be at first.
void add_all_peft(Model& model) {
  test::PeftShape peft;
  peft.adapter_reduction = 4;
  peft.lora_rank = 2;
  peft.prompt_length = 2;
  test::add_peft(model, peft, 3);
  const torch::NoGradGuard no_grad;
  Random random(8);
  for (const Parameter& weight : test::added_parameters(model)) {
    model.weight(weight.name).add_(random_tensor(weight.shape, random), 0.3);
  }
}

/// The units of every scheme that the model can have, and lists of weights across its stages.
std::vector<Unit> all_units(const Model& original) {
  Model model = original;
  std::vector<std::string> schemes = {"block", "layernorm", "bias", "layernorm+bias"};
  if (model.blueprint().attachments().size() > 0) {
    for (const char* scheme : {"adapter", "lora", "prompt", "adapter+lora", "block+adapter"}) {
      schemes.push_back(scheme);
    }
  }
  std::vector<Unit> units;
  std::set<std::string> names;
  for (const std::string& scheme : schemes) {
    peft::set_units(model, scheme, models::Buffers::kFrozen);
    for (const Unit& unit : model.units()) {
      if (names.insert(unit.name).second) units.push_back(unit);
    }
  }
  Unit norms, half, half_of_a_block;
  norms.name = "norms of all blocks";
  half.name = "every other weight";
  half_of_a_block.name = "every other weight of block.0";
  int index = 0;
  for (const auto& [name, weight] : model.weights()) {
    const bool even = index++ % 2 == 0;
    if (name.find("layernorm_") != std::string::npos) norms.parameters.push_back(name);
    if (even) half.parameters.push_back(name);
    if (even && name.find("layer.0.") != std::string::npos) {
      half_of_a_block.parameters.push_back(name);
    }
  }
  units.insert(units.end(), {norms, half, half_of_a_block});
  return units;
}

/// Θ of every unit in double: one differentiation of one output of one sample at a time, no
/// capture.
std::map<std::string, Eigen::MatrixXd> brute_force(const Model& original, const Batch& batch,
                                                   const std::vector<Unit>& units, bool loss,
                                                   std::vector<std::int64_t> subset = {}) {
  Model model(original.blueprint(), 0);
  for (const auto& [name, weight] : original.weights()) {
    model.weight(name) = weight.detach().to(torch::kDouble).requires_grad_(true);
  }
  std::vector<Tensor> outputs;
  const Tensor logits = model.forward(batch);
  if (subset.empty()) {
    subset.resize(logits.size(1));
    std::iota(subset.begin(), subset.end(), 0);
  }
  if (loss) {
    const Tensor losses = torch::cross_entropy_loss(logits, batch.labels, {}, at::Reduction::None);
    for (std::int64_t i = 0; i < losses.size(0); ++i) outputs.push_back(losses[i]);
  } else {
    for (std::int64_t i = 0; i < logits.size(0); ++i) {
      for (const std::int64_t k : subset) outputs.push_back(logits[i][k]);
    }
  }

  std::map<std::string, Eigen::MatrixXd> grams;
  for (const Unit& unit : units) {
    std::vector<Tensor> weights;
    std::int64_t width = 0;
    for (const std::string& name : unit.parameters) {
      weights.push_back(model.weight(name));
      width += weights.back().numel();
    }
    Eigen::MatrixXd jacobian(outputs.size(), width);
    for (std::size_t row = 0; row < outputs.size(); ++row) {
      const auto gradients = torch::autograd::grad({outputs[row]}, weights, {}, true, false, true);
      std::int64_t column = 0;
      for (std::size_t w = 0; w < gradients.size(); ++w) {
        const Tensor flat = gradients[w].defined()
                                ? gradients[w].contiguous().view(-1)
                                : torch::zeros({weights[w].numel()}, torch::kDouble);
        jacobian.block(row, column, 1, flat.numel()) =
            Eigen::Map<const Eigen::RowVectorXd>(flat.data_ptr<double>(), flat.numel());
        column += flat.numel();
      }
    }
    grams[unit.name] = jacobian * jacobian.transpose();
  }
  return grams;
}

std::map<std::string, Tensor> captured_grams(const Model& model, const Batch& batch,
                                             const std::vector<Unit>& units,
                                             const LntkOptions& options = {}) {
  std::map<std::string, Tensor> grams;
  visit_unit_grams(
      model, test::answering(), batch, units, options,
      [&](const std::string& unit, const Tensor& gram) { grams[unit] = gram.clone(); });
  return grams;
}

Eigen::VectorXd descending(const Eigen::MatrixXd& theta) {
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(theta);
  return solver.eigenvalues().reverse();
}

void check_spectra(const Model& model, const Batch& batch, const std::vector<Unit>& units,
                   const std::map<std::string, Eigen::MatrixXd>& expected, LntkOptions options) {
  options.top = 3;
  options.trace = true;
  const auto spectra = layerwise_spectra(model, test::answering(), batch, units, options);
  REQUIRE(spectra.size() == units.size());
  for (std::size_t u = 0; u < units.size(); ++u) {
    INFO(units[u].name);
    const UnitSpectrum& found = spectra[u];
    CHECK(found.unit == units[u].name);
    const Eigen::MatrixXd& theta = expected.at(units[u].name);
    const Eigen::VectorXd exact = descending(theta);
    REQUIRE(found.spectrum.values.size() ==
            static_cast<std::size_t>(std::min<Eigen::Index>(3, theta.rows())));
    for (std::size_t i = 0; i < found.spectrum.values.size(); ++i) {
      CHECK(std::abs(found.spectrum.values[i] - exact[i]) <= 1e-4 * exact[0]);
    }
    CHECK(found.trace == Approx(theta.trace()).epsilon(1e-4));
    CHECK(found.spectrum.residual <= 1e-4);
    CHECK(found.spectrum.converged);
    CHECK(found.spectrum.second_start <= 1e-6);
  }
}

void check_against_brute_force(const Model& model, const Batch& batch) {
  const std::vector<Unit> units = all_units(model);
  for (const bool loss : {false, true}) {
    const auto expected = brute_force(model, batch, units, loss);
    LntkOptions options;
    options.outputs = loss ? NtkOutputs::kLoss : NtkOutputs::kOutputs;
    const auto found = captured_grams(model, batch, units, options);
    REQUIRE(found.size() == expected.size());
    for (const auto& [unit, theta] : expected) {
      INFO(unit << (loss ? ", loss" : ", logits"));
      const Tensor& gram = found.at(unit);
      REQUIRE(gram.size(0) == theta.rows());
      const Eigen::Map<const Eigen::MatrixXd> ours(gram.data_ptr<double>(), theta.rows(),
                                                   theta.rows());
      CHECK((ours - theta).norm() <= 1e-4 * theta.norm());
      CHECK((ours - ours.transpose()).norm() <= 1e-6 * theta.norm());
      CHECK(descending(ours).minCoeff() >= -1e-6 * descending(theta)[0]);
    }
    check_spectra(model, batch, units, expected, options);
    if (loss) continue;
    for (const NtkMethod method : {NtkMethod::kGram, NtkMethod::kLanczos}) {
      options.method = method;
      check_spectra(model, batch, units, expected, options);
    }
  }
}

}  // namespace

TEST_CASE("every unit's kernel is that of a float64 Jacobian by brute force") {
  for (const Sizes& shape :
       {Sizes{8, 2, 2, 3, 4, true}, Sizes{12, 3, 3, 5, 3, false}, Sizes{16, 1, 1, 2, 6, true},
        Sizes{8, 4, 2, 7, 1, true}, Sizes{8, 2, 2, 3, 5, true, "vit"},
        Sizes{16, 4, 1, 4, 2, false, "vit"}}) {
    for (const bool peft : {false, true}) {
      CAPTURE(shape.architecture, shape.hidden, shape.layers, shape.labels, shape.samples, peft);
      Model model = make_model(shape);
      if (peft) add_all_peft(model);
      const Batch batch = make_batch(model, shape.samples);
      check_against_brute_force(model, batch);
      train(model, batch, 4);
      check_against_brute_force(model, batch);
    }
  }
}

namespace {

/// Those of the method's scheme, each of its layers alone, all of it together, and a whole block.
std::vector<Unit> method_units(Model model) {
  const std::string method = peft::methods_of(model.blueprint()).back()->name();
  peft::set_units(model, method, models::Buffers::kFrozen);
  std::vector<Unit> units = model.units();
  Unit all;
  all.name = "all of " + method;
  for (const Layer& layer : model.blueprint().layers()) {
    if (layer.method != method || layer.frozen) continue;
    Unit own;
    own.name = layer.name;
    for (const Parameter& parameter : layer.parameters) {
      own.parameters.push_back(parameter.name);
      all.parameters.push_back(parameter.name);
    }
    units.push_back(std::move(own));
  }
  units.push_back(std::move(all));
  // The base's own weights of a stage beside the method's.
  Unit stage;
  stage.name = "the first block, whole";
  for (const Layer& layer : model.blueprint().layers()) {
    if (layer.stage != 1 || layer.frozen) continue;
    for (const Parameter& parameter : layer.parameters) stage.parameters.push_back(parameter.name);
  }
  units.push_back(std::move(stage));
  return units;
}

void check_method(Model model, const Batch& batch, const std::string& method) {
  CAPTURE(method);
  test::add_method(model, method);
  const std::vector<Unit> units = method_units(model);
  const auto expected = brute_force(model, batch, units, false);
  LntkOptions options;
  for (const NtkMethod way : {NtkMethod::kGram, NtkMethod::kLanczos}) {
    options.method = way;
    check_spectra(model, batch, units, expected, options);
  }
  options.method = NtkMethod::kAutomatic;
  options.memory_bytes =
      estimate_spectra(model, test::answering(), batch, batch.size(), units, options).least_bytes *
      5 / 4;
  check_spectra(model, batch, units, expected, options);
}

}  // namespace

TEST_CASE("kernels of every PEFT method are those of a float64 Jacobian by brute force") {
  const Model transformer = make_model(Sizes{8, 2, 2, 3, 5, true, "vit"});
  const Batch images = make_batch(transformer, 5);
  for (const std::string& method : test::transformer_methods())
    check_method(transformer, images, method);
  const Batch photographs = test::resnet_batch(5, 7);
  for (const bool bottleneck : {false, true}) {
    for (const std::string& method : test::resnet_methods())
      check_method(test::tiny_resnet(bottleneck, 5), photographs, method);
  }
}

namespace {

/// Blocks, schemes, every layer alone, and a list of weights across stages.
std::vector<Unit> resnet_units(const Model& original) {
  Model model = original;
  std::vector<Unit> units = model.units();
  peft::set_units(model, "bias", models::Buffers::kFrozen);
  for (const Unit& unit : model.units())
    if (unit.role == Role::kBody) units.push_back(unit);
  Unit half;
  half.name = "every other weight";
  bool even = false;
  for (const Layer& layer : model.blueprint().layers()) {
    Unit own;
    own.name = layer.name;
    for (const Parameter& parameter : layer.parameters) {
      own.parameters.push_back(parameter.name);
      even = !even;
      if (even) half.parameters.push_back(parameter.name);
    }
    units.push_back(own);
  }
  units.push_back(half);
  return units;
}

}  // namespace

TEST_CASE("kernels of convolutions and BatchNorms are those of a float64 Jacobian by brute force") {
  for (const bool bottleneck : {false, true}) {
    CAPTURE(bottleneck);
    const Model model = test::tiny_resnet(bottleneck, 5);
    // More rows than block Lanczos asks for.
    const Batch batch = test::resnet_batch(8, 7);
    const std::vector<Unit> units = resnet_units(model);
    for (const bool loss : {false, true}) {
      const auto expected = brute_force(model, batch, units, loss);
      LntkOptions options;
      options.outputs = loss ? NtkOutputs::kLoss : NtkOutputs::kOutputs;
      check_spectra(model, batch, units, expected, options);
      if (loss) continue;
      for (const NtkMethod method : {NtkMethod::kGram, NtkMethod::kLanczos}) {
        options.method = method;
        check_spectra(model, batch, units, expected, options);
      }
    }
    // With a memory for a few columns at a time.
    LntkOptions tight;
    tight.memory_bytes =
        estimate_spectra(model, test::answering(), batch, 8, units, tight).least_bytes * 5 / 4;
    check_spectra(model, batch, units, brute_force(model, batch, units, false), tight);
  }
}

TEST_CASE("patches count in the memory that a convolution's kernel needs") {
  const Model model = test::tiny_resnet(false, 5);
  const Batch batch = test::resnet_batch(2, 7);
  const auto least = [&](const std::string& parameter, std::int64_t samples) {
    Unit unit;
    unit.name = unit.parameters.emplace_back(parameter);
    return static_cast<double>(
        estimate_spectra(model, test::answering(), batch, samples, {unit}, {}).least_bytes);
  };
  // 16 x 16 pixels are 4 x 4 places in the first residual layer, of 3 x 3 windows of 4 channels.
  const std::string layer = "resnet.encoder.stages.0.layers.0.layer.0.";
  const double weight = least(layer + "convolution.weight", 64);
  const double patches = 4.0 * 64 * 16 * 36;
  CHECK(weight > patches);
  CHECK(least(layer + "convolution.weight", 128) > 2 * patches);
  CHECK(weight - least(layer + "normalization.weight", 64) > patches);
}

TEST_CASE("torch.func's recorded kernels") {
  const std::filesystem::path folder =
      std::filesystem::path(STRATA_SOURCE_DIR) / "tests" / "reference";
  const Json recorded = Json::parse(test::slurp(folder / "lntk.json"));
  const SafetensorsFile samples(folder / "vilt" / "recorded.safetensors");
  const SafetensorsFile weights(folder / "lntk.safetensors");
  const auto tensor = [](const SafetensorsFile& file, const std::string& name) {
    const TensorEntry* entry = file.find(name);
    REQUIRE(entry != nullptr);
    const bool integers = entry->dtype == Dtype::kI64;
    Tensor values = torch::empty(entry->shape, integers ? torch::kInt64 : torch::kFloat);
    const std::string_view bytes = file.bytes(*entry);
    REQUIRE(bytes.size() == values.nbytes());
    std::memcpy(values.data_ptr(), bytes.data(), bytes.size());
    return values;
  };
  const Batch batch{tensor(samples, "input_ids"),
                    tensor(samples, "attention_mask").to(torch::kFloat), tensor(samples, "pixels"),
                    tensor(samples, "labels")};

  const Model plain = peft::load_model(folder / "vilt");
  Model with_peft = peft::load_model(folder / "vilt");
  test::PeftShape peft;
  peft.lora_rank = recorded.at("lora_rank");
  peft.lora_alpha = recorded.at("lora_alpha");
  peft.adapter_reduction = recorded.at("adapter_reduction");
  test::add_peft(with_peft, peft, 1);
  {
    const torch::NoGradGuard no_grad;
    for (const Parameter& weight : test::added_parameters(with_peft)) {
      with_peft.weight(weight.name).copy_(tensor(weights, weight.name));
    }
  }

  std::set<std::string> kinds;
  for (const Json& kernel : recorded.at("kernels")) {
    Model model = kernel.at("peft").get<bool>() ? with_peft : plain;
    const std::string name = kernel.at("unit");
    INFO(kernel.dump());
    const std::string kind = name.substr(0, name.find('.'));
    kinds.insert(kind);
    if (kind != "embeddings" && kind != "head")
      peft::set_units(model, kind, models::Buffers::kFrozen);
    LntkOptions options;
    options.top = 3;
    options.trace = true;
    if (kernel.at("outputs") == "loss") options.outputs = NtkOutputs::kLoss;
    if (!kernel.at("subset").is_null()) {
      options.output_subset = kernel.at("subset").get<std::vector<std::int64_t>>();
    }
    for (const NtkMethod method : {NtkMethod::kGram, NtkMethod::kLanczos}) {
      options.method = method;
      const auto found =
          layerwise_spectra(model, test::answering(), batch, {model.unit(name)}, options).front();
      const std::vector<double> expected = kernel.at("eigenvalues");
      REQUIRE(found.spectrum.values.size() == expected.size());
      for (std::size_t i = 0; i < expected.size(); ++i) {
        CHECK(std::abs(found.spectrum.values[i] - expected[i]) <= 1e-4 * expected[0]);
      }
      CHECK(found.trace == Approx(kernel.at("trace").get<double>()).epsilon(1e-4));
    }
  }
  CHECK(kinds == std::set<std::string>{"embeddings", "block", "head", "layernorm", "bias", "lora",
                                       "adapter"});
}

TEST_CASE("a unit's kernel does not depend on which others are asked for") {
  const Model model = make_model({8, 2, 3, 3, 4, true});
  const Batch batch = make_batch(model, 4);
  const auto all = captured_grams(model, batch, model.units());
  CHECK(all.size() == 5);
  for (const auto& names : std::vector<std::vector<std::string>>{
           {"embeddings"}, {"head"}, {"block.1"}, {"block.0", "block.2"}}) {
    std::vector<Unit> units;
    for (const std::string& name : names) units.push_back(model.unit(name));
    const auto some = captured_grams(model, batch, units);
    CHECK(some.size() == units.size());
    for (const auto& [unit, gram] : some) {
      INFO(unit);
      CHECK(torch::allclose(gram, all.at(unit), 1e-5, 1e-9));
    }
  }
}

TEST_CASE("the order of the samples permutes the kernel and leaves its eigenvalue") {
  const Model model = make_model({8, 2, 2, 3, 5, true});
  const Batch batch = make_batch(model, 5);
  const Tensor order = torch::tensor({3, 0, 4, 2, 1}, torch::kInt64);
  const Batch shuffled{batch.input_ids.index_select(0, order),
                       batch.attention_mask.index_select(0, order),
                       batch.pixels.index_select(0, order), batch.labels.index_select(0, order)};
  const auto one = captured_grams(model, batch, model.units());
  const auto two = captured_grams(model, shuffled, model.units());
  for (const auto& [unit, gram] : one) {
    const Tensor permuted = gram.view({5, 3, 5, 3}).index_select(0, order).index_select(2, order);
    CHECK(torch::allclose(two.at(unit), permuted.reshape({15, 15}), 1e-4, 1e-8));
  }
}

TEST_CASE("spectra of a model with short weights are those of the converted model, to the bit") {
  const test::TempDir dir;
  for (const std::string architecture : {"vilt", "vit"}) {
    for (const Dtype dtype : {Dtype::kF16, Dtype::kBF16}) {
      CAPTURE(architecture, dtype_name(dtype));
      Sizes sizes{8, 2, 2, 3, 4, true};
      sizes.architecture = architecture;
      const auto folder = dir / (architecture + dtype_name(dtype));
      peft::save_model(make_model(sizes), folder / "fresh");
      test::copy_rounded(folder / "fresh", folder / "short", dtype, false);
      test::copy_rounded(folder / "fresh", folder / "wide", dtype, true);
      const Model small = peft::load_model(folder / "short"),
                  wide = peft::load_model(folder / "wide");
      REQUIRE(small.weights().begin()->second.scalar_type() == models::scalar_type(dtype));
      const Batch batch = make_batch(wide, 4);
      const auto found = layerwise_spectra(small, test::answering(), batch, small.units(), {});
      const auto expected = layerwise_spectra(wide, test::answering(), batch, wide.units(), {});
      REQUIRE(found.size() == expected.size());
      for (std::size_t i = 0; i < found.size(); ++i) {
        CAPTURE(found[i].unit);
        CHECK(found[i].spectrum.values == expected[i].spectrum.values);
        CHECK(expected[i].spectrum.values.front() > 0);
      }
    }
  }
}

TEST_CASE("a subset of the outputs") {
  const Model model = make_model({8, 2, 2, 5, 4, true});
  const Batch batch = make_batch(model, 4);
  LntkOptions options;
  options.output_subset = {4, 1};
  check_spectra(model, batch, model.units(),
                brute_force(model, batch, model.units(), false, {4, 1}), options);
  options.output_subset = {5};
  CHECK_THROWS_WITH(layerwise_spectra(model, test::answering(), batch, model.units(), options),
                    Contains("outputs are 0 to 4"));
}

TEST_CASE(
    "any memory limit that suffices gives the same spectra; one that does not says how much "
    "would") {
  const Model model = make_model({16, 2, 2, 4, 6, true});
  const Batch batch = make_batch(model, 6);
  const std::vector<Unit> units = all_units(model);
  const auto expected = brute_force(model, batch, units, false);
  LntkOptions options;
  const ScoreEstimate roomy = estimate_spectra(model, test::answering(), batch, 6, units, options);
  CHECK(roomy.least_bytes < roomy.bytes);
  CHECK(roomy.seconds > 0);
  // One for each of the four answers through each stage, as everything fits at once.
  CHECK(roomy.backward_passes == 4 * model.stage_count());
  int most_passes = 0;
  for (const double share : {0.0, 0.1, 0.3, 0.6}) {
    options.memory_bytes =
        roomy.least_bytes + static_cast<std::int64_t>(share * (roomy.bytes - roomy.least_bytes));
    const ScoreEstimate tight =
        estimate_spectra(model, test::answering(), batch, 6, units, options);
    CHECK(tight.bytes <= options.memory_bytes);
    CHECK(tight.backward_passes >= roomy.backward_passes);
    most_passes = std::max(most_passes, tight.backward_passes);
    check_spectra(model, batch, units, expected, options);
  }
  CHECK(most_passes > roomy.backward_passes);
  options.memory_bytes = 100;
  CHECK_THROWS_WITH(
      layerwise_spectra(model, test::answering(), batch, units, options),
      Contains("the memory limit of 100 bytes is too small") && Contains("bytes are needed"));
}

TEST_CASE("without the memory for it, block Lanczos gives way to the kernel itself") {
  const Model model = make_model({16, 2, 2, 4, 6, true});
  const Batch batch = make_batch(model, 6);
  LntkOptions options;
  options.method = NtkMethod::kLanczos;
  const auto by_lanczos = [&] {
    int count = 0;
    for (const UnitSpectrum& unit :
         layerwise_spectra(model, test::answering(), batch, model.units(), options)) {
      count += unit.method == NtkMethod::kLanczos;
    }
    return count;
  };
  const ScoreEstimate roomy =
      estimate_spectra(model, test::answering(), batch, 6, model.units(), options);
  CHECK(by_lanczos() == 4);
  options.memory_bytes = roomy.least_bytes;
  CHECK(estimate_spectra(model, test::answering(), batch, 6, model.units(), options).bytes <=
        roomy.least_bytes);
  CHECK(by_lanczos() < 4);
  check_spectra(model, batch, model.units(), brute_force(model, batch, model.units(), false),
                options);
}

TEST_CASE("which way is cheaper is decided on all uses of a weight") {
  // The table of modalities is used by a text token and by two of the image: three tokens of eight
  // numbers out, of two rows in. At 570 rows block Lanczos would take 15·2·190·T·2·8 +
  // 6·6·2·4·570·T·8 multiply-adds, and the kernel 570·T·16 + 0.625·570²·16: 4.2 against 3.3
  // million for T = 3, but 2.8 against 3.3 for T = 2.
  test::ModelShape config;
  config.hidden_size = 8;
  config.num_attention_heads = 2;
  config.num_hidden_layers = 1;
  config.intermediate_size = 8;
  config.image_size = config.patch_size = 4;
  config.vocab_size = 20;
  config.max_position_embeddings = 4;
  config.initializer_range = 0.2;
  config.labels = {"a", "b", "c"};
  const Model model = test::make_model(config, 5);
  torch::manual_seed(2);
  Unit modalities;
  modalities.name = "modalities";
  modalities.parameters = {"vilt.embeddings.token_type_embeddings.weight"};
  const auto method = [&](std::int64_t n) {
    const Batch batch{torch::randint(1, 19, {n, 1}, torch::kInt64), torch::ones({n, 1}),
                      torch::randn({n, 3, 4, 4}), torch::zeros({n}, torch::kInt64)};
    return layerwise_spectra(model, test::answering(), batch, {modalities}, {}).front().method;
  };
  CHECK((method(190) == NtkMethod::kGram));
  CHECK((method(300) == NtkMethod::kLanczos));
}

TEST_CASE("block Lanczos finds an eigenvector that is orthogonal to what biases add") {
  // Of a ViT without MLP and queries the class token is odd in the image, and so is its LayerNorm:
  // images in pairs of opposite sign give features x in such pairs. The kernel of the last layer's
  // bias has the eigenvectors 1 ⊗ e, on which that of its weight, XXᵀ ⊗ I, vanishes.
  test::ModelShape config;
  config.model_type = "vit";
  config.hidden_size = 8;
  config.num_attention_heads = 2;
  config.num_hidden_layers = 1;
  config.intermediate_size = 8;
  config.image_size = 8;
  config.patch_size = 4;
  config.initializer_range = 0.5;
  config.labels = {"a", "b", "c", "d", "e", "f"};
  Model model = test::make_model(config, 5);
  model.weight("vit.embeddings.cls_token").zero_();
  model.weight("vit.embeddings.position_embeddings").zero_();
  model.weight("vit.encoder.layer.0.output.dense.weight").zero_();
  model.weight("vit.layernorm.weight").fill_(2);
  torch::manual_seed(2);
  const Tensor half = torch::randn({4, 3, 8, 8});
  Batch batch;
  batch.pixels = torch::cat({half, -half});
  batch.labels = torch::zeros({8}, torch::kInt64);
  Unit last;
  last.name = "last";
  last.parameters = {"classifier.weight", "classifier.bias"};
  LntkOptions options;
  options.method = NtkMethod::kGram;
  const double expected = layerwise_spectra(model, test::answering(), batch, {last}, options)
                              .front()
                              .spectrum.values[0];
  options.method = NtkMethod::kLanczos;
  const UnitSpectrum found =
      layerwise_spectra(model, test::answering(), batch, {last}, options).front();
  REQUIRE((found.method == NtkMethod::kLanczos));
  CHECK(expected > 2 * 8);  // the bias alone has 8
  CHECK(found.spectrum.values[0] == Approx(expected).epsilon(1e-5));
}

TEST_CASE("the estimated time grows with the samples") {
  // A bias: its kernel costs next to nothing, and the passes through the model go with the samples.
  const Model model = make_model({16, 2, 2, 4, 0, true});
  const Batch batch = make_batch(model, 4);
  Unit bias;
  bias.name = "bias";
  bias.parameters = {"vilt.encoder.layer.0.output.dense.bias"};
  LntkOptions options;
  options.outputs = NtkOutputs::kLoss;
  options.memory_bytes = std::int64_t{1} << 40;
  const auto seconds = [&](std::int64_t samples) {
    double least = 1e9;
    for (int i = 0; i < 3; ++i) {
      least = std::min(
          least,
          estimate_spectra(model, test::answering(), batch, samples, {bias}, options).seconds);
    }
    return least;
  };
  // A thousand times, within the noise of a busy machine.
  CHECK(seconds(4000) > 50 * seconds(4));
}

TEST_CASE("all ways to a weight's kernel agree, and so do its products and its trace") {
  torch::manual_seed(3);
  for (const std::int64_t tokens : {1, 3, 7}) {
    const auto options = torch::TensorOptions(torch::kDouble);
    const JacobianFactor factor{torch::randn({5, tokens, 6}, options),
                                torch::randn({5, 2, tokens, 4}, options)};
    const Tensor jacobian =
        torch::einsum("nkto,nti->nkoi", {factor.delta, factor.input}).reshape({10, 24});
    const Tensor expected = torch::mm(jacobian, jacobian.t());
    std::vector<GramWay> ways = {GramWay::kMixed, GramWay::kStreamed};
    if (tokens == 1) ways.push_back(GramWay::kOuter);
    for (const GramWay way : ways) {
      for (const std::int64_t chunk : {1, 2000, 1 << 20}) {
        Tensor theta = torch::zeros({10, 10}, torch::kDouble);
        add_gram(factor, way, chunk, theta);
        CHECK(torch::allclose(theta, expected, 1e-10, 1e-12));
        // Samples side by side are the same to the bit.
        Tensor again = torch::zeros({10, 10}, torch::kDouble);
        add_gram(factor, way, chunk, again, 3);
        CHECK(torch::equal(again, theta));
      }
    }
    CHECK(kernel_trace(factor) == Approx(expected.trace().item<double>()));
    const Eigen::MatrixXd block = random_block(10, 3, 1);
    const Eigen::Map<const Eigen::MatrixXd> theta(expected.data_ptr<double>(), 10, 10);
    CHECK((kernel_product(factor, block) - theta * block).norm() <= 1e-10 * theta.norm());
  }
}

TEST_CASE("the Gram matrix of losses' gradients is that of each sample's own, over all units") {
  const Sizes sizes{12, 2, 2, 3, 5, true};
  Model model = make_model(sizes);
  const Batch batch = make_batch(model, sizes.samples);
  const auto task = tasks::answer_classification();
  const std::vector<Unit> units = {model.unit("embeddings"), model.unit("block.1"),
                                   model.unit("head")};
  model.train_only({"embeddings", "block.1", "head"});
  std::vector<Tensor> rows;
  for (std::int64_t i = 0; i < sizes.samples; ++i) {
    const auto losses = task->losses(model.run(batch), batch);
    losses[i].backward();
    std::vector<Tensor> flat;
    for (const Unit& unit : units) {
      for (Tensor& weight : model.weights_of(unit)) {
        flat.push_back(weight.grad().flatten().to(torch::kFloat64));
        weight.mutable_grad().zero_();
      }
    }
    rows.push_back(torch::cat(flat));
  }
  model.train_only({});
  const Tensor all = torch::stack(rows), expected = all.mm(all.t()).contiguous();
  const Eigen::MatrixXd found = loss_gradient_gram(model, *task, batch, units);
  const Eigen::Map<const Eigen::MatrixXd> theirs(expected.data_ptr<double>(), 5, 5);
  CHECK((found - theirs).norm() < 1e-5 * theirs.norm());
  CHECK((loss_gradient_gram(model, *task, batch, {units[1]}) - theirs).norm() >
        1e-2 * theirs.norm());
}

TEST_CASE("what cannot be scored is named") {
  Model model = make_model({8, 2, 2, 3, 4, true});
  const Batch batch = make_batch(model, 4);
  Unit empty;
  empty.name = "lora.0";
  CHECK_THROWS_WITH(layerwise_spectra(model, test::answering(), batch, {empty}, {}),
                    Contains("\"lora.0\" has no trainable parameter"));
  const torch::NoGradGuard no_grad;
  model.weight("vilt.encoder.layer.1.output.dense.bias").fill_(NAN);
  CHECK_THROWS_WITH(layerwise_spectra(model, test::answering(), batch, model.units(), {}),
                    Contains("activations of \"block.1\" are not finite"));
}
