#include "models/tokenizer_files.h"

#include "catch.h"
#include "core/document.h"
#include "strata/core/error.h"
#include "support/tiny_model.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::data;
using namespace strata::models;
using Catch::Matchers::Contains;
using Ids = std::vector<std::int64_t>;

namespace {

const Json& recorded() {
  static const Json record =
      load_json(std::filesystem::path(STRATA_SOURCE_DIR) / "tests/reference/tokenizer_json.json")
          .root;
  return record;
}

/// The folder that transformers 5 saved the tokenizer of a case in.
void write_case(const test::TempDir& dir, std::size_t number) {
  for (const auto& [name, content] : recorded()["cases"][number]["files"].items()) {
    dir.write(name, content.dump());
  }
}

void check_ids(const WordPiece& tokenizer, const Json& of_case) {
  const Json& texts = recorded()["texts"];
  REQUIRE(of_case["ids"].size() == texts.size());
  for (std::size_t i = 0; i < texts.size(); ++i) {
    INFO("text " << i << ": " << texts[i]);
    CHECK(tokenizer.encode(texts[i], 512) == of_case["ids"][i].get<Ids>());
  }
}

test::ModelShape tiny_config() {
  test::ModelShape config;
  config.vocab_size = 1000;
  config.labels = {"yes", "no"};
  return config;
}

/// The first case with a change in tokenizer.json, and the message that it brings.
void refused(const std::string& pointer, const Json& value, const std::string& message,
             const char* file = "tokenizer.json") {
  INFO(pointer << " = " << value);
  test::TempDir dir;
  write_case(dir, 0);
  Json json = load_json(dir / file).root;
  json[Json::json_pointer(pointer)] = value;
  dir.write(file, json.dump());
  CHECK_THROWS_WITH(load_tokenizer(dir.path()), Contains(file) && Contains(message));
  CHECK_THROWS_AS(load_tokenizer(dir.path()), InputError);
}

}  // namespace

TEST_CASE("a tokenizer.json without vocab.txt gives the ids of transformers 5") {
  CHECK(recorded()["transformers"] == "5.24.0");
  REQUIRE(recorded()["cases"].size() == 5);
  for (std::size_t number = 0; number < 5; ++number) {
    const Json& of_case = recorded()["cases"][number];
    INFO(of_case["options"]);
    test::TempDir dir;
    write_case(dir, number);
    const WordPiece tokenizer = load_tokenizer(dir.path());
    check_ids(tokenizer, of_case);

    // Saved and read again; whoever has only cleaned texts gets the vocabulary as lines.
    test::TempDir saved;
    save_tokenizer(tokenizer, *tiny_config().architecture(), saved.path());
    CHECK(std::filesystem::exists(saved / "vocab.txt") == (number < 4));
    CHECK(std::filesystem::exists(saved / "tokenizer.json") == (number == 4));
    const WordPiece back = load_tokenizer(saved.path());
    CHECK(back.vocabulary() == tokenizer.vocabulary());
    check_ids(back, of_case);
  }
}

TEST_CASE("a tokenizer.json and a vocab.txt of one vocabulary are one tokenizer") {
  test::TempDir dir;
  write_case(dir, 1);
  const WordPiece tokenizer = load_tokenizer(dir.path());
  std::string lines;
  for (const std::string& token : tokenizer.vocabulary()) lines += token + "\n";
  dir.write("vocab.txt", lines);
  dir.write("tokenizer.json", "not read where there is a vocab.txt");
  CHECK(load_tokenizer(dir.path()).vocabulary() == tokenizer.vocabulary());
  check_ids(load_tokenizer(dir.path()), recorded()["cases"][1]);
}

