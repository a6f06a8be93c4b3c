#include "ntk/importance_metrics.h"

#include <cmath>
#include <set>

#include "catch.h"
#include "strata/core/error.h"
#include "strata/core/random.h"
#include "support/answers.h"
#include "support/brute_force.h"
#include "support/short_files.h"
#include "support/tiny_model.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::models;
using namespace strata::ntk;
using Catch::Matchers::Contains;
using test::in_double;
using torch::Tensor;

namespace {

Model make_model(std::int64_t hidden, std::int64_t heads, std::int64_t layers, bool qkv_bias,
                 const std::string& type = "vilt", const test::PeftShape& peft = {}) {
  test::ModelShape config;
  config.model_type = type;
  config.peft = peft;
  config.hidden_size = hidden;
  config.num_attention_heads = heads;
  config.num_hidden_layers = layers;
  config.intermediate_size = 2 * hidden;
  config.image_size = 8;
  config.patch_size = 4;
  config.vocab_size = 20;
  config.max_position_embeddings = 7;
  config.initializer_range = 0.3;
  config.qkv_bias = qkv_bias;
  config.labels = {"a", "b", "c"};
  Model model = test::make_model(config, 5);
  // Fresh biases and LoRA's B are 0, which would hide a good deal.
  const torch::NoGradGuard no_grad;
  Random random(8);
  for (const Parameter& weight : config.blueprint().parameters()) {
    Tensor& tensor = model.weight(weight.name);
    const bool zero = weight.shape.size() == 1 || weight.name.find("lora_B") != std::string::npos;
    for (std::int64_t i = 0; zero && i < tensor.numel(); ++i) {
      tensor.data_ptr<float>()[i] += static_cast<float>(0.2 * random.normal());
    }
  }
  return model;
}

/// Questions of different lengths, so that there is padding.
Batch make_batch(std::int64_t n, std::uint64_t seed = 11) {
  Random random(seed);
  const std::int64_t longest = 6;
  Batch batch;
  batch.input_ids = torch::zeros({n, longest}, torch::kInt64);
  batch.attention_mask = torch::zeros({n, longest});
  batch.labels = torch::zeros({n}, torch::kInt64);
  batch.pixels = torch::empty({n, 3, 8, 8});
  for (std::int64_t i = 0; i < n; ++i) {
    const std::int64_t length = i == 0 ? longest : random.between(2, longest);
    for (std::int64_t t = 0; t < length; ++t) {
      batch.input_ids[i][t] = random.between(1, 19);
      batch.attention_mask[i][t] = 1;
    }
    batch.labels[i] = static_cast<std::int64_t>(random.below(3));
  }
  for (std::int64_t i = 0; i < batch.pixels.numel(); ++i) {
    batch.pixels.data_ptr<float>()[i] = static_cast<float>(random.normal());
  }
  return batch;
}

Batch rows(const Batch& batch, const std::vector<std::int64_t>& chosen) {
  const Tensor index = torch::tensor(chosen, torch::kInt64);
  Batch some = batch;
  for (Tensor* part : {&some.input_ids, &some.attention_mask, &some.pixels, &some.labels}) {
    if (part->defined()) *part = part->index_select(0, index);
  }
  return some;
}

Tensor loss_of(const Model& model, const Batch& batch) {
  return torch::cross_entropy_loss(model.forward(batch), batch.labels);
}

/// Of all parameters, in the order of test::parameters_of().
std::vector<Tensor> all_gradients(const Model& model, const Batch& batch) {
  return test::all_gradients(model, loss_of(model, batch));
}

/// The quantities of the mean cross-entropy.
test::BruteForce brute_force(const Model& model, const Batch& batch,
                             const std::set<std::string>& frozen = {}) {
  return {model, batch, loss_of, frozen};
}

Unit unit_of(const std::string& name, std::vector<std::string> weights) {
  Unit unit;
  unit.name = name;
  unit.parameters = std::move(weights);
  return unit;
}

/// The model's units, and others that overlap them: everything, biases alone, one weight.
std::vector<Unit> many_units(const Model& model) {
  std::vector<Unit> units = model.units();
  std::vector<std::string> all, biases;
  for (const auto& [name, weight] : model.weights()) {
    all.push_back(name);
    if (name.find("layer.0.") != std::string::npos && name.find(".bias") != std::string::npos) {
      biases.push_back(name);
    }
  }
  units.push_back(unit_of("all", all));
  units.push_back(unit_of("biases", biases));
  const std::string prefix = test::shape_of(model).prefix();
  units.push_back(unit_of("query", {prefix + "encoder.layer.0.attention.attention.query.weight"}));
  units.push_back(unit_of("norm", {prefix + "layernorm.weight", prefix + "layernorm.bias"}));
  if ((model.architecture().text_tokens() > 0)) {
    units.push_back(unit_of("words", {"vilt.embeddings.text_embeddings.word_embeddings.weight"}));
  }
  return units;
}

const std::vector<std::string>& kWithData = test::kMetricsWithData;

void check_against_brute_force(const Model& model, const Batch& batch,
                               const std::vector<Unit>& units, double tolerance) {
  test::check_metrics(model, test::answering(), batch, units, brute_force(model, batch), tolerance);
}

void check_against_brute_force(const Model& model, const Batch& batch, double tolerance) {
  check_against_brute_force(model, batch, many_units(model), tolerance);
}

/// R: the sum of the logits with weights |w|, every word's vector the sum of all, and inputs of 1.
double flow(const Model& original, const std::string& changed, std::int64_t element, double by) {
  const torch::NoGradGuard no_grad;
  Model model = original;
  const std::string words = "vilt.embeddings.text_embeddings.word_embeddings.weight";
  for (const auto& [name, weight] : original.weights()) {
    Tensor size = weight.detach().to(torch::kDouble).abs();
    if (name == changed) size.view(-1)[element] += by;
    model.weight(name) = name == words ? size.sum(0).repeat({size.size(0), 1}) : size;
  }
  const std::int64_t tokens = model.architecture().text_tokens();
  Batch ones;
  ones.input_ids = torch::full({1, tokens}, 3, torch::kInt64);
  ones.attention_mask = torch::ones({1, tokens});
  ones.pixels = torch::ones({1, 3, 8, 8});
  ones.labels = torch::zeros({1}, torch::kInt64);
  return model.forward(ones).sum().item<double>();
}

}  // namespace

