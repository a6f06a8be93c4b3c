#include "models/generation.h"

#include "catch.h"
#include "strata/core/error.h"
#include "support/speaking.h"
#include "support/tiny_model.h"

using namespace strata;
using namespace strata::models;
using test::Recorded;
using torch::Tensor;

namespace {

/// As recorded: with the end, and padded behind it to the longest of the batch.
std::vector<std::int64_t> filled(const Generated& generated, const Json& options,
                                 std::size_t width) {
  std::vector<std::int64_t> tokens = generated.tokens;
  if (generated.ended) tokens.push_back(options.at("eos_token_id"));
  CHECK(tokens.size() <= width);
  tokens.resize(width, options.at("pad_token_id"));
  return tokens;
}

GenerationOptions options_of(const Json& json) {
  GenerationOptions options;
  options.most_tokens = json.at("max_new_tokens");
  options.beams = json.value("num_beams", 1);
  options.length_penalty = json.value("length_penalty", 1.0);
  options.ends = {json.at("eos_token_id")};
  return options;
}

/// What a model says of a text that it is given whole: Σ log p of the tokens behind the prompt.
double likelihood_of(const Model& model, const Batch& prompts, std::int64_t row,
                     const std::vector<std::int64_t>& tokens) {
  Batch batch = rows_of(prompts, row, 1);
  const std::int64_t before = batch.input_ids.size(1);
  const auto count = static_cast<std::int64_t>(tokens.size());
  if (const auto start = model.architecture().speech()->decoder_start) {
    std::vector<std::int64_t> read = {*start};
    read.insert(read.end(), tokens.begin(), tokens.end() - 1);
    batch.decoder_ids = torch::tensor(read).view({1, -1});
    batch.outputs = torch::Tensor();
  } else {
    batch.input_ids = torch::cat({batch.input_ids, torch::tensor(tokens).view({1, -1})}, 1);
    batch.attention_mask = torch::cat({batch.attention_mask, torch::ones({1, count})}, 1);
    batch.answers = torch::zeros({1, before + count}, torch::kBool);
    batch.answers.narrow(1, before, count).fill_(true);
    batch.outputs = torch::stack(
        {torch::zeros({count}, torch::kLong), torch::arange(before - 1, before + count - 1)}, 1);
  }
  const Tensor logits = model.run(batch).values.at(kTokenLogits);
  return -torch::cross_entropy_loss(logits, torch::tensor(tokens), {}, at::Reduction::Sum)
              .item<double>();
}

/// With pairs, adapters and prompts that matter.
void add_methods_to(Model& model, const std::string& targets) {
  peft::add_methods(
      model,
      peft::parse_methods(
          {"lora:rank=2,targets=" + targets, "adapters:reduction=4", "prompts:length=3"}, "--peft"),
      3);
  for (auto& [weight, tensor] : model.weights()) {
    if (weight.find("lora_B") != std::string::npos || weight.find("prompt") != std::string::npos)
      tensor.copy_(torch::sin(torch::arange(tensor.numel(), torch::kFloat)).view(tensor.sizes()));
  }
}

/// Prompts of ALBEF, whose encoder reads them padded on the right.
Batch albef_questions() {
  const Recorded given(test::kSpeaking / "albef" / "expected.safetensors");
  Batch batch;
  batch.input_ids = given("question.input_ids");
  batch.attention_mask = given("question.attention_mask").to(torch::kFloat);
  batch.pixels = given("pixels");
  return batch;
}

/// Tokens and scores of a recorded case, greedily, by beams, and by beams whatever their length.
void check_generated(const std::string& name, const std::string& which, const Batch& batch) {
  const Model model = test::load_speaking(name);
  const Recorded recorded = test::recorded_speaking(name);
  const Json cases = test::speaking_cases(name).at(which);
  for (const std::string how : {"greedy", "beams", "beams_flat"}) {
    const Json& options = cases.at(how);
    const std::string key = which + "." + how;
    const Tensor expected = recorded(key);
    const auto found = generate(model, batch, options_of(options));
    REQUIRE(static_cast<std::int64_t>(found.size()) == expected.size(0));
    for (std::size_t i = 0; i < found.size(); ++i) {
      CAPTURE(name, which, how, i);
      const auto row = static_cast<std::int64_t>(i);
      const Tensor own = expected[row].contiguous();
      const std::vector<std::int64_t> tokens(own.data_ptr<std::int64_t>(),
                                             own.data_ptr<std::int64_t>() + own.numel());
      CHECK(filled(found[i], options, tokens.size()) == tokens);
      if (how == "greedy") continue;
      const double length = static_cast<double>(found[i].tokens.size()) + (found[i].ended ? 1 : 0);
      const double penalty = options.at("length_penalty");
      const double score = recorded(key + "_scores")[row].item<double>();
      CHECK(found[i].log_likelihood / std::pow(length, penalty) == Approx(score).epsilon(1e-4));
    }
  }
}

}  // namespace