TEST_CASE(
    "what tokenizer_config.json says comes before tokenizer.json, and a silent difference is an "
    "error") {
  // transformers makes BERT's normaliser of tokenizer_config.json, whatever tokenizer.json has.
  test::TempDir dir;
  write_case(dir, 0);
  Json json = load_json(dir / "tokenizer.json").root;
  json["normalizer"]["lowercase"] = false;
  dir.write("tokenizer.json", json.dump());
  check_ids(load_tokenizer(dir.path()), recorded()["cases"][0]);
  dir.write("tokenizer_config.json", R"({"tokenizer_class": "BertTokenizer"})");
  CHECK_THROWS_WITH(load_tokenizer(dir.path()),
                    Contains("tokenizer.json: normalizer.lowercase: differs from BERT's") &&
                        Contains("\"do_lower_case\"; give it there"));
  dir.write("tokenizer_config.json", R"({"tokenizer_class": "PreTrainedTokenizerFast"})");
  check_ids(load_tokenizer(dir.path()), recorded()["cases"][1]);
  std::filesystem::remove(dir / "tokenizer_config.json");
  check_ids(load_tokenizer(dir.path()), recorded()["cases"][1]);
}

TEST_CASE("what is not BERT's tokenizer is refused by name") {
  refused("/model/type", "BPE", "model.type: \"BPE\" is not one of");
  refused("/model/vocab", Json::array({"a"}), "model.vocab: must map tokens to their ids");
  refused("/model/vocab/a", 7777, "model.vocab: the token \"a\" has the id 7777");
  refused("/model/vocab/a", 3, "has the id 3, but the ids must be 0 to");
  refused("/model/vocab/a", 3.5, "the token \"a\" has the id 3.5");
  refused("/model/vocab/a", -1, "the token \"a\" has the id -1");
  refused("/model/unk_token", "<unk>", "the vocabulary lacks the special token <unk>");
  refused("/model/max_input_chars_per_word", 0,
          "model.max_input_chars_per_word: a whole number from 1");
  refused("/normalizer/type", "NFC", "normalizer.type: \"NFC\" is not one of");
  refused("/normalizer", nullptr, "normalizer");
  refused("/pre_tokenizer/type", "Whitespace", "pre_tokenizer.type: \"Whitespace\" is not");
  refused("/post_processor/type", "ByteLevel", "post_processor.type: \"ByteLevel\" is not one");
  refused("/post_processor/single", Json::array(), "post_processor.single: must be a special");
  refused("/post_processor/single/1", Json::object(), "post_processor.single: must be a special");
  refused("/added_tokens/0/special", false, "added_tokens: found \"[PAD]\", but only special");
  refused("/added_tokens/0/content", "<image>", "added_tokens: found \"<image>\"");
  refused("/pad_token", 3, "pad_token: found 3, but a token's text is needed",
          "tokenizer_config.json");

  test::TempDir dir;
  CHECK_THROWS_WITH(load_tokenizer(dir.path()), Contains("neither vocab.txt nor tokenizer.json"));
  write_case(dir, 0);
  test::ModelShape config = tiny_config();
  config.vocab_size = 5;
  dir.write("config.json", config.config_json());
  CHECK_THROWS_WITH(load_tokenizer(dir.path()),
                    Contains("tokenizer.json: ") && Contains("tokens, but the model has 5"));
}

TEST_CASE("older and other forms of tokenizer.json are read") {
  test::TempDir dir;
  write_case(dir, 0);
  Json json = load_json(dir / "tokenizer.json").root;
  json["model"].erase("type");
  json["post_processor"] = {
      {"type", "BertProcessing"}, {"sep", {"[SEP]", 3}}, {"cls", {"[CLS]", 2}}};
  dir.write("tokenizer.json", json.dump());
  dir.write("tokenizer_config.json",
            R"({"do_lower_case": true, "pad_token": {"content": "[MASK]", "lstrip": false}})");
  const WordPiece tokenizer = load_tokenizer(dir.path());
  check_ids(tokenizer, recorded()["cases"][0]);
  CHECK(tokenizer.pad_id() == 4);
}