TEST_CASE("every metric is that of a float64 computation by brute force") {
  for (const bool bias : {true, false}) {
    Model model = make_model(8, 2, 2, bias);
    const Batch batch = make_batch(5);
    check_against_brute_force(model, batch, 1e-3);
    check_against_brute_force(in_double(model), batch, 1e-6);

    // Away from the start, where gradients differ more between units.
    for (int step = 0; step < 4; ++step) {
      const auto slopes = all_gradients(in_double(model), batch);
      std::size_t i = 0;
      const torch::NoGradGuard no_grad;
      for (const auto& [name, weight] : model.weights()) {
        model.weight(name).sub_(slopes[i++].to(torch::kFloat), 0.2);
      }
    }
    check_against_brute_force(in_double(model), batch, 1e-6);
  }
  check_against_brute_force(in_double(make_model(12, 3, 1, true)), make_batch(2), 1e-6);
}

TEST_CASE("every metric with adapters, LoRA, prompts and frozen weights, and without text") {
  test::PeftShape peft;
  peft.adapter_reduction = 4;
  peft.lora_rank = 2;
  peft.prompt_length = 3;
  for (const std::string type : {"vilt", "vit"}) {
    CAPTURE(type);
    Model model = make_model(8, 2, 2, true, type, peft);
    Batch batch = make_batch(4);
    if (type == "vit") batch.input_ids = batch.attention_mask = Tensor();
    for (const std::string scheme : {"adapter+lora+prompt", "bias", "block+adapter"}) {
      CAPTURE(scheme);
      peft::set_units(model, scheme, models::Buffers::kFrozen);
      check_against_brute_force(in_double(model), batch, 1e-6);
    }
    const auto flow =
        importance_scores(model, test::answering(), batch, many_units(model), {"synflow"})
            .at("synflow");
    for (const double value : flow) CHECK(value > 0);
  }
}

TEST_CASE("every metric of convolutions and BatchNorms is that of a float64 computation") {
  for (const bool bottleneck : {false, true}) {
    const Model model = in_double(test::tiny_resnet(bottleneck, 5));
    std::vector<Unit> units = model.units();
    for (const Layer& layer : model.blueprint().layers()) {
      Unit& own = units.emplace_back();
      own.name = layer.name;
      for (const Parameter& parameter : layer.parameters) own.parameters.push_back(parameter.name);
    }
    check_against_brute_force(model, test::resnet_batch(4, 7), units, 1e-6);
  }
}

