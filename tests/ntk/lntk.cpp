#include "ntk/lntk.h"

#include <Eigen/Eigenvalues>
#include <map>
#include <numeric>

#include "catch.h"
#include "data/image.h"
#include "models/vqa_tensors.h"
#include "ntk/gram.h"
#include "strata/core/error.h"
#include "strata/core/random.h"
#include "strata/ntk/score.h"
#include "temp_dir.h"

using namespace strata;
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

struct Shape {
  std::int64_t hidden, heads, layers, labels, samples;
  bool qkv_bias;
};

Transformer make_model(const Shape& shape) {
  TransformerConfig config;
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
  return Transformer(config, 5);
}

/// Questions of different lengths, so that there is padding.
Batch make_batch(const Transformer& model, std::int64_t n) {
  Random random(11);
  const std::int64_t longest = 7;
  Batch batch;
  batch.input_ids = torch::zeros({n, longest}, torch::kInt64);
  batch.attention_mask = torch::zeros({n, longest});
  batch.labels = torch::zeros({n}, torch::kInt64);
  for (std::int64_t i = 0; i < n; ++i) {
    const std::int64_t length = i == 0 ? longest : random.between(2, longest);
    for (std::int64_t t = 0; t < length; ++t) {
      batch.input_ids[i][t] = random.between(1, 19);
      batch.attention_mask[i][t] = 1;
    }
    batch.labels[i] = static_cast<std::int64_t>(random.below(model.config().label_count()));
  }
  batch.pixels = random_tensor({n, 3, 8, 8}, random);
  return batch;
}

Tensor loss_of(const Transformer& model, const Batch& batch) {
  return torch::cross_entropy_loss(model.forward(batch), batch.labels);
}

void train(Transformer& model, const Batch& batch, int steps) {
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

/// Θ of every unit in double: one differentiation of one output of one sample at a time, no
/// capture.
std::map<std::string, Eigen::MatrixXd> brute_force(const Transformer& original, const Batch& batch,
                                                   bool loss) {
  Transformer model(original.config(), 0);
  std::vector<std::string> names;
  for (const Unit& unit : model.units()) names.push_back(unit.name);
  for (const WeightShape& weight : transformer_weights(model.config())) {
    model.weight(weight.name) = original.weight(weight.name).detach().to(torch::kDouble);
  }
  model.train_only(names);

  std::vector<Tensor> outputs;
  const Tensor logits = model.forward(batch);
  if (loss) {
    const Tensor losses = torch::cross_entropy_loss(logits, batch.labels, {}, at::Reduction::None);
    for (std::int64_t i = 0; i < losses.size(0); ++i) outputs.push_back(losses[i]);
  } else {
    for (std::int64_t i = 0; i < logits.size(0); ++i) {
      for (std::int64_t k = 0; k < logits.size(1); ++k) outputs.push_back(logits[i][k]);
    }
  }

  std::map<std::string, Eigen::MatrixXd> grams;
  for (const Unit& unit : model.units()) {
    Eigen::MatrixXd jacobian(outputs.size(), unit.parameter_count);
    for (std::size_t row = 0; row < outputs.size(); ++row) {
      const auto gradients =
          torch::autograd::grad({outputs[row]}, model.weights_of(unit), {}, true, false, true);
      std::int64_t column = 0;
      for (std::size_t w = 0; w < gradients.size(); ++w) {
        const Tensor flat = gradients[w].contiguous().view(-1);
        jacobian.block(row, column, 1, flat.numel()) =
            Eigen::Map<const Eigen::RowVectorXd>(flat.data_ptr<double>(), flat.numel());
        column += flat.numel();
      }
    }
    grams[unit.name] = jacobian * jacobian.transpose();
  }
  return grams;
}

std::map<std::string, Tensor> captured_grams(const Transformer& model, const Batch& batch,
                                             NtkOutputs outputs,
                                             const std::vector<std::string>& units = {}) {
  std::map<std::string, Tensor> grams;
  visit_unit_grams(model, batch, units, outputs, [&](const std::string& unit, const Tensor& gram) {
    grams[unit] = gram.clone();
  });
  return grams;
}

void check_against_brute_force(const Transformer& model, const Batch& batch) {
  for (const bool loss : {false, true}) {
    const auto expected = brute_force(model, batch, loss);
    const auto found = captured_grams(model, batch, loss ? NtkOutputs::kLoss : NtkOutputs::kLogits);
    REQUIRE(found.size() == expected.size());
    for (const auto& [unit, theta] : expected) {
      INFO(unit << (loss ? ", loss" : ", logits"));
      const Tensor& gram = found.at(unit);
      REQUIRE(gram.size(0) == theta.rows());
      const Eigen::Map<const Eigen::MatrixXd> ours(gram.data_ptr<double>(), theta.rows(),
                                                   theta.rows());
      CHECK((ours - theta).norm() <= 1e-4 * theta.norm());
      CHECK((ours - ours.transpose()).norm() <= 1e-6 * theta.norm());
      const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> exact(theta), mine(ours);
      const double lambda = exact.eigenvalues().maxCoeff();
      const LargestEigenvalue largest = largest_eigenvalue(gram, unit);
      CHECK(largest.value == Approx(lambda).epsilon(1e-4));
      CHECK(largest.residual < 1e-6);
      CHECK(largest.value <= theta.trace() * (1 + 1e-6));
      CHECK(mine.eigenvalues().minCoeff() >= -1e-6 * lambda);
    }
  }
}

}  // namespace

