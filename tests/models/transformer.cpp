#include "models/transformer.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <set>

#include "catch.h"
#include "models/attention.h"
#include "models/device.h"
#include "strata/core/error.h"
#include "strata/core/safetensors.h"
#include "temp_dir.h"

using namespace strata;
using Catch::Matchers::Contains;
using torch::Tensor;

namespace {

const std::filesystem::path kReference =
    std::filesystem::path(STRATA_SOURCE_DIR) / "tests" / "reference" / "vilt";

Tensor recorded(const std::string& name) {
  static const SafetensorsFile file(kReference / "recorded.safetensors");
  const TensorEntry* entry = file.find(name);
  REQUIRE(entry);
  Tensor tensor =
      torch::empty(entry->shape, entry->dtype == Dtype::kI64 ? torch::kInt64 : torch::kFloat);
  std::memcpy(tensor.data_ptr(), file.bytes(*entry).data(), file.bytes(*entry).size());
  return tensor;
}

Batch recorded_batch() {
  return {recorded("input_ids"), recorded("attention_mask"), recorded("pixels"),
          recorded("labels")};
}

double relative_error(const Tensor& found, const Tensor& expected) {
  return ((found - expected).norm() / expected.norm()).item<double>();
}

Tensor loss_of(const Transformer& model, const Batch& batch) {
  return torch::cross_entropy_loss(model.forward(batch), batch.labels);
}

std::vector<std::string> all_units(const Transformer& model) {
  std::vector<std::string> names;
  for (const Unit& unit : model.units()) names.push_back(unit.name);
  return names;
}

}  // namespace

TEST_CASE("logits and gradients are those of transformers") {
  Transformer model = Transformer::load(kReference);
  model.train_only(all_units(model));
  const Batch batch = recorded_batch();
  CHECK(relative_error(model.forward(batch), recorded("logits")) < 1e-5);
  const Tensor loss = loss_of(model, batch);
  CHECK(relative_error(loss, recorded("loss")) < 1e-5);
  loss.backward();

  const SafetensorsFile file(kReference / "recorded.safetensors");
  int gradients = 0;
  for (const TensorEntry& entry : file.tensors()) {
    const std::string prefix = "gradient.";
    if (entry.name.rfind(prefix, 0) != 0) continue;
    const std::string name = entry.name.substr(prefix.size());
    INFO(name);
    CHECK(relative_error(model.weight(name).grad(), recorded(entry.name)) < 1e-4);
    ++gradients;
  }
  CHECK(gradients == 18);
}

TEST_CASE("padding changes nothing") {
  const Transformer model = Transformer::load(kReference);
  Batch batch = recorded_batch();
  const Tensor logits = model.forward(batch);
  batch.input_ids = torch::cat({batch.input_ids, torch::full({3, 4}, 7, torch::kInt64)}, 1);
  batch.attention_mask = torch::cat({batch.attention_mask, torch::zeros({3, 4})}, 1);
  CHECK(relative_error(model.forward(batch), logits) < 1e-6);
  const Batch one{batch.input_ids.narrow(0, 1, 1).narrow(1, 0, 4), torch::ones({1, 4}),
                  batch.pixels.narrow(0, 1, 1), batch.labels.narrow(0, 1, 1)};
  CHECK(relative_error(model.forward(one), logits.narrow(0, 1, 1)) < 1e-5);
}

TEST_CASE("fused attention is its definition, forwards and backwards") {
  struct Shape {
    std::int64_t n, heads, queries, tokens, size;
  };
  for (const Shape& s : {Shape{3, 2, 29, 29, 16}, Shape{2, 3, 1, 13, 7}, Shape{1, 1, 40, 40, 24}}) {
    CAPTURE(s.n, s.heads, s.queries, s.tokens, s.size);
    torch::manual_seed(3);
    const std::int64_t width = s.heads * s.size;
    const auto make = [&](std::int64_t rows) {
      return torch::randn({rows, width}, torch::kDouble).requires_grad_(true);
    };
    const Tensor query = make(s.n * s.queries), key = make(s.n * s.tokens);
    const Tensor value = make(s.n * s.tokens);
    Tensor mask = torch::zeros({s.n, s.tokens}, torch::kDouble);
    mask[0].narrow(0, 1, s.tokens / 2).fill_(std::numeric_limits<double>::lowest());
    const Tensor weight = torch::randn({s.n * s.queries, width}, torch::kDouble);
    const auto split = [&](const Tensor& x) {
      return x.view({s.n, -1, s.heads, s.size}).transpose(1, 2);
    };
    const Tensor scores = torch::matmul(split(query), split(key).transpose(2, 3)) /
                              std::sqrt(static_cast<double>(s.size)) +
                          mask.view({s.n, 1, 1, s.tokens});
    const Tensor expected = torch::matmul(torch::softmax(scores, -1), split(value))
                                .transpose(1, 2)
                                .reshape({-1, width});
    const Tensor found = attention(query, key, value, mask, s.heads, 0);
    CHECK(relative_error(found, expected) < 1e-12);
    const auto slopes = [&](const Tensor& out) {
      return torch::autograd::grad({(out * weight).sum()}, {query, key, value});
    };
    const auto ours = slopes(found), theirs = slopes(expected);
    for (int i = 0; i < 3; ++i) CHECK((ours[i] - theirs[i]).norm().item<double>() < 1e-11);
  }
}