TEST_CASE("synaptic flow of a ResNet takes the size of all that its state holds, statistics, too") {
  const Model model = test::tiny_resnet(false, 5);
  const std::vector<std::string> names = {
      "resnet.embedder.embedder.convolution.weight", "resnet.embedder.embedder.normalization.bias",
      "resnet.encoder.stages.1.layers.0.shortcut.normalization.weight", "classifier.1.weight"};
  std::vector<Unit> units;
  for (const std::string& name : names) units.push_back(unit_of(name, {name}));
  const auto found =
      importance_scores(model, test::answering(), test::resnet_batch(2, 7), units, {"synflow"})
          .at("synflow");
  const auto flow = [&](const std::string& changed, std::int64_t element, double by) {
    const torch::NoGradGuard no_grad;
    Model absolute = model;
    for (const auto& [name, tensor] : model.weights()) {
      Tensor size = tensor.detach().to(torch::kDouble).abs();
      if (name == changed) size.view(-1)[element] += by;
      absolute.weight(name) = size;
    }
    Batch ones;
    ones.pixels = torch::ones({1, 3, 16, 16});
    return absolute.forward(ones).sum().item<double>();
  };
  for (std::size_t i = 0; i < names.size(); ++i) {
    const Tensor weight = model.weight(names[i]).detach().to(torch::kDouble).abs().flatten();
    double expected = 0;
    for (std::int64_t e = 0; e < weight.numel(); ++e) {
      const double slope = (flow(names[i], e, 1e-6) - flow(names[i], e, -1e-6)) / 2e-6;
      expected += std::abs(slope * weight[e].item<double>());
    }
    CAPTURE(names[i]);
    CHECK(found[i] > 0);
    CHECK(found[i] == Approx(expected).epsilon(1e-5));
  }
}

TEST_CASE("weights that are frozen are not in g, whichever units are scored") {
  const Model model = in_double(make_model(8, 2, 2, true));
  const Batch batch = make_batch(4);
  ImportanceOptions options;
  for (const auto& [name, weight] : model.weights()) {
    if (name.find("word_embeddings") != std::string::npos ||
        name.find("layer.0.") != std::string::npos)
      options.frozen.insert(name);
  }
  const std::vector<Unit> units = {model.unit("block.1"), model.unit("head")};
  const std::vector<std::string> metrics = {"grasp", "gradflow"};
  const auto found = importance_scores(model, test::answering(), batch, units, metrics, options);
  const auto all = importance_scores(model, test::answering(), batch, units, metrics);
  const test::BruteForce expected = brute_force(model, batch, options.frozen);
  for (const std::string& metric : metrics) {
    for (std::size_t i = 0; i < units.size(); ++i) {
      CAPTURE(metric, units[i].name);
      const double scale = expected.value("gradflow", units[i]);
      CHECK(std::abs(found.at(metric)[i] - expected.value(metric, units[i])) <= 1e-6 * scale);
      CHECK(std::abs(all.at(metric)[i] - found.at(metric)[i]) > 1e-3 * scale);
    }
  }
}

TEST_CASE("synaptic flow is that of finite differences, whatever the data and the signs") {
  Model model = make_model(8, 2, 1, true);
  const std::vector<std::string> names = {
      "vilt.embeddings.text_embeddings.word_embeddings.weight",
      "vilt.embeddings.text_embeddings.position_embeddings.weight",
      "vilt.embeddings.patch_embeddings.projection.bias",
      "vilt.encoder.layer.0.attention.attention.query.weight",
      "vilt.encoder.layer.0.layernorm_after.weight",
      "classifier.3.weight"};
  std::vector<Unit> units;
  for (const std::string& name : names) units.push_back(unit_of(name, {name}));
  units.push_back(unit_of("together", names));
  const auto score = [&](const Model& of, const Batch& batch) {
    return importance_scores(of, test::answering(), batch, units, {"synflow"}).at("synflow");
  };
  const auto found = score(model, make_batch(2));

  double together = 0;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const Tensor weight = model.weight(names[i]).detach().to(torch::kDouble).abs().flatten();
    double expected = 0;
    for (std::int64_t e = 0; e < weight.numel(); ++e) {
      const double step = 1e-5;
      const double slope =
          (flow(model, names[i], e, step) - flow(model, names[i], e, -step)) / (2 * step);
      expected += std::abs(slope * weight[e].item<double>());
    }
    CAPTURE(names[i]);
    CHECK(found[i] == Approx(expected).epsilon(1e-6).margin(1e-9));
    together += found[i];
  }
  CHECK(found.back() == Approx(together).epsilon(1e-12));
  CHECK(together > 0);

  CHECK(score(model, make_batch(3, 12)) == found);
  {
    const torch::NoGradGuard no_grad;
    for (const auto& [name, weight] : model.weights()) model.weight(name).neg_();
  }
  CHECK(score(model, make_batch(2)) == found);
}

