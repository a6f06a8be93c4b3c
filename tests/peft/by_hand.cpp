// What methods compute that no other library has recorded, against the base model and a few
// products.

#include "catch.h"
#include "support/peft_methods.h"
#include "support/tiny_model.h"

using namespace strata;
using namespace strata::models;
using torch::Tensor;

namespace {

constexpr std::int64_t kWidth = 8;

Model vit(std::int64_t blocks) {
  test::ModelShape shape = test::narrow_shape("vit");
  shape.num_hidden_layers = blocks;
  return test::make_model(shape, 4);
}

Model with(Model model, const std::string& method) {
  test::add_method(model, method);
  return model;
}

/// (n·tokens, width) behind so many stages.
Tensor rows(const Model& model, const Batch& batch, std::int64_t stages) {
  State state;
  for (std::int64_t stage = 0; stage < stages; ++stage)
    state = model.run_stage(stage, batch, state);
  return test::only(state);
}

void zero(Model& model, const std::string& layer) {
  model.weight(layer + ".weight") = torch::zeros_like(model.weight(layer + ".weight"));
  model.weight(layer + ".bias") = torch::zeros_like(model.weight(layer + ".bias"));
}

/// Of two linear layers with ReLU between them.
Tensor bottleneck(const Model& model, const std::string& down, const std::string& up,
                  const Tensor& x) {
  const auto linear = [&](const std::string& layer, const Tensor& input) {
    return input.mm(model.weight(layer + ".weight").t()) + model.weight(layer + ".bias");
  };
  return linear(up, linear(down, x).clamp_min(0));
}

const std::string kBlock = "vit.encoder.layer.0.", kMlp = kBlock + "output.dense";

}  // namespace

TEST_CASE("AdaptFormer's branch by hand") {
  const torch::NoGradGuard no_grad;
  const Batch batch = test::vit_images(3);
  Model base = vit(2);
  zero(base, kMlp);  // the block then leaves what its MLP's norm reads
  const Tensor x = rows(base, batch, 2);
  const std::string down = kBlock + "adaptmlp.down_proj", up = kBlock + "adaptmlp.up_proj";
  const Model branched = with(base, "adaptformer:bottleneck=3,scale=0.5");
  CHECK(test::largest_difference(rows(branched, batch, 2),
                                 x + 0.5 * bottleneck(branched, down, up, x)) <= 1e-5);
  const Model normed = with(base, "adaptformer:bottleneck=3,normed=true,scale=2");
  const Tensor read = torch::layer_norm(x, {kWidth}, base.weight(kBlock + "layernorm_after.weight"),
                                        base.weight(kBlock + "layernorm_after.bias"), 1e-12);
  CHECK(test::largest_difference(rows(normed, batch, 2),
                                 x + 2 * bottleneck(normed, down, up, read)) <= 1e-5);
}

TEST_CASE("Houlsby's two adapters by hand") {
  const torch::NoGradGuard no_grad;
  const Batch batch = test::vit_images(3);
  const Model base = vit(2);
  Model without_mlp = base;
  zero(without_mlp, kMlp);
  const Tensor entering = rows(base, batch, 1), x = rows(without_mlp, batch, 2);
  const Tensor attention = x - entering, mlp = rows(base, batch, 2) - x;
  const auto names = [](const std::string& layer, const char* which) {
    return layer + ".output.adapters.strata.adapter_" + which;
  };
  const std::string first = kBlock + "attention.output.dense", second = kMlp;
  // One at a time, as what the first changes is the second's input.
  Model behind_attention = with(without_mlp, "adapters:reduction=2,placement=houlsby");
  zero(behind_attention, names(second, "up"));
  CHECK(test::largest_difference(rows(behind_attention, batch, 2),
                                 x + bottleneck(behind_attention, names(first, "down.0"),
                                                names(first, "up"), attention)) <= 1e-5);
  Model behind_mlp = with(base, "adapters:reduction=2,placement=houlsby");
  zero(behind_mlp, names(first, "up"));
  CHECK(test::largest_difference(
            rows(behind_mlp, batch, 2),
            x + mlp + bottleneck(behind_mlp, names(second, "down.0"), names(second, "up"), mlp)) <=
        1e-5);
}