TEST_CASE("every unit's kernel is that of a float64 Jacobian by brute force") {
  for (const Shape& shape : {Shape{8, 2, 2, 3, 4, true}, Shape{12, 3, 3, 5, 3, false},
                             Shape{16, 1, 1, 2, 6, true}, Shape{8, 4, 2, 7, 1, true}}) {
    CAPTURE(shape.hidden, shape.layers, shape.labels, shape.samples);
    Transformer model = make_model(shape);
    const Batch batch = make_batch(model, shape.samples);
    check_against_brute_force(model, batch);
    train(model, batch, 4);
    check_against_brute_force(model, batch);
  }
}

TEST_CASE("a unit's kernel does not depend on which others are asked for") {
  const Transformer model = make_model({8, 2, 3, 3, 4, true});
  const Batch batch = make_batch(model, 4);
  const auto all = captured_grams(model, batch, NtkOutputs::kLogits);
  CHECK(all.size() == 5);
  for (const auto& units : std::vector<std::vector<std::string>>{
           {"embeddings"}, {"head"}, {"block.1"}, {"block.0", "block.2"}}) {
    const auto some = captured_grams(model, batch, NtkOutputs::kLogits, units);
    CHECK(some.size() == units.size());
    for (const auto& [unit, gram] : some) {
      INFO(unit);
      CHECK(torch::allclose(gram, all.at(unit), 1e-5, 1e-9));
    }
  }
}

TEST_CASE("the order of the samples permutes the kernel and leaves its eigenvalue") {
  const Transformer model = make_model({8, 2, 2, 3, 5, true});
  const Batch batch = make_batch(model, 5);
  const Tensor order = torch::tensor({3, 0, 4, 2, 1}, torch::kInt64);
  const Batch shuffled{batch.input_ids.index_select(0, order),
                       batch.attention_mask.index_select(0, order),
                       batch.pixels.index_select(0, order), batch.labels.index_select(0, order)};
  const auto one = captured_grams(model, batch, NtkOutputs::kLogits);
  const auto two = captured_grams(model, shuffled, NtkOutputs::kLogits);
  for (const auto& [unit, gram] : one) {
    const Tensor permuted = gram.view({5, 3, 5, 3}).index_select(0, order).index_select(2, order);
    CHECK(torch::allclose(two.at(unit), permuted.reshape({15, 15}), 1e-4, 1e-8));
    CHECK(largest_eigenvalue(two.at(unit), unit).value ==
          Approx(largest_eigenvalue(gram, unit).value).epsilon(1e-5));
  }
}

TEST_CASE("a small chunk limit gives the same kernel") {
  const Transformer model = make_model({8, 2, 1, 3, 4, true});
  const Batch batch = make_batch(model, 4);
  std::vector<CapturedUnit> captured;
  const Tensor logits = model.forward_captured(batch, {"embeddings"}, captured);
  for (const CapturedOp& op : captured.front().ops) {
    if (op.kind == CapturedOp::Kind::kAdded || op.kind == CapturedOp::Kind::kNorm) continue;
    std::vector<Tensor> deltas;
    for (int k = 0; k < 3; ++k) {
      deltas.push_back(
          torch::autograd::grad({logits.select(1, k).sum()}, {op.output}, {}, true)[0]);
    }
    Gram whole(4, 3), chunked(4, 3, 12 * 4 * 20);
    whole.add({{&op, &deltas, false}});
    chunked.add({{&op, &deltas, false}});
    INFO(op.weight);
    CHECK(torch::allclose(whole.matrix(), chunked.matrix(), 1e-5, 1e-9));
  }
}