TEST_CASE("metrics keep the sums and inequalities that their definitions imply") {
  const Model model = make_model(8, 2, 2, true);
  const Batch batch = make_batch(6);
  std::vector<Unit> units = model.units();
  const std::size_t parts = units.size();
  std::vector<std::string> all;
  for (const Unit& unit : units) {
    all.insert(all.end(), unit.parameters.begin(), unit.parameters.end());
  }
  units.push_back(unit_of("all", all));
  const auto scores =
      importance_scores(model, test::answering(), batch, units, importance_metrics());
  REQUIRE(scores.size() == importance_metrics().size());

  for (const char* additive : {"grad_norm", "snip", "gradflow", "synflow", "fisher"}) {
    double sum = 0;
    for (std::size_t i = 0; i < parts; ++i) sum += scores.at(additive)[i];
    CAPTURE(additive);
    CHECK(scores.at(additive)[parts] == Approx(sum).epsilon(1e-12));
  }
  for (std::size_t i = 0; i < units.size(); ++i) {
    CAPTURE(units[i].name);
    // The mean of squares is at least the square of the mean.
    CHECK(scores.at("fisher")[i] > scores.at("grad_norm")[i]);
    CHECK(scores.at("gradflow")[i] >= scores.at("grasp")[i]);
    double square = 0;
    for (const std::string& name : units[i].parameters) {
      square += model.weight(name).detach().to(torch::kDouble).square().sum().item<double>();
    }
    CHECK(scores.at("rgn")[i] * scores.at("rgn")[i] * square ==
          Approx(scores.at("grad_norm")[i]).epsilon(1e-12));
    // Cauchy and Schwarz.
    CHECK(scores.at("snip")[i] <= std::sqrt(scores.at("grad_norm")[i] * square) * (1 + 1e-12));
  }

  // One sample twice: nothing varies, and fisher is the squared norm.
  const auto twice = importance_scores(model, test::answering(), rows(batch, {1, 1}), units,
                                       {"fisher", "grad_norm", "snr"});
  for (std::size_t i = 0; i < units.size(); ++i) {
    CHECK(twice.at("fisher")[i] == Approx(twice.at("grad_norm")[i]).epsilon(1e-4));
    CHECK(twice.at("snr")[i] > 1e6);
  }
  const auto shuffled = importance_scores(model, test::answering(), rows(batch, {3, 5, 0, 1, 4, 2}),
                                          units, kWithData);
  for (const std::string& metric : kWithData) {
    for (std::size_t i = 0; i < units.size(); ++i) {
      const double scale = scores.at(metric == "grasp" ? "gradflow" : metric)[i];
      CAPTURE(metric, units[i].name);
      CHECK(std::abs(shuffled.at(metric)[i] - scores.at(metric)[i]) <= 1e-3 * scale);
    }
  }
}

