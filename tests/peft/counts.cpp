// How many numbers a method trains, from configurations alone, against published counts.

#include "catch.h"
#include "peft/methods.h"
#include "strata/core/error.h"
#include "support/error_text.h"
#include "support/tiny_model.h"

using namespace strata;
using namespace strata::models;
using Catch::Matchers::Contains;

namespace {

Blueprint vit(std::int64_t hidden = 768, std::int64_t layers = 12, std::int64_t patch = 16) {
  VitConfig config;
  config.hidden_size = hidden;
  config.num_hidden_layers = layers;
  config.num_attention_heads = 16 - 4 * (hidden == 768);
  config.intermediate_size = 4 * hidden;
  config.patch_size = patch;
  config.labels = {"a", "b", "c"};
  return Blueprint(make_vit(config));
}

Blueprint resnet50() {
  ResnetConfig config;
  config.labels = {"a", "b", "c"};
  return Blueprint(make_resnet(config));
}

enum class Head { kLeftOut, kCounted };

/// Of the units of a scheme.
std::int64_t trained(Blueprint blueprint, const std::string& method, const std::string& scheme,
                     Head head = Head::kLeftOut) {
  if (!method.empty())
    blueprint = peft::with_methods(blueprint, {peft::parse_method(method, "--peft")}, "model");
  const std::string classifier =
      blueprint.architecture().type() == "vit" ? "classifier." : "classifier.1.";
  std::int64_t count = 0;
  for (const Unit& unit : peft::scheme_units(blueprint, scheme, models::Buffers::kFrozen)) {
    for (const std::string& name : unit.parameters)
      if (head == Head::kCounted || name.compare(0, classifier.size(), classifier) != 0)
        count += blueprint.parameter(name).numel();
  }
  return count;
}

}  // namespace

TEST_CASE("methods of ViT-B/16 train as many numbers as published") {
  const Blueprint base = vit();
  CHECK(base.parameter_count() == 85798656 + 3 * 769);
  CHECK(trained(base, "", "attention+only") == 28499712);
  CHECK(trained(base, "", "bias+only") == 102912);
  CHECK(trained(base, "", "layernorm+only") == 38400);
  CHECK(trained(base, "lora:rank=16", "lora+only") == 589824);
  CHECK(trained(base, "lora", "lora+only") == 294912);
  CHECK(trained(base, "lora:rank=16,targets=projection", "lora+only") == 16 * (3 * 256 + 768));
  CHECK(trained(base, "lora:dora=true", "lora+only") == 313344);
  CHECK(trained(base, "lora:bias=true", "lora+only") == 313344);
  CHECK(trained(base, "ssf", "ssf+only") == 205824);
  CHECK(trained(base, "adaptformer", "adaptformer+only") == 1189632);
  CHECK(trained(base, "adaptformer:bottleneck=6", "adaptformer+only") == 119880);
  CHECK(trained(base, "ia3", "ia3+only") == 55296);
  CHECK(trained(base, "vera", "vera+only") == 24576);
  CHECK(trained(base, "loha", "loha+only") == 589824);
  CHECK(trained(base, "lokr", "lokr+only") == 26112);
  CHECK(trained(base, "oft", "oft+only") == 285696);
  CHECK(trained(base, "prompts:length=10", "prompt+only") == 7680);
  CHECK(trained(base, "prompts:length=50", "prompt+only") == 38400);
  CHECK(trained(base, "prompts:length=10,depth=deep", "prompt+only") == 92160);
  CHECK(trained(base, "prompts:length=10,rank=1", "prompt+only") == 778);
  CHECK(trained(base, "prompts:length=10,rank=4", "prompt+only") == 3112);
  CHECK(trained(base, "prompts:length=10,rank=1,depth=deep", "prompt+only") == 12 * 778);
  CHECK(trained(base, "prompts:length=5,hidden=192", "prompt+only") == 599424 / 2);
  // Two a block, of two layers with their biases.
  CHECK(trained(base, "adapters:placement=houlsby", "adapter+only") ==
        12 * 2 * (2 * 768 * 48 + 48 + 768));
  CHECK(trained(base, "lora", "lora+bias+only") == 294912 + 102912);

  for (const Unit& unit : peft::scheme_units(base, "attention", models::Buffers::kFrozen))
    if (unit.role == Role::kBody) CHECK(unit.parameter_count == 2362368);
}