TEST_CASE("what is generated is what transformers generates, by the likeliest token and by beams") {
  for (const std::string name : {"llava", "llava_full", "llava_layers", "llava_mistral",
                                 "llava_llama3", "llava_qwen2", "llava_med", "paligemma", "smolvlm",
                                 "smolvlm_tiles", "blip2_opt", "blip2_opt_post", "blip2_t5"}) {
    const Recorded recorded = test::recorded_speaking(name);
    check_generated(name, "generation", test::batch_of(recorded, "generation", name));
  }
}

TEST_CASE("without the image's tokens BLIP-2 says what older transformers say") {
  for (const std::string name : {"blip2_opt", "blip2_opt_post", "blip2_t5"}) {
    const Recorded recorded = test::recorded_speaking(name);
    const std::string which = "generation_concatenated";
    check_generated(name, which, test::batch_of(recorded, which, name));
  }
}

TEST_CASE("ALBEF says what its reference says, by the likeliest token and by beams") {
  check_generated("albef", "generation", albef_questions());
}

TEST_CASE("kept keys and values change nothing, with prompts and pairs, too") {
  const std::map<std::string, std::string> targets = {
      {"llava", "q_proj+v_proj"},
      {"blip2_opt", "q_proj+v_proj"},
      {"blip2_t5", "SelfAttention.q+EncDecAttention.k+EncDecAttention.v"},
      {"albef", "query+crossattention.self.key"}};
  for (const auto& [name, pairs] : targets) {
    Model model = test::load_speaking(name);
    add_methods_to(model, pairs);
    const Batch batch = name == "albef"
                            ? albef_questions()
                            : test::batch_of(test::recorded_speaking(name), "generation", name);
    GenerationOptions options;
    options.most_tokens = 6;
    for (const std::int64_t beams : {1, 3}) {
      options.beams = beams;
      const auto found = generate(model, batch, options);
      for (std::size_t i = 0; i < found.size(); ++i) {
        CAPTURE(name, beams, i);
        CHECK(found[i].tokens.size() == 6);
        CHECK_FALSE(found[i].ended);
        CHECK(found[i].log_likelihood ==
              Approx(likelihood_of(model, batch, static_cast<std::int64_t>(i), found[i].tokens))
                  .epsilon(1e-4));
      }
    }
    // A token that would be said, as an end: nothing comes behind it.
    options.beams = 1;
    const auto whole = generate(model, batch, options);
    options.ends = {whole[0].tokens[2]};
    const auto cut = generate(model, batch, options);
    CHECK(cut[0].ended);
    CHECK(cut[0].tokens.size() <= 2);
  }
}

TEST_CASE("a text ends where the model has no place for more, whatever stands beside it") {
  const Model model = test::load_speaking("blip2_opt");
  const Batch batch =
      test::batch_of(test::recorded_speaking("blip2_opt"), "generation", "blip2_opt");
  const Tensor read = batch.attention_mask.sum(1);
  for (const std::int64_t beams : {1, 3}) {
    GenerationOptions options{.most_tokens = 1000, .beams = beams};
    const auto found = generate(model, batch, options);
    for (std::int64_t i = 0; i < batch.size(); ++i) {
      CAPTURE(beams, i);
      const Generated& text = found[static_cast<std::size_t>(i)];
      // 40 places, and the last token needs none.
      CHECK(static_cast<double>(text.tokens.size()) == 41 - read[i].item<double>());
      CHECK_FALSE(text.ended);
      CHECK(generate(model, rows_of(batch, i, 1), options).front().tokens == text.tokens);
    }
  }
}