TEST_CASE("a value does not depend on what else is asked for, and the model stays as it was") {
  Model model = make_model(8, 2, 2, true);
  model.train_only({"block.1"});
  const std::string before = model.fingerprint();
  const Batch batch = make_batch(3);
  const std::vector<Unit> units = many_units(model);
  const auto together =
      importance_scores(model, test::answering(), batch, units, importance_metrics());
  for (const std::string& metric : importance_metrics()) {
    for (std::size_t i = 0; i < units.size(); ++i) {
      CAPTURE(metric, units[i].name);
      CHECK(
          importance_scores(model, test::answering(), batch, {units[i]}, {metric}).at(metric)[0] ==
          together.at(metric)[i]);
    }
  }
  {
    const torch::NoGradGuard no_grad;
    CHECK(importance_scores(model, test::answering(), batch, units, importance_metrics()) ==
          together);
  }
  CHECK(model.fingerprint() == before);
  for (const Unit& unit : model.units()) {
    for (const std::string& name : unit.parameters) {
      CHECK(model.weight(name).requires_grad() == (unit.name == "block.1"));
      CHECK_FALSE(model.weight(name).grad().defined());
    }
  }
  CHECK(importance_scores(model, test::answering(), batch, {}, {"snip"}).at("snip").empty());
}

TEST_CASE("every metric of a model with short weights is that of the converted model, to the bit") {
  const test::TempDir dir;
  for (const Dtype dtype : {Dtype::kF16, Dtype::kBF16}) {
    CAPTURE(dtype_name(dtype));
    const auto folder = dir / dtype_name(dtype);
    peft::save_model(make_model(8, 2, 2, true), folder / "fresh");
    test::copy_rounded(folder / "fresh", folder / "short", dtype, false);
    test::copy_rounded(folder / "fresh", folder / "wide", dtype, true);
    const Model small = peft::load_model(folder / "short"),
                wide = peft::load_model(folder / "wide");
    const Batch batch = make_batch(3);
    CHECK(importance_scores(small, test::answering(), batch, small.units(), importance_metrics()) ==
          importance_scores(wide, test::answering(), batch, wide.units(), importance_metrics()));
    CHECK(small.weights().begin()->second.scalar_type() == models::scalar_type(dtype));
    // The leaves of short weights are copies, which the plan counts.
    CHECK(plan_importance(small, batch, 3, small.units(), {"snip"}, {}).bytes >
          plan_importance(wide, batch, 3, wide.units(), {"snip"}, {}).bytes);
  }
}

TEST_CASE("a memory limit divides the batch, then the units, and changes rounding alone") {
  const Model model = in_double(make_model(8, 2, 2, true));
  const Batch batch = make_batch(6);
  const std::vector<Unit> units = many_units(model);
  const auto expected =
      importance_scores(model, test::answering(), batch, units, importance_metrics());
  for (const std::string& metric : importance_metrics()) {
    CAPTURE(metric);
    ImportanceOptions options;
    const auto plan = [&] { return plan_importance(model, batch, 6, units, {metric}, options); };
    const auto at_ease = plan();
    CHECK(at_ease.groups.size() == 1);
    CHECK(at_ease.rows == 6);
    CHECK(at_ease.bytes >= at_ease.least_bytes);

    std::vector<std::string> passes;
    options.progress = [&](std::int64_t done, std::int64_t total, const std::string&) {
      CHECK(done == static_cast<std::int64_t>(passes.size()));
      passes.push_back(std::to_string(total));
    };
    for (const std::int64_t limit :
         {at_ease.bytes - 1, (at_ease.bytes + at_ease.least_bytes) / 2, at_ease.least_bytes}) {
      options.memory_bytes = std::max(limit, at_ease.least_bytes);
      const auto tight = plan();
      CHECK(tight.bytes <= options.memory_bytes);
      std::size_t scored = 0;
      for (const auto& group : tight.groups) scored += group.size();
      CHECK(scored == units.size());
      passes.clear();
      const auto found =
          importance_scores(model, test::answering(), batch, units, {metric}, options).at(metric);
      CHECK(passes == std::vector<std::string>(passes.size(), std::to_string(tight.passes)));
      CHECK(static_cast<std::int64_t>(passes.size()) == tight.passes);
      for (std::size_t i = 0; i < units.size(); ++i) {
        CAPTURE(units[i].name);
        const double scale = expected.at(metric == "grasp" ? "gradflow" : metric)[i];
        CHECK(std::abs(found[i] - expected.at(metric)[i]) <= 1e-9 * scale);
      }
    }
    options.memory_bytes = at_ease.least_bytes - 1;
    CHECK(plan().groups.empty());
    CHECK_THROWS_AS(importance_scores(model, test::answering(), batch, units, {metric}, options),
                    WorkError);
    CHECK_THROWS_WITH(importance_scores(model, test::answering(), batch, units, {metric}, options),
                      Contains("bytes is too small for \"" + metric + "\"") &&
                          Contains(std::to_string(at_ease.least_bytes) + " bytes are needed"));
  }
  // A unit of its own, a sample at a time.
  ImportanceOptions options;
  const std::vector<Unit> blocks = {model.unit("block.0"), model.unit("block.1")};
  options.memory_bytes =
      plan_importance(model, batch, 6, blocks, {"grad_norm"}, options).least_bytes;
  const auto least = plan_importance(model, batch, 6, blocks, {"grad_norm"}, options);
  CHECK(least.groups == std::vector<std::vector<std::size_t>>{{0}, {1}});
  CHECK(least.rows == 1);
  CHECK(least.passes == 12);
}

