#include "tasks/prompts.h"

#include <algorithm>
#include <set>

#include "catch.h"
#include "models/architectures/architectures.h"
#include "strata/core/error.h"
#include "support/speaking_model.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::tasks;
using Catch::Matchers::Contains;

namespace {

std::shared_ptr<const data::Tokenizer> characters() {
  const test::TempDir dir;
  return std::make_shared<const data::Tokenizer>(
      dir.write("tokenizer.json", test::character_tokenizer()));
}

models::Speech speech() {
  return {.image_token = 60,
          .image_tokens = 3,
          .end_token = 2,
          .prompt = "USER: <image>\n{question} ASSISTANT:"};
}

/// Of an ASCII character each; <image> is 200.
std::shared_ptr<const data::Tokenizer> ascii_characters() {
  Json root = Json::parse(test::character_tokenizer(200));
  Json& words = root["model"]["vocab"];
  int id = 0;
  const auto spare = [&] { return "<unused" + std::to_string(id) + ">"; };
  for (char c = ' '; c <= '~'; ++c) {
    if (words.contains(std::string(1, c))) continue;
    while (!words.contains(spare())) ++id;
    words.erase(spare());
    words[std::string(1, c)] = id;
  }
  const test::TempDir dir;
  return std::make_shared<const data::Tokenizer>(dir.write("tokenizer.json", root.dump()));
}

/// How a model of a config.json is asked.
struct Asked {
  Json config;
  std::string prompt;  ///< the default of `prompt`
  std::string text;    ///< what the model reads of "Is it RED?"; one token stands for its image
};

Json recorded_config(const std::string& name, const std::string& file = "config.json") {
  return load_json(test::recorded_model(name) / file).root;
}

/// LLaVA's authors' own, with a published tower.
Json original_config(const std::string& type) {
  Json config = recorded_config("llava_med");
  config["model_type"] = type;
  config["mm_vision_tower"] = "openai/clip-vit-large-patch14-336";
  return config;
}

std::vector<Asked> all_that_speak() {
  const std::string vicuna =
      "A chat between a curious user and an artificial intelligence assistant. The assistant gives "
      "helpful, detailed, and polite answers to the user's questions. ";
  const std::string user = "USER: <image>\n{question} ASSISTANT:";
  const std::string red = "USER: <image>\nIs it RED? ASSISTANT:";
  const std::string mark = "<fake_token_around_image>", ends = "<end_of_utterance>\nAssistant:";
  const std::string tile = "User:" + mark + "<global-img><image>" + mark;
  const std::string short_answer = "<image>Question: {question} Short answer:";
  const std::string short_red = "<image><s>Question: Is it RED? Short answer:";
  return {{recorded_config("llava"), user, "<s>" + red},
          {recorded_config("llava_mistral"), user, "<s>" + red},
          {recorded_config("llava_qwen2"),
           "<|im_start|>user <image>\n{question}<|im_end|><|im_start|>assistant\n",
           "<s><|im_start|>user <image>\nIs it RED?<|im_end|><|im_start|>assistant\n"},
          {original_config("llava_llama"), vicuna + user, "<s>" + vicuna + red},
          {original_config("llava_mistral"), "[INST] <image>\n{question} [/INST]",
           "<s>[INST] <image>\nIs it RED? [/INST]"},
          {recorded_config("paligemma"), "<image><bos>answer en {question}\n",
           "<image><bos>answer en Is it RED?\n"},
          {recorded_config("albef"), "[CLS]{question}", "[CLS]is it red"},
          {recorded_config("smolvlm", "idefics3.json"), tile + "{question}" + ends,
           "<s>" + tile + "Is it RED?" + ends},
          {recorded_config("smolvlm"), "<|im_start|>" + tile + "{question}" + ends,
           "<s><|im_start|>" + tile + "Is it RED?" + ends},
          {recorded_config("blip2_opt"), short_answer, short_red},
          {recorded_config("blip2_t5"), short_answer, short_red}};
}

}  // namespace

