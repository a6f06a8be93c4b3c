#include "data/text/learnt_tokenizer.h"

#include <nlohmann/json.hpp>

#include "catch.h"
#include "data/text/tokenizer.h"

using namespace strata::data;
using Json = nlohmann::ordered_json;
using Strings = std::vector<std::string>;
using Ids = std::vector<std::int64_t>;

namespace {

/// tests/reference/learnt_tokenizer.py writes it.
Json recorded() {
  std::ifstream file(std::filesystem::path(STRATA_SOURCE_DIR) /
                     "tests/reference/tokenizers/learnt.json");
  return Json::parse(file);
}

Json model_of(const Strings& texts, std::int64_t size) {
  return Json::parse(learn_tokenizer(texts, size))["model"];
}

Strings tokens_of(const Json& model) {
  Strings tokens;
  for (const auto& [token, id] : model["vocab"].items()) {
    CHECK(id == tokens.size());
    tokens.push_back(token);
  }
  return tokens;
}

Tokenizer learnt(const Strings& texts, std::int64_t size) {
  return {learn_tokenizer(texts, size), "learnt.json"};
}

}  // namespace

TEST_CASE("tokens and merges are those of the BpeTrainer of Hugging Face's tokenizers") {
  const Json record = recorded();
  const auto texts = record["texts"].get<Strings>();
  REQUIRE(texts.size() > 100);
  for (const Json& wanted : record["learnt"]) {
    CAPTURE(wanted["size"].dump());
    const Json model = model_of(texts, wanted["size"]);
    CHECK(model["merges"].get<Strings>() == wanted["merges"].get<Strings>());
    CHECK(tokens_of(model) == wanted["tokens"].get<Strings>());
  }
}

TEST_CASE("every text comes back from its tokens, also one of words and characters never seen") {
  const Tokenizer tokenizer = learnt({"is it red? yes", "is it blue? no"}, 280);
  CHECK(tokenizer.size() <= 280);
  for (const std::string text : {"is it red? yes", " is it red?\nno", "IS IT VIOLET?",
                                 "心臓 🫀 Ärzte\t\x01", " ", ""}) {
    CAPTURE(text);
    const Ids ids = tokenizer.encode(text);
    REQUIRE_FALSE(ids.empty());
    CHECK(ids.front() == kLearntBegin);
    CHECK(tokenizer.decode(ids) == text);
  }
}

TEST_CASE("a word of the texts becomes one token where there is room for it") {
  const Tokenizer tokenizer = learnt({"is it red? yes", "is it blue? no"}, 1000);
  CHECK(tokenizer.size() < 1000);
  CHECK(tokenizer.encode(" blue", false).size() == 1);
  CHECK(tokenizer.encode("is it red? yes", false).size() == 5);
  CHECK(learnt({"is it red? yes"}, kLeastLearntTokens).encode("yes", false).size() == 3);
}

TEST_CASE("special tokens have their places, and are no texts to learn from") {
  const Tokenizer tokenizer = learnt({"<image>\nis it red?"}, 300);
  CHECK(tokenizer.id_of("<pad>") == kLearntPad);
  CHECK(tokenizer.id_of("<s>") == kLearntBegin);
  CHECK(tokenizer.id_of("</s>") == kLearntEnd);
  CHECK(tokenizer.encode("a<image><image>b", false) ==
        Ids{*tokenizer.id_of("a"), kLearntImage, kLearntImage, *tokenizer.id_of("b")});
  CHECK(tokenizer.decode({kLearntBegin, *tokenizer.id_of("a"), kLearntEnd, kLearntPad}) == "a");
  CHECK(learn_tokenizer({"red<image>blue</s>", "<s><pad>"}, 300) ==
        learn_tokenizer({"blue", "red"}, 300));
}

TEST_CASE("without a text there are the bytes") {
  CHECK(learnt({}, 500).size() == kLeastLearntTokens);
  CHECK(model_of({}, 500)["merges"].empty());
}
