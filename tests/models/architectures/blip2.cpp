#include "models/architectures/blip2.h"

#include <map>
#include <set>

#include "catch.h"
#include "models/architectures/t5.h"
#include "models/cost.h"
#include "models/device.h"
#include "models/dropout.h"
#include "models/units.h"
#include "support/captured_gradients.h"
#include "support/kept_bytes.h"
#include "support/speaking.h"

using namespace strata;
using namespace strata::models;
using Catch::Matchers::Contains;
using test::batch_of;
using test::difference;
using test::load_speaking;
using test::Recorded;
using test::recorded_speaking;
using test::speaking_config;
using test::targets_of;
using torch::Tensor;

namespace {

const std::vector<std::string> kModels = {"blip2_opt", "blip2_opt_post", "blip2_t5"};

std::string refused(const std::string& model, const std::string& section, const Json& change) {
  return test::refusal(speaking_config(model), section, change);
}

Json published(const std::string& name) {
  return load_json(test::kSpeaking / "counts.json").root.at("models").at(name);
}

std::map<std::string, std::int64_t> counts_of(const Blueprint& blueprint) {
  std::map<std::string, std::int64_t> counts;
  for (const Unit& unit : peft::scheme_units(blueprint, "block", 20, models::Buffers::kFrozen))
    counts[unit.name] = unit.parameter_count;
  return counts;
}

}  // namespace

TEST_CASE("BLIP-2's logits are transformers', with the image's tokens and without") {
  for (const std::string& name : kModels)
    test::check_logits(load_speaking(name), name, {"right", "left", "concatenated"});
}

TEST_CASE("BLIP-2's loss and its gradients are transformers'") {
  for (const std::string& name : kModels) {
    Model model = load_speaking(name);
    // In float32 T5's recorded gradients are off by more than 1e-4 themselves: see below.
    CHECK(test::check_loss_and_gradients(model, name, name == "blip2_t5" ? 1 : 1e-4) >= 10);
    for (const auto& [weight, tensor] : model.weights()) {
      CAPTURE(name, weight);
      CHECK(tensor.grad().defined());
    }
  }
}

TEST_CASE("in float32 T5's gradients are as near to those of double precision as transformers'") {
  Model model = load_speaking("blip2_t5");
  const Recorded recorded = recorded_speaking("blip2_t5");
  const Batch batch = batch_of(recorded, "right", "blip2_t5");
  for (auto& [weight, tensor] : model.weights()) tensor.set_requires_grad(true);
  test::loss_of(model, batch, targets_of(recorded, "right", "blip2_t5")).backward();
  const Recorded exact(test::kSpeaking / "blip2_t5" / "gradients.safetensors");
  int within = 0;
  for (const TensorEntry& entry : exact.tensors()) {
    const Tensor expected = exact(entry.name);
    const auto off = [&](const Tensor& gradient) {
      return ((gradient - expected).norm() / expected.norm()).item<double>();
    };
    const double ours = off(model.weight(entry.name.substr(sizeof("gradient.") - 1)).grad());
    CAPTURE(entry.name, ours);
    CHECK(ours < std::max(1e-4, off(recorded("right." + entry.name))));
    within += ours < 1e-4;
  }
  CHECK(within >= 40);
}

TEST_CASE("in double precision T5's gradients are transformers'") {
  Model model = load_speaking("blip2_t5");
  const Recorded recorded = recorded_speaking("blip2_t5");
  Batch batch = batch_of(recorded, "right", "blip2_t5");
  test::in_double(model, batch);
  for (auto& [weight, tensor] : model.weights()) tensor.set_requires_grad(true);
  test::loss_of(model, batch, targets_of(recorded, "right", "blip2_t5")).backward();
  const Recorded exact(test::kSpeaking / "blip2_t5" / "gradients.safetensors");
  CHECK(test::check_gradients(model, exact, "gradient.", 1e-6) == 42);
}