TEST_CASE("answers side by side have the log-likelihoods that they have alone") {
  const std::map<std::string, std::string> targets = {{"llava", "q_proj+v_proj"},
                                                      {"llava_mistral", "q_proj"},
                                                      {"llava_qwen2", "q_proj"},
                                                      {"paligemma", "q_proj+v_proj"},
                                                      {"smolvlm", "q_proj"},
                                                      {"blip2_opt", "q_proj+v_proj"},
                                                      {"blip2_opt_post", "q_proj"},
                                                      {"blip2_t5", "SelfAttention.q"},
                                                      {"albef", "query"}};
  // The first is said alone, others begin alike, and samples have different ones.
  const std::vector<std::vector<Tokens>> answers = {
      {{5}, {6, 7, 8}, {6, 7, 9, 10}, {11, 4}}, {{6, 4}}, {{9, 9, 9}, {3}}};
  for (const auto& [name, pairs] : targets) {
    for (const bool with_methods : {false, true}) {
      Model model = test::load_speaking(name);
      if (with_methods) add_methods_to(model, pairs);
      const Batch batch = name == "albef"
                              ? albef_questions()
                              : test::batch_of(test::recorded_speaking(name), "generation", name);
      const Prompted prompted(model, batch);
      const auto found = prompted.log_likelihoods(answers);
      REQUIRE(found.size() == 3);
      for (std::size_t i = 0; i < 3; ++i) {
        REQUIRE(found[i].size() == answers[i].size());
        for (std::size_t k = 0; k < answers[i].size(); ++k) {
          CAPTURE(name, with_methods, i, k);
          CHECK(found[i][k] ==
                Approx(likelihood_of(model, batch, static_cast<std::int64_t>(i), answers[i][k]))
                    .epsilon(1e-4));
        }
      }
      // The prompts are still what they were.
      CHECK(prompted.log_likelihoods(answers) == found);
      GenerationOptions options;
      options.most_tokens = 3;
      CHECK(prompted.generate(options)[0].tokens == generate(model, batch, options)[0].tokens);
    }
  }
}

TEST_CASE("ALBEF's answers are ranked by what the reference says of them") {
  const Recorded given(test::kSpeaking / "albef" / "expected.safetensors");
  const Model model = test::load_speaking("albef");
  const Prompted prompted(model, albef_questions());
  const Tensor listed = given("list.input_ids"), chosen = given("first.chosen");
  const Tensor first =
      prompted.first_log_likelihoods().index_select(1, listed.select(1, 1)).gather(1, chosen);
  CHECK(test::difference(first, given("first.log")) < 1e-4);
  std::vector<std::vector<Tokens>> answers;
  for (std::int64_t i = 0; i < chosen.size(0); ++i) {
    auto& own = answers.emplace_back();
    for (std::int64_t k = 0; k < chosen.size(1); ++k) {
      Tokens& tokens = own.emplace_back();
      const Tensor ids = listed[chosen[i][k].item<std::int64_t>()];
      for (std::int64_t t = 1; t < ids.size(0); ++t)
        if (ids[t].item<std::int64_t>() != 0) tokens.push_back(ids[t].item<std::int64_t>());
    }
  }
  const auto found = prompted.log_likelihoods(answers);
  const Tensor expected = given("whole.log"), best = given("ranked_once").select(1, 0);
  for (std::int64_t i = 0; i < chosen.size(0); ++i) {
    for (std::int64_t k = 0; k < chosen.size(1); ++k) {
      CAPTURE(i, k);
      CHECK(found[static_cast<std::size_t>(i)][static_cast<std::size_t>(k)] ==
            Approx(expected[i][k].item<double>()).epsilon(1e-4));
    }
    const auto& own = found[static_cast<std::size_t>(i)];
    const auto likeliest = std::max_element(own.begin(), own.end()) - own.begin();
    CHECK(chosen[i][likeliest].equal(best[i]));
  }
}

TEST_CASE("a model with labels does not answer in words") {
  const Model model = test::make_model(test::small_shape(), 1);
  CHECK_THROWS_WITH(generate(model, model.blueprint().example(3), {}),
                    "a model of the type \"vilt\" does not answer in words");
}