TEST_CASE("FedDAT's LoRA and prompts of ViLT's size are those of its code, and of F3OCUS's table") {
  const Blueprint base = vit();
  // Rank 16 on query and value, whose biases it trains, too.
  std::int64_t biases = 0;
  for (const Parameter& parameter : base.parameters()) {
    for (const std::string layer : {"attention.query.bias", "attention.value.bias"})
      if (parameter.name.ends_with(layer)) biases += parameter.numel();
  }
  CHECK(biases == 18432);
  const std::int64_t lora = trained(base, "lora:rank=16", "lora+only") + biases;
  CHECK(lora == 608256);
  // Two tables of 5 vectors, each through two layers.
  const std::int64_t prompts = 2 * trained(base, "prompts:length=5,hidden=192", "prompt+only");
  CHECK(prompts == 599424);
  // Sent in float32, in MBit.
  CHECK(static_cast<double>(lora) * 32e-6 == Approx(19.46).margin(0.005));
  CHECK(static_cast<double>(prompts) * 32e-6 == Approx(19.18).margin(0.005));
}

TEST_CASE("methods of ViT-L/16 and ViT-H/14 train as many numbers as published") {
  const Blueprint large = vit(1024, 24), huge = vit(1280, 32, 14);
  CHECK(trained(large, "", "attention+only") == 100963328);
  CHECK(trained(huge, "", "attention+only") == 210208000);
  CHECK(trained(large, "", "bias+only") == 272384);
  CHECK(trained(huge, "", "bias+only") == 453120);
  CHECK(trained(large, "lora:rank=16", "lora+only") == 1572864);
  CHECK(trained(huge, "lora:rank=16", "lora+only") == 2621440);
  CHECK(trained(large, "ssf", "ssf+only") == 544768);
  CHECK(trained(huge, "ssf", "ssf+only") == 906240);
  CHECK(trained(large, "", "layernorm+only") == 100352);
  CHECK(trained(huge, "", "layernorm+only") == 166400);
}

TEST_CASE("methods of ResNet-50 train as many numbers as published") {
  const Blueprint base = resnet50();
  CHECK(trained(base, "", "norm+only") == 53120);
  CHECK(trained(base, "", "bias+only") == 26560);
  // As published: with the classifier of three classes.
  CHECK(trained(base, "", "norm+only", Head::kCounted) == 59267);
  CHECK(trained(base, "", "bias+only", Head::kCounted) == 32707);
  CHECK(trained(base, "tsa", "tsa+only") == 10616832);
  CHECK(trained(base, "ssf", "ssf+only") == 53120);
  CHECK(trained(base, "ssf:before_batch_norm=true", "ssf+only") == 53120);
  CHECK(trained(base, "lora:targets=convolution", "lora+only") == 635544);
  CHECK(trained(base, "lora:targets=convolution,dora=true", "lora+only") == 662104);
  CHECK(trained(base, "loha:targets=convolution", "loha+only") == 1271088);
  CHECK(trained(base, "lokr:targets=convolution", "lokr+only") == 63392);
  CHECK(trained(base, "ia3:targets=convolution,feedforward=", "ia3+only") == 26560);
  CHECK(trained(base, "oft:targets=layer.0.convolution+layer.2.convolution+shortcut.convolution",
                "oft+only") == 290656);
}

TEST_CASE("a scheme without \"only\" holds all of the stages beside the blocks") {
  const Blueprint base = vit(768, 1);
  const auto find = [](const std::vector<Unit>& units, const std::string& name) {
    for (const Unit& unit : units)
      if (unit.name == name) return unit;
    return Unit();
  };
  const auto whole = peft::scheme_units(base, "attention", models::Buffers::kFrozen),
             only = peft::scheme_units(base, "attention+only", models::Buffers::kFrozen);
  CHECK(find(only, "embeddings").parameters ==
        std::vector<std::string>{"vit.embeddings.position_embeddings"});
  CHECK(find(whole, "embeddings").parameters.size() == 4);
  CHECK(find(only, "head").parameters ==
        std::vector<std::string>{"classifier.weight", "classifier.bias"});
  CHECK(find(whole, "head").parameters.size() == 4);
  CHECK(find(only, "attention.0").parameters == find(whole, "attention.0").parameters);
  CHECK(find(whole, "attention.0").parameters.size() == 8);
  CHECK_THROWS_WITH(peft::scheme_units(base, "only", models::Buffers::kFrozen),
                    Contains("\"only\" says of other kinds"));
  CHECK_THROWS_WITH(peft::scheme_units(base, "bias+only+only", models::Buffers::kFrozen),
                    Contains("named twice"));
  CHECK_THROWS_WITH(peft::scheme_units(base, "block+attention", models::Buffers::kFrozen),
                    Contains("\"block\" holds what \"attention\" would add"));
  CHECK_THROWS_WITH(
      peft::scheme_units(base, "ssf", models::Buffers::kFrozen),
      Contains("the model has no SSF's scales; `model.peft` or --peft ssf adds them"));
}