TEST_CASE("each case's loss is that which was recorded, also of some samples alone") {
  for (const std::string& name : kModels) {
    const Model model = load_speaking(name);
    const Recorded recorded = recorded_speaking(name);
    for (const std::string which : {"right", "left", "concatenated"}) {
      CAPTURE(name, which);
      const Batch batch = batch_of(recorded, which, name);
      const Tensor targets = targets_of(recorded, which, name);
      CHECK(test::loss_of(model, batch, targets).item<double>() ==
            Approx(recorded(which + ".loss").item<double>()).epsilon(1e-5));
      const Tensor asked = model.run(batch).values.at(kTokenLogits);
      const Batch part = rows_of(batch, 1, 2);
      const std::int64_t first = batch.outputs.select(1, 0).eq(0).sum().item<std::int64_t>();
      CHECK(difference(model.run(part).values.at(kTokenLogits),
                       asked.narrow(0, first, part.outputs.size(0))) < 1e-4);
    }
  }
}

TEST_CASE("BLIP-2 is written as it was read, also what transformers 5 wrote") {
  for (const std::string& name : kModels) test::check_saved_as_read(test::kSpeaking / name);
  test::check_saved_as_read(test::kSpeaking / "blip2_opt" / "5.24");
  for (const std::string& name : kModels) {
    for (const char* version : {"4.57", "5.24"}) {
      const test::TempDir dir;
      std::filesystem::copy(test::kSpeaking / name / version / "config.json",
                            dir.path() / "config.json");
      std::filesystem::copy(test::kSpeaking / name / "model.safetensors",
                            dir.path() / "model.safetensors");
      test::check_logits(peft::load_model(dir.path()), name, {"right"});
    }
  }
}

TEST_CASE("BLIP-2's captured operations give the gradients of autograd") {
  for (const std::string& name : kModels) {
    const bool t5 = name == "blip2_t5";
    Model model = load_speaking(name);
    peft::add_methods(
        model,
        peft::parse_methods({t5 ? "lora:rank=2,targets=SelfAttention.q+EncDecAttention.v+wo+fc1"
                                : "lora:rank=2,targets=q_proj+fc2+qkv",
                             "adapters:reduction=4", "prompts:length=2"},
                            "--peft"),
        3);
    const Recorded recorded = recorded_speaking(name);
    for (const std::string which : {"right", "concatenated"}) {
      CAPTURE(name, which);
      Model own = model.clone();
      test::check_captured_gradients(own, batch_of(recorded, which, name),
                                     targets_of(recorded, which, name));
    }
  }
}

TEST_CASE("units are the blocks of tower, Q-Former and language model") {
  const std::vector<Unit> opt =
      peft::scheme_units(load_speaking("blip2_opt").blueprint(), "block", models::Buffers::kFrozen);
  CHECK(names_of(opt) == std::vector<std::string>{"vision.embeddings", "vision.block.0",
                                                  "vision.block.1", "qformer.embeddings",
                                                  "qformer.block.0", "qformer.block.1",
                                                  "qformer.block.2", "connector", "embeddings",
                                                  "block.0", "block.1", "head"});
  std::vector<std::string> roles;
  for (const Unit& unit : opt) roles.push_back(role_name(unit.role));
  CHECK(roles == std::vector<std::string>{"vision", "vision", "vision", "connector", "connector",
                                          "connector", "connector", "connector", "embeddings",
                                          "body", "body", "output"});
  // Two stages compute with the words: only positions can be trained.
  CHECK(opt[8].parameters ==
        std::vector<std::string>{"language_model.model.decoder.embed_positions.weight"});

  const Blueprint blueprint = load_speaking("blip2_t5").blueprint();
  const std::vector<Unit> t5 = peft::scheme_units(blueprint, "block", models::Buffers::kFrozen);
  const std::vector<std::string> names = names_of(t5);
  CHECK(std::vector<std::string>(names.begin() + 8, names.end()) ==
        std::vector<std::string>{"embeddings", "encoder.block.0", "encoder.block.1",
                                 "decoder.block.0", "decoder.block.1", "head"});
  std::set<std::string> held, left;
  for (const Unit& unit : t5) held.insert(unit.parameters.begin(), unit.parameters.end());
  for (const Parameter& parameter : blueprint.parameters())
    if (!held.count(parameter.name)) left.insert(parameter.name);
  const std::string table = "block.0.layer.0.SelfAttention.relative_attention_bias.weight";
  CHECK(left == std::set<std::string>{"language_model.encoder." + table,
                                      "language_model.decoder." + table});
  // The gradient of words goes through all blocks, that of a block through those above it.
  const auto backward = [](const std::string& name, const std::vector<std::string>& trained) {
    return training_cost(load_speaking(name).blueprint(), 20, {trained.begin(), trained.end()})
        .backward_flops;
  };
  CHECK(backward("blip2_t5", {"language_model.shared.weight"}) >
        backward("blip2_t5", {t5[9].parameters.front()}));
  CHECK(backward("blip2_opt", opt[9].parameters) > 1.3 * backward("blip2_opt", opt[10].parameters));
}