TEST_CASE("weights of 0 score 0 by what multiplies with them, and have no rgn") {
  Model model = make_model(8, 2, 1, true);
  const std::vector<Unit> units = {unit_of("outlet", {"classifier.3.bias"}), model.unit("head")};
  {
    const torch::NoGradGuard no_grad;
    model.weight("classifier.3.bias").zero_();
  }
  const auto scores = importance_scores(
      model, test::answering(), make_batch(4), units,
      {"grad_norm", "snr", "magnitude", "snip", "grasp", "gradflow", "synflow", "fisher"});
  for (const char* weighted : {"magnitude", "snip", "grasp", "gradflow", "synflow"}) {
    CAPTURE(weighted);
    CHECK(scores.at(weighted)[0] == 0);
    CHECK(scores.at(weighted)[1] > 0);
  }
  for (const char* gradient : {"grad_norm", "snr", "fisher"}) CHECK(scores.at(gradient)[0] > 0);
  CHECK_THROWS_WITH(importance_scores(model, test::answering(), make_batch(4), units, {"rgn"}),
                    Contains("rgn of unit \"outlet\"") && Contains("weights are all 0"));
}

TEST_CASE("unknown metrics, too few samples, empty units and infinite numbers are refused") {
  Model model = make_model(8, 2, 1, true);
  const Batch batch = make_batch(3);
  const auto score = [&](const Batch& of, const std::vector<Unit>& units,
                         const std::vector<std::string>& metrics) {
    return importance_scores(model, test::answering(), of, units, metrics);
  };
  CHECK_THROWS_AS(score(batch, model.units(), {"gradfow"}), InputError);
  CHECK_THROWS_WITH(score(batch, model.units(), {"gradfow"}),
                    Contains("did you mean \"gradflow\"?"));
  CHECK_THROWS_AS(score(rows(batch, {0}), model.units(), {"fisher", "snr"}), InputError);
  CHECK_THROWS_WITH(score(rows(batch, {0}), model.units(), {"snr"}),
                    Contains("snr: found 1 sample, at least 2"));
  CHECK(score(rows(batch, {0}), model.units(), {"fisher"}).at("fisher").size() == 3);
  CHECK_THROWS_WITH(score(rows(batch, {}), model.units(), {"fisher"}), Contains("no samples"));
  CHECK_THROWS_WITH(score(batch, {unit_of("nothing", {})}, {"snip"}),
                    Contains("unit \"nothing\" has no weights"));

  Batch broken = batch;
  broken.pixels = batch.pixels.clone();
  broken.pixels[1][0][0][0] = NAN;
  for (const std::string& metric : kWithData) {
    if (metric == "magnitude") continue;
    CAPTURE(metric);
    CHECK_THROWS_AS(score(broken, model.units(), {metric}), WorkError);
    CHECK_THROWS_WITH(score(broken, {model.unit("block.0")}, {metric}),
                      Contains(metric + " of unit \"block.0\" is not finite"));
  }
  CHECK(score(broken, model.units(), {"magnitude", "synflow"}) ==
        score(batch, model.units(), {"magnitude", "synflow"}));
  {
    const torch::NoGradGuard no_grad;
    model.weight("classifier.3.weight").fill_(INFINITY);
  }
  CHECK_THROWS_WITH(score(batch, {model.unit("head")}, {"magnitude"}),
                    Contains("magnitude of unit \"head\" is not finite"));
  CHECK_THROWS_WITH(score(batch, {model.unit("block.0")}, {"synflow"}),
                    Contains("synflow of unit \"block.0\" is not finite"));
}