TEST_CASE("a prompt has the image's tokens in its place, and the answer follows it") {
  const auto tokenizer = characters();
  const PromptWriter writer(speech(), tokenizer);
  const std::vector<std::int64_t> prompt = writer.prompt("is it red?");
  CHECK(prompt.front() == 1);
  CHECK(std::count(prompt.begin(), prompt.end(), 60) == 3);
  CHECK(writer.text(prompt) == "USER: \nis it red? ASSISTANT:");
  const Written written = writer.with_answer("is it red?", "no");
  CHECK(std::vector<std::int64_t>(
            written.ids.begin(),
            written.ids.begin() + static_cast<std::ptrdiff_t>(written.answer)) == prompt);
  const std::vector<std::int64_t> answer(
      written.ids.begin() + static_cast<std::ptrdiff_t>(written.answer), written.ids.end());
  CHECK(answer == std::vector<std::int64_t>{*tokenizer->id_of(" "), *tokenizer->id_of("n"),
                                            *tokenizer->id_of("o"), 2});
  CHECK(writer.text(answer) == "no");
  // A prompt that ends with white space needs no space more.
  const PromptWriter other(speech(), tokenizer, "<image>{question}\n");
  CHECK(other.with_answer("so?", "no").ids.size() == other.prompt("so?").size() + 3);
}

TEST_CASE("an image in tiles has its marks and tokens for each, and the whole") {
  const auto tokenizer = characters();
  models::Speech tiled = speech();
  tiled.image_text = [](const data::TileGrid& tiles) {
    std::string text;
    for (int i = 0; i < tiles.rows * tiles.columns; ++i) text += "t<image>";
    return text + "w<image>.";
  };
  tiled.prompt = "U: w<image>.{question} A:";
  const std::string image = "<image><image><image>";
  const auto ids = [&](const std::string& text) { return tokenizer->encode(text, true); };
  const PromptWriter writer(tiled, tokenizer);
  // Whether the prompt spells out the marks of one image, or leaves them to the model.
  const PromptWriter bare(tiled, tokenizer, "U: <image>{question} A:");
  for (const PromptWriter* each : {&writer, &bare}) {
    CHECK(each->prompt("so?", data::TileGrid{1, 2}) ==
          ids("U: t" + image + "t" + image + "w" + image + ".so? A:"));
    CHECK(each->prompt("so?", data::TileGrid{}) == ids("U: w" + image + ".so? A:"));
  }
  // Of a model whose images are not cut it is as the prompt has it.
  CHECK(writer.prompt("so?") == ids("U: w" + image + ".so? A:"));
  CHECK(bare.prompt("so?") == ids("U: " + image + "so? A:"));
  const Written written = writer.with_answer("so?", "no", data::TileGrid{1, 1});
  CHECK(written.prompt == writer.prompt("so?", data::TileGrid{1, 1}));
  CHECK(written.ids.size() == written.prompt.size() + 4);
  // Words that are too many go, the tiles stay.
  const std::size_t most = writer.prompt("so", data::TileGrid{1, 1}).size();
  CHECK(writer.prompt("so what", most, data::TileGrid{1, 1}) ==
        writer.prompt("so", data::TileGrid{1, 1}));
  // A tokenizer that does not know images.
  tiled.image_token = -200;
  const PromptWriter other(tiled, tokenizer);
  const auto found = other.prompt("so?", data::TileGrid{1, 1});
  CHECK(std::count(found.begin(), found.end(), -200) == 6);
  CHECK(other.text(found) == "U: tw.so? A:");
}

TEST_CASE("an image that the tokenizer does not know stands between texts of their own") {
  models::Speech original = speech();
  original.image_token = -200;
  const PromptWriter writer(original, characters());
  const std::vector<std::int64_t> prompt = writer.prompt("so?");
  CHECK(std::count(prompt.begin(), prompt.end(), -200) == 3);
  CHECK(std::count(prompt.begin(), prompt.end(), 1) == 1);  // one beginning
  CHECK(std::count(prompt.begin(), prompt.end(), 60) == 0);
}