TEST_CASE("what units of BLIP-2 keep is what autograd keeps") {
  if (!test::heap_is_known()) {
    WARN("this build's allocator does not tell what it holds");
    return;
  }
  for (const std::string& name : kModels) {
    Json config = speaking_config(name);
    config["vision_config"].update({{"hidden_size", 64}, {"intermediate_size", 160}});
    config["vision_config"]["image_size"] = 32;
    config["qformer_config"].update(
        {{"hidden_size", 60}, {"intermediate_size", 120}, {"cross_attention_frequency", 2}});
    config["num_query_tokens"] = 24;
    if (name == "blip2_t5") {
      config["text_config"].update({{"d_model", 64}, {"d_ff", 160}, {"d_kv", 24}});
    } else {
      config["text_config"].update(
          {{"hidden_size", 64}, {"word_embed_proj_dim", 64}, {"ffn_dim", 160}});
      config["text_config"]["max_position_embeddings"] = 100;
    }
    Model model(Blueprint(test::read_config(config)), 1);
    const Batch batch = test::repeated_example(model, 40, 8);
    for (const std::string scheme : {"block", "norm"}) {
      CAPTURE(name, scheme);
      model.set_units(peft::scheme_units(model.blueprint(), scheme, 40, models::Buffers::kFrozen));
      test::check_activation_bytes(model, batch);
    }
  }
}

TEST_CASE("published BLIP-2 models have their numbers of weights, in every block") {
  const std::map<std::string, std::int64_t> totals = {{"Salesforce/blip2-opt-2.7b", 3744761856},
                                                      {"Salesforce/blip2-opt-6.7b", 7752869376},
                                                      {"Salesforce/blip2-flan-t5-xl", 3942446592}};
  for (const auto& [name, total] : totals) {
    CAPTURE(name);
    const Json model = published(name);
    const Json& modules = model.at("modules");
    const Blueprint blueprint(test::read_config(model.at("config")));
    CHECK(blueprint.parameter_count() == total);
    CHECK(model.at("total").get<std::int64_t>() == total);
    const auto counts = counts_of(blueprint);
    CHECK(counts.at("vision.block.38") == modules.at("vision_model.encoder.layers.38"));
    CHECK(counts.at("qformer.block.10") == modules.at("qformer.encoder.layer.10"));
    CHECK(counts.at("qformer.block.11") == modules.at("qformer.encoder.layer.11"));
    CHECK(counts.at("connector") == modules.at("language_projection"));
    if (name == "Salesforce/blip2-flan-t5-xl") {
      CHECK(counts.at("encoder.block.22") == modules.at("language_model.encoder.block.22"));
      CHECK(counts.at("encoder.block.23") == 48238592 + 2048);  // with the encoder's last norm
      CHECK(counts.at("decoder.block.23") == modules.at("language_model.decoder.block.23"));
      CHECK(counts.at("head") == 65798144 + 2048);
    } else {
      CHECK(counts.at("block.31") == modules.at("language_model.model.decoder.layers.31"));
      CHECK(blueprint.architecture().text_tokens() == 2048 - 32);
    }
  }
  // As on the hub: nearly nothing is said.
  const Json bare = {{"model_type", "blip-2"}, {"text_config", {{"model_type", "opt"}}}};
  CHECK(Blueprint(test::read_config(bare)).example(8).input_ids.sizes() ==
        torch::IntArrayRef({1, 32 + 8}));
}