TEST_CASE("gradients in double agree with finite differences") {
  Transformer model = Transformer::load(kReference);
  for (const WeightShape& weight : transformer_weights(model.config())) {
    model.weight(weight.name) = model.weight(weight.name).to(torch::kDouble);
  }
  model.train_only(all_units(model));
  Batch batch = recorded_batch();
  const std::string name = "vilt.encoder.layer.0.attention.attention.key.weight";
  loss_of(model, batch).backward();
  const Tensor direction = torch::sin(torch::arange(32 * 32, torch::kDouble)).view({32, 32});
  const double slope = (model.weight(name).grad() * direction).sum().item<double>();
  const torch::NoGradGuard no_grad;
  const auto shifted = [&](double step) {
    model.weight(name).add_(direction, step);
    const double loss = loss_of(model, batch).item<double>();
    model.weight(name).sub_(direction, step);
    return loss;
  };
  CHECK(slope == Approx((shifted(1e-5) - shifted(-1e-5)) / 2e-5).epsilon(1e-6));
}

TEST_CASE("saving and loading give the same bytes") {
  test::TempDir dir;
  const Transformer model = Transformer::load(kReference);
  model.save(dir / "a");
  const Transformer again = Transformer::load(dir / "a");
  again.save(dir / "b");
  CHECK(again.fingerprint() == model.fingerprint());
  for (const char* file : {"config.json", "model.safetensors"}) {
    CHECK(test::slurp(dir / "a" / file) == test::slurp(dir / "b" / file));
  }
}

TEST_CASE("half precision is read as float32") {
  test::TempDir dir;
  const Transformer model = Transformer::load(kReference);
  for (const auto& [dtype, type] :
       {std::pair{Dtype::kF16, torch::kHalf}, std::pair{Dtype::kBF16, torch::kBFloat16},
        std::pair{Dtype::kF64, torch::kDouble}}) {
    std::vector<Tensor> tensors;
    std::vector<TensorView> views;
    for (const WeightShape& weight : transformer_weights(model.config())) {
      tensors.push_back(model.weight(weight.name).to(type).contiguous());
      views.push_back(
          {weight.name,
           dtype,
           weight.shape,
           {static_cast<const char*>(tensors.back().data_ptr()), tensors.back().nbytes()}});
    }
    write_safetensors(dir / "model.safetensors", views);
    std::filesystem::copy_file(kReference / "config.json", dir / "config.json",
                               std::filesystem::copy_options::overwrite_existing);
    const Transformer read = Transformer::load(dir.path());
    const std::string name = "classifier.0.weight";
    CHECK(read.weight(name).scalar_type() == torch::kFloat);
    CHECK(torch::equal(read.weight(name), model.weight(name).to(type).to(torch::kFloat)));
  }
}

TEST_CASE("nothing is recorded below the lowest trained unit") {
  Transformer model = Transformer::load(kReference);
  const Batch batch = recorded_batch();
  model.train_only({"head"});
  const Tensor loss = loss_of(model, batch);
  loss.backward();
  for (const Unit& unit : model.units()) {
    for (const std::string& name : unit.parameters) {
      INFO(name);
      CHECK(model.weight(name).grad().defined() == (unit.name == "head"));
    }
  }

  // The length of the recorded graph grows with every unit that back-propagation must pass.
  const auto graph_nodes = [&](const std::string& lowest) {
    model.train_only({lowest});
    std::set<torch::autograd::Node*> seen;
    const Tensor loss = loss_of(model, batch);
    std::vector<torch::autograd::Node*> open = {loss.grad_fn().get()};
    while (!open.empty()) {
      torch::autograd::Node* node = open.back();
      open.pop_back();
      if (!node || !seen.insert(node).second) continue;
      for (const auto& edge : node->next_edges()) open.push_back(edge.function.get());
    }
    return seen.size();
  };
  const std::size_t head = graph_nodes("head"), block1 = graph_nodes("block.1"),
                    block0 = graph_nodes("block.0"), embeddings = graph_nodes("embeddings");
  CHECK(head < block1);
  CHECK(block1 < block0);
  CHECK(block0 < embeddings);

  model.train_only({});
  CHECK_FALSE(model.forward(batch).requires_grad());
  CHECK_THROWS_WITH(model.train_only({"blok.1"}), Contains("did you mean \"block.1\"?"));
}