TEST_CASE("SSF scales and shifts as weights scaled by hand do") {
  const torch::NoGradGuard no_grad;
  const auto check = [](Model model, const Batch& batch, const std::string& method,
                        std::size_t layers) {
    CAPTURE(method);
    test::add_method(model, method, 3, 0.1);
    Model scaled = model;
    scaled.set_attachments({}, 0);
    std::size_t count = 0;
    std::vector<std::pair<std::string, Tensor>> shifts;
    for (const Layer& layer : model.architecture().layers()) {
      if (!model.blueprint().has(layer.name + ".ssf_scale")) continue;
      ++count;
      const Tensor gamma = model.weight(layer.name + ".ssf_scale");
      const Tensor beta = model.weight(layer.name + ".ssf_shift");
      const Tensor weight = model.weight(layer.name + ".weight");
      std::vector<std::int64_t> shape(static_cast<std::size_t>(weight.dim()), 1);
      shape[0] = -1;
      scaled.weight(layer.name + ".weight") = weight * gamma.view(shape);
      if (layer.bias())
        scaled.weight(layer.name + ".bias") = model.weight(layer.name + ".bias") * gamma + beta;
      else
        model.weight(layer.name + ".ssf_shift") = torch::zeros_like(beta);
    }
    CHECK(count == layers);
    CHECK(test::largest_difference(model.forward(batch), scaled.forward(batch)) <= 1e-5);
  };
  // The patches, the last norm, and of a block six matrices and two norms.
  check(vit(2), test::vit_images(3), "ssf", 2 + 2 * 8);
  const std::size_t convolutions = 1 + 3 * 3 + 2;
  check(test::tiny_resnet(true, 5), test::resnet_batch(3, 2), "ssf", convolutions);
  check(test::tiny_resnet(true, 5), test::resnet_batch(3, 2), "ssf:before_batch_norm=true",
        convolutions);
}

TEST_CASE("TSA adds to the middle of a convolution's window") {
  const torch::NoGradGuard no_grad;
  for (const bool bottleneck : {false, true}) {
    const Model model = with(test::tiny_resnet(bottleneck, 5), "tsa");
    Model plain = model;
    plain.set_attachments({}, 0);
    int adapted = 0;
    for (const Layer& layer : model.architecture().layers()) {
      if (!model.blueprint().has(layer.name + ".tsa_alpha")) continue;
      ++adapted;
      Tensor weight = model.weight(layer.name + ".weight").clone();
      const std::int64_t middle = weight.size(2) / 2;
      weight.select(3, middle).select(2, middle).add_(
          model.weight(layer.name + ".tsa_alpha").flatten(1));
      plain.weight(layer.name + ".weight") = weight;
    }
    CHECK(adapted == (bottleneck ? 9 : 6));
    const Batch batch = test::resnet_batch(3, 2);
    CHECK(test::largest_difference(model.forward(batch), plain.forward(batch)) <= 1e-5);
  }
  // Where it begins: 10⁻⁴ of the identity.
  Model fresh = test::tiny_resnet(true, 5);
  peft::add_methods(fresh, {peft::parse_method("tsa", "here")}, 1);
  const Tensor alpha =
      fresh.weight("resnet.encoder.stages.1.layers.0.layer.2.convolution.tsa_alpha");
  CHECK(test::largest_difference(alpha.flatten(1), 1e-4 * torch::eye(12, 3)) <= 1e-12);
}