TEST_CASE("a head of BLIP-2 that the file lacks is the words' table") {
  for (const std::string name : {"blip2_opt", "blip2_t5"}) {
    CAPTURE(name);
    const test::TempDir dir;
    Json config = speaking_config(name);
    config["text_config"]["tie_word_embeddings"] = name == "blip2_opt" ? false : true;
    config["text_config"]["scale_decoder_outputs"] = false;
    dir.write("config.json", config.dump());
    const SafetensorsFile file(test::kSpeaking / name / "model.safetensors");
    std::vector<TensorView> views;
    for (const TensorEntry& entry : file.tensors()) {
      if (entry.name != "language_model.lm_head.weight")
        views.push_back({entry.name, entry.dtype, entry.shape, file.bytes(entry)});
    }
    write_safetensors(dir.path() / "model.safetensors", views);
    const Model tied = peft::load_model(dir.path());
    CHECK_FALSE(tied.blueprint().has("language_model.lm_head.weight"));
    const Recorded recorded = recorded_speaking(name);
    const Batch batch = batch_of(recorded, "right", name);
    Model own = load_speaking(name);
    if (name == "blip2_t5")
      own.weight("language_model.lm_head.weight").copy_(own.weight("language_model.shared.weight"));
    const Tensor expected = own.run(batch).values.at(kTokenLogits);
    CHECK(difference(tied.run(batch).values.at(kTokenLogits), expected) < 1e-5);
    if (name != "blip2_t5") continue;
    // Unless the file says no, T5 divides what a tied head reads by √16.
    config["text_config"].erase("scale_decoder_outputs");
    dir.write("config.json", config.dump());
    const Tensor scaled = peft::load_model(dir.path()).run(batch).values.at(kTokenLogits);
    CHECK(difference(4 * scaled, expected) < 1e-5);
  }
}

TEST_CASE("T5's words may stand in a file under the names of its stacks, too") {
  const test::TempDir dir;
  dir.write("config.json", speaking_config("blip2_t5").dump());
  const SafetensorsFile file(test::kSpeaking / "blip2_t5" / "model.safetensors");
  std::vector<TensorView> views;
  for (const TensorEntry& entry : file.tensors()) {
    views.push_back({entry.name, entry.dtype, entry.shape, file.bytes(entry)});
    if (entry.name != "language_model.shared.weight") continue;
    for (const char* stack : {"encoder", "decoder"})
      views.push_back({std::string("language_model.") + stack + ".embed_tokens.weight", entry.dtype,
                       entry.shape, file.bytes(entry)});
  }
  write_safetensors(dir.path() / "model.safetensors", views);
  CHECK(peft::load_model(dir.path()).fingerprint() == load_speaking("blip2_t5").fingerprint());
}

TEST_CASE("in mixed precision BLIP-2 computes nearly the same") {
  for (const std::string& name : kModels) {
    const Recorded recorded = recorded_speaking(name);
    for (const std::string which : {"right", "concatenated"}) {
      CAPTURE(name, which);
      const Model model = load_speaking(name);
      const Batch batch = batch_of(recorded, which, name);
      const Tensor exact = model.run(batch).values.at(kTokenLogits);
      const Autocast mixed(torch::kCPU, Precision::kBfloat16);
      const Tensor found = model.run(batch).values.at(kTokenLogits).to(torch::kFloat);
      CHECK(difference(found, exact) > 0);
      CHECK(((found - exact).norm() / exact.norm()).item<double>() < 0.1);
    }
  }
}

TEST_CASE("distances fall into T5's buckets") {
  const Tensor both = relative_buckets(200, 200, true, 32, 128);
  const auto at = [](const Tensor& buckets, int query, int key) {
    return buckets[query][key].item<int>();
  };
  CHECK(at(both, 5, 5) == 0);
  CHECK(at(both, 5, 3) == 2);
  CHECK(at(both, 3, 5) == 16 + 2);
  CHECK(at(both, 150, 143) == 7);
  CHECK(at(both, 150, 142) == 8);
  CHECK(at(both, 150, 139) == 8);
  CHECK(at(both, 150, 138) == 9);
  CHECK(at(both, 150, 22) == 15);
  CHECK(at(both, 0, 199) == 31);
  const Tensor before = relative_buckets(200, 200, false, 32, 128);
  CHECK(at(before, 3, 5) == 0);
  CHECK(at(before, 150, 135) == 15);
  CHECK(at(before, 150, 134) == 16);
  CHECK(at(before, 199, 0) == 31);
  // The queries are the last tokens.
  CHECK(relative_buckets(1, 200, false, 32, 128).equal(before.narrow(0, 199, 1)));
}