TEST_CASE("the largest eigenvalue of known matrices") {
  CHECK(largest_eigenvalue(torch::diag(torch::tensor({1., 5., 2.}, torch::kDouble)), "x").value ==
        Approx(5));
  const auto many = torch::arange(1, 61, torch::kDouble);
  const LargestEigenvalue found = largest_eigenvalue(torch::diag(many), "x");
  CHECK(found.value == Approx(60));
  CHECK(found.residual < 1e-8);
  CHECK(largest_eigenvalue(torch::full({9, 9}, 2., torch::kDouble), "x").value == Approx(18));
  CHECK(largest_eigenvalue(torch::zeros({9, 9}, torch::kDouble), "x").value == 0);
  CHECK(largest_eigenvalue(torch::full({1, 1}, 3., torch::kDouble), "x").value == Approx(3));
  CHECK_THROWS_WITH(largest_eigenvalue(torch::full({4, 4}, NAN, torch::kDouble), "unit \"head\""),
                    Contains("unit \"head\"") && Contains("not finite"));
}

TEST_CASE("score_units") {
  test::TempDir dir;
  Manifest manifest;
  manifest.folder = dir.path();
  Random random(2);
  const std::vector<std::string> words = {"what", "is", "here", "there"};
  for (int i = 0; i < 12; ++i) {
    Image image{8, 8, {}};
    for (int p = 0; p < 8 * 8 * 3; ++p) {
      image.pixels.push_back(static_cast<std::uint8_t>(random.below(256)));
    }
    const std::string name = std::to_string(i) + ".png";
    write_png(image, dir / name);
    std::string question = words[random.below(4)];
    for (std::uint64_t w = random.below(4); w > 0; --w) question += " " + words[random.below(4)];
    manifest.examples.push_back(
        {name, question, {"answer " + std::to_string(i % 3)}, "train", "c", "open", ""});
  }
  Transformer model = make_model({8, 2, 2, 3, 0, true});
  const WordPiece tokenizer({"[PAD]", "[UNK]", "[CLS]", "[SEP]", "what", "is", "here", "there"});
  std::vector<int> indices(manifest.examples.size());
  std::iota(indices.begin(), indices.end(), 0);
  const VqaTensors data(manifest, indices, model.config(), tokenizer);
  const std::vector<std::string> units = {"head", "embeddings", "block.1", "block.0"};

  ScoreOptions options;
  options.samples = 6;
  const auto values = [&](const std::string& metric, std::uint64_t seed = 1) {
    options.metric = metric;
    options.seed = seed;
    std::vector<double> found;
    for (const UnitScore& score : score_units(model, data, units, options)) {
      found.push_back(score.value);
    }
    return found;
  };
  CHECK(values("first") == std::vector<double>{1, 4, 2, 3});
  CHECK(values("last") == std::vector<double>{4, 1, 3, 2});
  CHECK(values("random") == values("random"));
  CHECK(values("random") != values("random", 2));
  CHECK(values("lntk") == values("lntk"));
  CHECK(values("lntk") != values("lntk", 2));
  for (const std::string& metric : metric_names()) {
    for (const double value : values(metric)) CHECK(value > 0);
  }
  const double expected = model.weight("vilt.layernorm.weight").abs().sum().item<double>();
  CHECK(values("magnitude")[0] * model.unit("head").parameter_count > expected);

  options.samples = 100;  // more than there are: all of them
  const auto grams = captured_grams(
      model, data.batch({0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, torch::kCPU), NtkOutputs::kLogits);
  CHECK(values("lntk")[2] == Approx(largest_eigenvalue(grams.at("block.1"), "").value));

  CHECK_THROWS_WITH(values("lntkk"), Contains("did you mean \"lntk\"?"));
  options.metric = "lntk";
  CHECK_THROWS_WITH(score_units(model, data, {"blok.1"}, options),
                    Contains("did you mean \"block.1\"?"));
  CHECK_THROWS_AS(
      score_units(model, VqaTensors(manifest, {}, model.config(), tokenizer), units, options),
      InputError);
  {
    const torch::NoGradGuard no_grad;
    model.weight("classifier.3.weight").fill_(INFINITY);
  }
  CHECK_THROWS_AS(score_units(model, data, {"block.1"}, options), WorkError);
}