TEST_CASE("deep prompts stand before every block in place of the former ones") {
  const torch::NoGradGuard no_grad;
  const Batch batch = test::vit_images(3);
  const Model deep = with(vit(2), "prompts:length=2,depth=deep");
  Model shallow = with(vit(2), "prompts:length=2");
  shallow.weight("prompt_embeddings") = deep.weight("vit.encoder.layer.0.prompt_embeddings");
  State state;
  for (std::int64_t stage = 0; stage < 2; ++stage) state = shallow.run_stage(stage, batch, state);
  CHECK(test::largest_difference(test::only(state), rows(deep, batch, 2)) <= 1e-6);
  Tensor replaced = test::only(state).clone().view({3, -1, kWidth});
  replaced.narrow(1, 0, 2).copy_(
      deep.weight("vit.encoder.layer.1.prompt_embeddings").expand({3, 2, kWidth}));
  state = test::with_value(state, replaced.view({-1, kWidth}));
  for (std::int64_t stage = 2; stage < 4; ++stage) state = shallow.run_stage(stage, batch, state);
  CHECK(test::largest_difference(test::only(state), deep.forward(batch)) <= 1e-5);
  // The order of prompts and class token is no matter, that they are there is.
  CHECK(test::largest_difference(deep.forward(batch), vit(2).forward(batch)) > 1e-3);
}

TEST_CASE(
    "prompts of a network are what it makes of learned vectors, drawn as PyTorch draws them") {
  const torch::NoGradGuard no_grad;
  const Batch batch = test::vit_images(3);
  const Model network = with(vit(2), "prompts:length=3,hidden=5");
  const auto dense = [&](const std::string& layer, const Tensor& rows) {
    return rows.mm(network.weight(layer + ".weight").t()) + network.weight(layer + ".bias");
  };
  Model plain = with(vit(2), "prompts:length=3");
  plain.weight("prompt_embeddings") = dense(
      "prompt_network.2", torch::tanh(dense("prompt_network.0", network.weight("prompt_inputs"))));
  CHECK(test::largest_difference(network.forward(batch), plain.forward(batch)) <= 1e-5);

  Model fresh = vit(1);
  peft::add_methods(fresh, {peft::parse_method("prompts:length=400,hidden=50", "here")}, 1);
  CHECK(fresh.weight("prompt_inputs").std().item<double>() == Approx(1).margin(0.05));
  for (const std::string part : {".weight", ".bias"}) {
    const double bound = 1 / std::sqrt(50.0);
    const double largest = fresh.weight("prompt_network.2" + part).abs().max().item<double>();
    CHECK(largest <= bound);
    CHECK(largest > 0.7 * bound);
  }
}

TEST_CASE("decomposed prompts are the product of their factors") {
  const torch::NoGradGuard no_grad;
  const Batch batch = test::vit_images(3);
  const Model product = with(vit(2), "prompts:length=3,rank=2");
  Model whole = with(vit(2), "prompts:length=3");
  whole.weight("prompt_embeddings") = product.weight("prompt_u").mm(product.weight("prompt_v"));
  CHECK(test::largest_difference(product.forward(batch), whole.forward(batch)) <= 1e-5);

  // VPT's bound, which DVPT's V has, too; U is N(0, 1 / rank), so that their product is as large.
  Model fresh = vit(1);
  peft::add_methods(fresh, {peft::parse_method("prompts:length=400,initialization=vpt", "here")},
                    1);
  const double bound = std::sqrt(6.0 / (3 * 4 * 4 + kWidth));
  const double largest = fresh.weight("prompt_embeddings").abs().max().item<double>();
  CHECK(largest <= bound);
  CHECK(largest > 0.98 * bound);

  for (const std::string depth : {"shallow", "deep"}) {
    CAPTURE(depth);
    const std::string name = depth == "deep" ? "vit.encoder.layer.0." : "";
    Model decomposed = vit(1);
    peft::add_methods(
        decomposed,
        {peft::parse_method("prompts:length=400,rank=4,initialization=vpt,depth=" + depth, "here")},
        1);
    const Tensor u = decomposed.weight(name + "prompt_u"), v = decomposed.weight(name + "prompt_v");
    CHECK((u.size(0) == 400 && u.size(1) == 4));
    CHECK(u.mean().item<double>() == Approx(0).margin(0.06));
    CHECK(u.std().item<double>() == Approx(0.5).margin(0.05));
    CHECK((v.size(0) == 4 && v.size(1) == kWidth));
    CHECK(v.abs().max().item<double>() <= bound);
    CHECK(v.abs().max().item<double>() > 0.7 * bound);
  }
}