TEST_CASE("what is not computed of BLIP-2 is refused by its key") {
  CHECK_THAT(refused("blip2_opt", "text_config", {{"word_embed_proj_dim", 10}}),
             Contains("text_config.word_embed_proj_dim: found 10") && Contains("hidden_size = 16"));
  CHECK_THAT(refused("blip2_opt", "text_config", {{"model_type", "opz"}}),
             Contains("text_config.model_type") && Contains("did you mean \"opt\"?"));
  CHECK_THAT(refused("blip2_opt", "text_config", {{"layer_norm_elementwise_affine", false}}),
             Contains("layer_norm_elementwise_affine"));
  CHECK_THAT(refused("blip2_opt", "text_config", {{"num_attention_heads", 3}}),
             Contains("num_attention_heads"));
  CHECK_THAT(refused("blip2_opt", "vision_config", {{"model_type", "clip_vision_model"}}),
             Contains("vision_config.model_type") && Contains("blip_2_vision_model"));
  CHECK_THAT(refused("blip2_opt", "qformer_config", {{"position_embedding_type", "relative_key"}}),
             Contains("qformer_config.position_embedding_type"));
  CHECK_THAT(refused("blip2_opt", "qformer_config", {{"use_qformer_text_input", true}}),
             Contains("use_qformer_text_input"));
  CHECK_THAT(refused("blip2_opt", "", {{"image_token_index", 64}}), Contains("image_token_index"));
  CHECK_THAT(refused("blip2_opt", "", {{"num_query_tokens", 40}}),
             Contains("num_query_tokens: found 40, but the language model reads 40"));
  CHECK_THAT(refused("blip2_t5", "text_config", {{"feed_forward_proj", "relu"}}),
             Contains("feed_forward_proj: \"relu\" is not computed") && Contains("gated-gelu"));
  CHECK_THAT(refused("blip2_t5", "text_config", {{"relative_attention_max_distance", 4}}),
             Contains("relative_attention_max_distance: found 4") &&
                 Contains("relative_attention_num_buckets = 8"));

  const Model model = load_speaking("blip2_t5");
  const Recorded recorded = recorded_speaking("blip2_t5");
  Batch batch = batch_of(recorded, "right", "blip2_t5");
  batch.input_ids = batch.input_ids.clone();
  batch.input_ids[1].masked_fill_(batch.input_ids[1] == 62, 5);
  CHECK_THROWS_WITH(model.run(batch), "a prompt has 0 image tokens (id 62), but its image takes 4");
  batch.decoder_ids = Tensor();
  CHECK_THROWS_WITH(model.run(batch), Contains("decoder_ids"));
}

TEST_CASE("every place of BLIP-2's dropout draws once for each of its numbers") {
  for (const std::string name : {"blip2_opt", "blip2_t5"}) {
    CAPTURE(name);
    const bool t5 = name == "blip2_t5";
    const Model model = load_speaking(name);  // of a file that leaves out its rates: 0.1
    const Batch batch = batch_of(recorded_speaking(name), "right", name);
    const std::int64_t n = batch.size(), text = batch.input_ids.size(1), queries = 4, image = 17;
    auto drawn = make_generator(torch::kCPU, 1), expected = make_generator(torch::kCPU, 1);
    model.run(batch, drawn);
    const auto place = [&](std::int64_t numbers) {
      dropout(torch::ones({numbers}), 0.3, expected);
    };
    // Attention's weights, and what it adds.
    const auto attends = [&](std::int64_t heads, std::int64_t from, std::int64_t to,
                             std::int64_t width) {
      place(n * heads * from * to);
      place(n * from * width);
    };
    place(n * queries * 12);
    for (const bool crosses : {true, false, true}) {
      attends(3, queries, queries, 12);
      if (crosses) attends(3, queries, image, 12);
      place(n * queries * 12);
    }
    if (!t5) {
      for (int block = 0; block < 2; ++block) {
        place(n * text * 16);  // OPT drops no weights of attention
        place(n * text * 16);
      }
    } else {
      const std::int64_t answer = batch.decoder_ids.size(1);
      const auto feeds = [&](std::int64_t tokens) {
        place(n * tokens * 28);
        place(n * tokens * 16);
      };
      place(n * text * 16);
      place(n * answer * 16);
      for (int block = 0; block < 2; ++block) {
        attends(2, text, text, 16);
        feeds(text);
      }
      place(n * text * 16);
      for (int block = 0; block < 2; ++block) {
        attends(2, answer, answer, 16);
        attends(2, answer, text, 16);
        feeds(answer);
      }
      place(batch.outputs.size(0) * 16);
    }
    CHECK(torch::equal(drawn.get_state(), expected.get_state()));
    place(1);
    CHECK_FALSE(torch::equal(drawn.get_state(), expected.get_state()));
  }
}