TEST_CASE("the captured pass gives the same logits, for any choice of units") {
  const Transformer model = Transformer::load(kReference);
  const Batch batch = recorded_batch();
  const Tensor logits = model.forward(batch);
  for (const auto& units : std::vector<std::vector<std::string>>{
           {}, {"head"}, {"embeddings"}, {"block.0", "head"}, {"block.1"}}) {
    std::vector<CapturedUnit> captured;
    CHECK(relative_error(model.forward_captured(batch, units, captured), logits) < 1e-5);
    CHECK(captured.size() == (units.empty() ? 4 : units.size()));
    CHECK_FALSE(captured.front().input.defined());
    std::set<std::string> weights, expected;
    for (const CapturedUnit& unit : captured) {
      for (const CapturedOp& op : unit.ops) {
        weights.insert(op.weight);
        if (!op.bias.empty()) weights.insert(op.bias);
        CHECK(op.output.requires_grad());
      }
      const auto& parameters = model.unit(unit.unit).parameters;
      expected.insert(parameters.begin(), parameters.end());
    }
    CHECK(weights == expected);
  }
}

TEST_CASE("fresh weights depend on the seed alone and are drawn as transformers draws them") {
  TransformerConfig config;
  config.hidden_size = 32;
  config.num_hidden_layers = 1;
  config.num_attention_heads = 2;
  config.intermediate_size = 64;
  config.image_size = 16;
  config.patch_size = 8;
  config.vocab_size = 400;
  config.labels = {"yes", "no"};
  const Transformer model(config, 3), same(config, 3), other(config, 4);
  CHECK(model.fingerprint() == same.fingerprint());
  CHECK(model.fingerprint() != other.fingerprint());
  const auto& words = model.weight("vilt.embeddings.text_embeddings.word_embeddings.weight");
  CHECK(words.std().item<double>() == Approx(0.02).epsilon(0.05));
  CHECK(std::abs(words.mean().item<double>()) < 0.001);
  CHECK(model.weight("vilt.embeddings.cls_token").abs().sum().item<double>() == 0);
  CHECK(model.weight("vilt.embeddings.position_embeddings").abs().sum().item<double>() == 0);
  CHECK(model.weight("classifier.3.bias").abs().sum().item<double>() == 0);
  CHECK(model.weight("vilt.layernorm.weight").min().item<double>() == 1);
}

TEST_CASE("state and load_state copy") {
  Transformer model = Transformer::load(kReference);
  const auto before = model.fingerprint();
  const auto state = model.state();
  {
    const torch::NoGradGuard no_grad;
    model.weight("classifier.3.bias").add_(1);
  }
  CHECK(model.fingerprint() != before);
  model.load_state(state);
  CHECK(model.fingerprint() == before);
  CHECK_THROWS_AS(model.load_state({{"classifier.9.bias", torch::zeros(5)}}), std::out_of_range);
}

TEST_CASE("dropout applies in training only and follows torch's seed") {
  test::TempDir dir;
  TransformerConfig config = read_transformer_config(kReference / "config.json");
  config.hidden_dropout_prob = config.attention_probs_dropout_prob = 0.3;
  std::filesystem::copy_file(kReference / "model.safetensors", dir / "model.safetensors");
  write_transformer_config(config, dir / "config.json");
  const Transformer model = Transformer::load(dir.path());
  const Batch batch = recorded_batch();
  CHECK(relative_error(model.forward(batch), recorded("logits")) < 1e-5);
  torch::manual_seed(1);
  const Tensor first = model.forward(batch, true);
  torch::manual_seed(1);
  CHECK(torch::equal(model.forward(batch, true), first));
  CHECK_FALSE(torch::equal(model.forward(batch, true), first));
}

TEST_CASE("devices") {
  CHECK(parse_device("cpu") == torch::Device(torch::kCPU));
  CHECK_THROWS_WITH(parse_device("gpu"), Contains("device \"gpu\"") && Contains("\"cuda:N\""));
  CHECK_THROWS_AS(parse_device("cuda:x"), InputError);
  if (!torch::cuda::is_available()) {
    CHECK_THROWS_WITH(parse_device("cuda"),
                      Contains("built without CUDA") || Contains("no device was found"));
  }
  CHECK_THAT(describe_torch(), Contains("LibTorch ") && Contains("BLAS: ") && Contains("cpu"));
  reset_peak_memory(torch::kCPU);
  CHECK(peak_memory(torch::kCPU) > (std::int64_t{1} << 20));
}