TEST_CASE(
    "prompts without a place for question or image, and questions with an image, are refused") {
  const auto tokenizer = characters();
  CHECK_THROWS_WITH(PromptWriter(speech(), tokenizer, "<image> what?"),
                    "prompt: {question} must be in it once, found 0 times");
  CHECK_THROWS_WITH(PromptWriter(speech(), tokenizer, "<image><image>{question}"),
                    Contains("<image>") && Contains("found 2 times"));
  CHECK_THROWS_WITH(PromptWriter(speech(), tokenizer).prompt("what is <image>?"),
                    Contains("\"what is <image>?\""));
}

TEST_CASE("an image may stand before all of a text") {
  models::Speech first = speech();
  first.image_first = true;
  const auto tokenizer = characters();
  const PromptWriter writer(first, tokenizer, "<image>so? {question}");
  const std::vector<std::int64_t> prompt = writer.prompt("a");
  CHECK(std::vector<std::int64_t>(prompt.begin(), prompt.begin() + 4) ==
        std::vector<std::int64_t>{60, 60, 60, 1});
  CHECK(writer.text(prompt) == "so? a");
}

TEST_CASE("a decoder's answers stand apart from the question, whose image may be beside it") {
  models::Speech apart = speech();
  apart.prompt = "{question}";
  apart.image_tokens = 0;
  apart.special_tokens = false;
  apart.decoder_start = 1;
  const auto tokenizer = characters();
  const PromptWriter writer(apart, tokenizer);
  const Written written = writer.with_answer("so?", "no");
  CHECK(written.prompt == tokenizer->encode("so?", false));
  CHECK(written.ids ==
        std::vector<std::int64_t>{*tokenizer->id_of("n"), *tokenizer->id_of("o"), 2});
  CHECK(written.answer == 0);
  CHECK(writer.answer("no") == written.ids);
  CHECK_THROWS_WITH(PromptWriter(apart, tokenizer, "<image>{question}"),
                    Contains("<image> must not be in it") && Contains("found 1 times"));
}

TEST_CASE("an answer's tokens are those behind any prompt, with the end") {
  const auto tokenizer = characters();
  const PromptWriter writer(speech(), tokenizer);
  const Written written = writer.with_answer("is it red?", "dark blue");
  CHECK(writer.answer("dark blue") ==
        std::vector<std::int64_t>(written.ids.begin() + static_cast<std::ptrdiff_t>(written.answer),
                                  written.ids.end()));
}

TEST_CASE("questions are asked as ALBEF's program asks them") {
  CHECK(plain_question("Is the left-lung/heart (R), \"normal\"?  ") ==
        "is the left lung heart r normal");
  CHECK(plain_question("?!") == "");
  std::string long_one, kept;
  for (int i = 0; i < 60; ++i) {
    long_one += (i > 0 ? " " : "") + std::to_string(i);
    if (i < 50) kept += (i > 0 ? " " : "") + std::to_string(i);
  }
  CHECK(plain_question(long_one) == kept);
  models::Speech plain = speech();
  plain.plain_questions = true;
  const PromptWriter writer(plain, characters());
  CHECK(writer.text(writer.prompt("Is it RED?")) == "USER: \nis it red ASSISTANT:");
}

TEST_CASE("every model_type that speaks is asked as its makers ask it, word by word") {
  const auto tokenizer = ascii_characters();
  std::set<std::string> types = {"clip",   "clip_vision_model", "resnet", "sam", "vilt", "vit",
                                 "vit_mae"};  // silent ones
  for (const Asked& asked : all_that_speak()) {
    const auto type = asked.config.at("model_type").get<std::string>();
    CAPTURE(type);
    types.insert(type);
    const test::TempDir dir;
    auto speech =
        models::read_architecture(dir.write("config.json", asked.config.dump()))->speech();
    REQUIRE(speech);
    CHECK(speech->prompt == asked.prompt);
    speech->image_token = 200;
    speech->image_tokens = std::min<std::int64_t>(1, speech->image_tokens);
    const auto ids = PromptWriter(*speech, tokenizer).prompt("Is it RED?");
    CHECK(tokenizer->decode(ids, /*skip_special_tokens=*/false) == asked.text);
  }
  const auto names = models::architecture_names();
  CHECK(types == std::set<std::string>(names.begin(), names.end()));
}