TEST_CASE("methods are refused where a model has no place for them") {
  const auto refused = [](const Blueprint& blueprint, const std::string& method) {
    return test::input_error(
        [&] { peft::with_methods(blueprint, {peft::parse_method(method, "here")}, "here"); });
  };
  const std::string vit_has = "here: a model of the type \"vit\" has no place for ";
  const std::string resnet_has = "here: a model of the type \"resnet\" has no place for ";
  const Blueprint transformer = test::narrow_shape("vit").blueprint();
  const Blueprint resnet = test::tiny_resnet(true, 1).blueprint();
  CHECK(refused(transformer, "tsa") == vit_has + "TSA's convolutions");
  CHECK(refused(resnet, "adaptformer") == resnet_has + "AdaptFormer's branches");
  CHECK(refused(resnet, "adapters:placement=houlsby") == resnet_has + "adapters");
  CHECK(refused(resnet, "prompts:length=2,depth=deep") == resnet_has + "prompts");
  CHECK(refused(resnet, "vera:targets=convolution") == resnet_has + "VeRA's vectors");
  // Those of 3 x 3 among them.
  CHECK_THAT(refused(resnet, "oft:targets=convolution"),
             Contains("here: unknown OFT target \"convolution\"") &&
                 Contains("\"layer.0.convolution\"") && Contains("\"layer.2.convolution\"") &&
                 Contains("\"shortcut.convolution\"") && !Contains("\"layer.1.convolution\""));
  CHECK_THAT(refused(transformer, "adaptformer:bottleneck=9"),
             Contains("adaptformer.bottleneck: found 9"));
  CHECK_THAT(refused(transformer, "loha:rank=9"), Contains("loha.rank: found 9"));
  CHECK_THAT(refused(transformer, "oft:block=3"),
             Contains("oft.block: found 3, but it must divide the 8"));
  CHECK_THAT(refused(transformer, "prompts:length=2,rank=3"), Contains("prompts.rank: found 3"));
  for (const std::string more : {"rank=1", "depth=deep", "initialization=vpt"})
    CHECK_THAT(refused(transformer, "prompts:length=2,hidden=4," + more),
               Contains("prompts.hidden is of shallow prompts without a rank"));
  CHECK_THAT(refused(transformer, "ia3:feedforward=fc1"),
             Contains("\"fc1\" is none of the targets"));
  CHECK_THAT(refused(transformer, "lora:rank=2,exclude=querry"),
             Contains("did you mean \"query\"?"));
  CHECK_THAT(refused(transformer, "lora:rank=2,layers=12"), Contains("no target is left"));
  CHECK_THAT(refused(transformer, "lora:rank=2,layers=one"), Contains("no list of whole numbers"));
}

TEST_CASE("SSF before a BatchNorm that normalises by the batch is refused with the reason") {
  Blueprint resnet = test::tiny_resnet(false, 1).blueprint();
  resnet = peft::with_methods(resnet, {peft::parse_method("ssf:before_batch_norm=true", "here")},
                              "here");
  CHECK_NOTHROW(peft::scheme_units(resnet, "ssf+norm", Buffers::kFrozen));
  CHECK_NOTHROW(peft::scheme_units(resnet, "ssf+only", Buffers::kAverage));
  CHECK_THROWS_WITH(peft::scheme_units(resnet, "ssf+norm", Buffers::kAverage),
                    Contains("ssf.before_batch_norm: ") && Contains("normalises by each batch") &&
                        Contains("units.buffers: frozen"));
  Blueprint behind = test::tiny_resnet(false, 1).blueprint();
  behind = peft::with_methods(behind, {peft::parse_method("ssf", "here")}, "here");
  CHECK_NOTHROW(peft::scheme_units(behind, "ssf+norm", Buffers::kAverage));
}
