#include "data/text/tokenizer.h"

#include <zlib.h>

#include <nlohmann/json.hpp>

#include "linear_time.h"
#include "strata/core/sha256.h"
#include "support/error_text.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::data;
using namespace strata::test;
using Json = nlohmann::json;
using Ids = std::vector<std::int64_t>;

namespace {

/// tests/reference/tokenizer_layouts.py writes these.
Json recorded(const std::string& name) {
  const auto path = std::filesystem::path(STRATA_SOURCE_DIR) / "tests/reference/tokenizers" / name;
  std::string text;
  gzFile file = gzopen(path.c_str(), "rb");
  REQUIRE(file);
  char block[1 << 16];
  for (int read = 0; (read = gzread(file, block, sizeof block)) > 0;)
    text.append(block, static_cast<std::size_t>(read));
  gzclose(file);
  return Json::parse(text);
}

std::filesystem::path write_json(const TempDir& folder, const Json& json) {
  return folder.write("tokenizer.json", json.dump());
}

void append_utf8(std::string& text, char32_t c) {
  const auto tail = [&](int shift) { return static_cast<char>(0x80 | (c >> shift & 0x3F)); };
  if (c < 0x80) {
    text += static_cast<char>(c);
  } else if (c < 0x800) {
    text += {static_cast<char>(0xC0 | c >> 6), tail(0)};
  } else if (c < 0x10000) {
    text += {static_cast<char>(0xE0 | c >> 12), tail(6), tail(0)};
  } else {
    text += {static_cast<char>(0xF0 | c >> 18), tail(12), tail(6), tail(0)};
  }
}

/// What a record says a text decodes to: the text itself where nothing is said.
std::string decoded_text(const Json& differing, std::size_t text, const std::string& itself) {
  const auto found = differing.find(std::to_string(text));
  return found == differing.end() ? itself : found->get<std::string>();
}

/// The ids and decoded texts of a record are the tokenizer's, each of them.
void check_record(const Json& record, const std::vector<std::string>& texts) {
  const TempDir folder;
  const Tokenizer tokenizer(write_json(folder, record["tokenizer"]));
  REQUIRE(record["ids"].size() == texts.size());
  std::size_t different = 0;
  for (std::size_t i = 0; i < texts.size() && different < 5; ++i) {
    const auto ids = record["ids"][i].get<Ids>();
    const auto found = tokenizer.encode(texts[i]);
    const auto whole = decoded_text(record["decoded"], i, texts[i]);
    const auto plain = decoded_text(record["without_special"], i, texts[i]);
    const bool equal = found == ids && tokenizer.decode(ids, false) == whole &&
                       tokenizer.decode(ids, true) == plain;
    if (equal) continue;
    ++different;
    INFO("text " << i << ": " << Json(texts[i]).dump());
    CHECK(found == ids);
    CHECK(Json(tokenizer.decode(ids, false)).dump() == Json(whole).dump());
    CHECK(Json(tokenizer.decode(ids, true)).dump() == Json(plain).dump());
  }
  CHECK(different == 0);
}

}  // namespace

TEST_CASE("ids and texts of ten layouts are those of Hugging Face's tokenizers") {
  const auto texts = recorded("texts.json.gz").get<std::vector<std::string>>();
  REQUIRE(texts.size() >= 3000);
  for (const char* layout : {"bert", "opt", "llama_legacy", "llama", "t5", "t5_strip", "gemma",
                             "qwen2", "llama3", "smollm2"}) {
    INFO(layout);
    check_record(recorded(std::string(layout) + ".json.gz"), texts);
  }
}

TEST_CASE("each part alone does what it does in Hugging Face's tokenizers") {
  const auto record = recorded("parts.json.gz");
  const auto texts = record["texts"].get<std::vector<std::string>>();
  for (const Json& part : record["cases"]) {
    INFO("case: normalizer " << part["tokenizer"]["normalizer"] << ", pre_tokenizer "
                             << part["tokenizer"]["pre_tokenizer"] << ", decoder "
                             << part["tokenizer"]["decoder"]);
    check_record(part, texts);
  }
}

TEST_CASE("every character of Unicode 14 is what it is to Hugging Face's tokenizers") {
  const auto record = recorded("unicode.json.gz");
  std::vector<char32_t> points;
  for (const Json& range : record["ranges"])
    for (char32_t point = range[0]; point < range[1].get<char32_t>(); ++point)
      points.push_back(point);
  REQUIRE(points.size() > 140000);
  constexpr std::size_t kChunk = 1000, kText = 10;
  for (const Json& part : record["cases"]) {
    INFO(part["parts"].dump());
    const TempDir folder;
    const Tokenizer tokenizer(write_json(folder, part["tokenizer"]));
    for (std::size_t chunk = 0; chunk < part["digests"].size(); ++chunk) {
      std::string ids;
      const std::size_t end = std::min(points.size(), (chunk + 1) * kChunk);
      for (std::size_t begin = chunk * kChunk; begin < end; begin += kText) {
        std::string text;
        for (std::size_t i = begin; i < std::min(end, begin + kText); ++i) {
          text += 'a';
          append_utf8(text, points[i]);
        }
        for (const std::int64_t id : tokenizer.encode(text))
          ids += (ids.empty() ? "" : " ") + std::to_string(id);
      }
      INFO("characters from " << static_cast<std::uint32_t>(points[chunk * kChunk]));
      CHECK(sha256_hex(ids).substr(0, 16) == part["digests"][chunk].get<std::string>());
    }
  }
}

namespace {

/// A small file that is sound, with what a test changes in it.
Json small_bpe() {
  return Json::parse(R"({
    "version": "1.0", "truncation": {"max_length": 2}, "padding": null, "added_tokens": [],
    "normalizer": null, "pre_tokenizer": null, "post_processor": null, "decoder": null,
    "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": [["a", "b"]]}})");
}

Json small_wordpiece() {
  Json json = small_bpe();
  json["model"] = Json::parse(R"({"type": "WordPiece", "vocab": {"[UNK]": 0, "a": 1, "##b": 2}})");
  return json;
}

Json small_unigram() {
  Json json = small_bpe();
  json["model"] =
      Json::parse(R"({"type": "Unigram", "unk_id": 0, "vocab": [["<unk>", 0], ["a", -1.5]]})");
  return json;
}

Json added(const std::string& content, const Json& id) {
  return {{"content", content}, {"id", id}, {"special", true}, {"normalized", false}};
}

Tokenizer tokenizer_of(const Json& json) {
  const TempDir folder;
  return Tokenizer(write_json(folder, json));
}

/// The message, without the folder before the file's name.
std::string refusal(const std::string& text) {
  const TempDir folder;
  const auto file = folder.write("tokenizer.json", text);
  const std::string message = input_error([&] { Tokenizer tokenizer(file); });
  CHECK(message.rfind(file.string(), 0) == 0);
  return message.substr(std::min(message.size(), file.string().size()));
}

/// … with `value` at a place of the file.
std::string refusal(Json json, const std::string& place, const Json& value) {
  json[Json::json_pointer(place)] = value;
  return refusal(json.dump());
}

}  // namespace

TEST_CASE("a tokenizer knows its tokens, and reads a file's truncation without applying it") {
  Json json = small_bpe();
  json["model"]["vocab"]["hole"] = 7;
  json["added_tokens"] = {added("ab", 2), added("<x>", 4)};
  json["added_tokens"][1]["lstrip"] = true;
  const Tokenizer tokenizer = tokenizer_of(json);
  CHECK(tokenizer.size() == 8);
  CHECK(tokenizer.id_of("ab") == 2);
  CHECK(tokenizer.id_of("<x>") == 4);
  CHECK(!tokenizer.id_of("c"));
  CHECK(tokenizer.token(4) == "<x>");
  CHECK(tokenizer.token(7) == "hole");
  CHECK(contains(input_error([&] { tokenizer.token(5); }), "no token has the id 5"));
  CHECK(contains(input_error([&] { tokenizer.token(-1); }), "no token has the id -1"));
  REQUIRE(tokenizer.added_tokens().size() == 2);
  CHECK(tokenizer.added_tokens()[1].lstrip);
  CHECK(!tokenizer.added_tokens()[0].lstrip);
  CHECK(tokenizer.encode("aaba  <x>b") == Ids{0, 2, 0, 4, 1});
  // Ids of no token are left out.
  CHECK(tokenizer.decode({0, 99, -5, 3, 4}, false) == "a <x>");
  CHECK(tokenizer.decode({0, 4, 2}, true) == "a");
}

TEST_CASE("files of the first versions say less, and mean what the library takes them for") {
  Json json = small_bpe();
  json.erase("version");
  json.erase("added_tokens");
  json["model"].erase("type");
  for (const char* key : {"dropout", "unk_token", "fuse_unk", "byte_fallback", "ignore_merges"})
    json["model"][key] = nullptr;
  CHECK(tokenizer_of(json).encode("abb") == Ids{2, 1});
  json["model"]["merges"] = {"#version: 0.2", "a b"};
  CHECK(tokenizer_of(json).encode("abb") == Ids{2, 1});
  json = small_wordpiece();
  json["model"].erase("type");
  CHECK(tokenizer_of(json).encode("abb") == Ids{1, 2, 2});
  json = small_unigram();
  json["model"].erase("type");
  // Of two equal pieces the last one's id and score count.
  json["model"]["vocab"].push_back({"aa", -4});
  json["model"]["vocab"].push_back({"a", -9});
  CHECK(tokenizer_of(json).encode("ax") == Ids{3, 0});
  CHECK(tokenizer_of(json).encode("aa") == Ids{2});
}

TEST_CASE("an unknown part is refused by name, with the nearest that is known") {
  const auto message = [](const std::string& key, const char* type) {
    return refusal(small_bpe(), "/" + key, {{"type", type}});
  };
  CHECK(contains(message("normalizer", "BertNormaliser"),
                 ": normalizer.type: \"BertNormaliser\" is not one of"));
  CHECK(contains(message("normalizer", "BertNormaliser"), "did you mean \"BertNormalizer\"?"));
  CHECK(contains(message("pre_tokenizer", "ByteLevle"), "did you mean \"ByteLevel\"?"));
  CHECK(contains(message("post_processor", "Template"), ": post_processor.type: \"Template\""));
  CHECK(contains(message("decoder", "Fuze"), "did you mean \"Fuse\"?"));
  CHECK(contains(message("model", "WordPeice"), "did you mean \"WordPiece\"?"));
  CHECK(contains(refusal(small_bpe(), "/normalizer",
                         Json::parse(R"({"type": "Sequence", "normalizers": [{"type": "NFC"},
                                        {"type": "NFX"}]})")),
                 ": normalizer.normalizers[1].type: \"NFX\""));
  CHECK(contains(refusal(small_bpe(), "/normalizer", {{"type", "NFC"}, {"form", 1}}),
                 ": normalizer.form: unknown key"));
  CHECK(contains(refusal(small_bpe(), "/normaliser", nullptr), "did you mean \"normalizer\"?"));
  CHECK(contains(refusal(small_bpe(), "/version", "2.0"), "only \"1.0\" is read"));
  // What the file says is on the message's one line, whatever it is.
  CHECK(contains(refusal(small_bpe(), "/decoder", {{"type", "a\nb"}}), "\"a b\" is not one of"));
}

TEST_CASE("a vocabulary that is none is refused") {
  const auto vocab = [](const char* text) {
    return refusal(small_bpe(), "/model/vocab", Json::parse(text));
  };
  CHECK(contains(vocab("{}"), ": model.vocab: a mapping from tokens to their ids was expected"));
  CHECK(contains(vocab("[]"), ": model.vocab: a mapping"));
  CHECK(contains(vocab("7"), ": model.vocab: a mapping"));
  CHECK(
      contains(vocab(R"({"a": -1})"), "the token \"a\" has the id -1, but ids are whole numbers"));
  CHECK(contains(vocab(R"({"a": 1.5})"), "has the id 1.5"));
  CHECK(contains(vocab(R"({"a": "1"})"), "has the id \"1\""));
  CHECK(contains(vocab(R"({"a": 4194304})"), "from 0 to 4194303"));
  CHECK(contains(vocab(R"({"a": 18446744073709551615})"), "from 0 to 4194303"));
  CHECK(contains(vocab(R"({"a": 0, "b": 1, "ab": 1})"), "has the id 1, which \"ab\" has, too"));
  CHECK(
      contains(refusal(small_bpe(), "/model/vocab", {{std::string(5000, 'a'), 0}}), "4096 bytes"));
  CHECK(contains(refusal(R"({"model": {"type": "BPE", "vocab": {"a": 0, "a": 1}, "merges": []}})"),
                 "stands twice"));
  CHECK(contains(refusal(small_wordpiece(), "/model/vocab", {{"a", 0}}),
                 ": model.unk_token: \"[UNK]\" is not in the vocabulary"));
  const auto pieces = [](const char* text) {
    return refusal(small_unigram(), "/model/vocab", Json::parse(text));
  };
  CHECK(contains(pieces("[]"), ": model.vocab: a list of pieces"));
  CHECK(contains(pieces(R"([["a"]])"), "piece 0 (from 0) is [\"a\"]"));
  CHECK(contains(pieces(R"([["<unk>", 0], ["a", "b"]])"), "piece 1 (from 0)"));
  CHECK(contains(refusal(small_unigram(), "/model/unk_id", 2), ": model.unk_id: "));
  CHECK(contains(refusal(small_unigram(), "/model/unk_id", -1), ": model.unk_id: "));
}

TEST_CASE("a merge that is none is refused") {
  const auto merges = [](const char* text) {
    return refusal(small_bpe(), "/model/merges", Json::parse(text));
  };
  CHECK(contains(merges(R"(["a b", "ab"])"), "merge 1 (from 0), \"ab\", is no pair of tokens"));
  CHECK(contains(merges(R"(["a b c"])"), "is no pair"));
  CHECK(contains(merges(R"([["a"]])"), "is no pair"));
  CHECK(contains(merges(R"([["a", 1]])"), "is no pair"));
  CHECK(contains(merges(R"([["a", "c"]])"), "needs the token \"c\", which the vocabulary lacks"));
  CHECK(contains(merges(R"([["b", "a"]])"), "needs the token \"ba\", which the vocabulary lacks"));
  CHECK(contains(merges("{}"), ": model.merges: a list of merges was expected"));
  CHECK(contains(refusal(small_bpe(), "/model/dropout", 0.1), ": model.dropout: found 0.1"));
  CHECK(contains(refusal(small_bpe(), "/model/end_of_word_suffix", "</w>"),
                 ": model.end_of_word_suffix: found \"</w>\""));
  CHECK(contains(refusal(small_bpe(), "/model/continuing_subword_prefix", "##"),
                 ": model.continuing_subword_prefix: found \"##\""));
}

TEST_CASE("added tokens have the ids that the library gives them, or are refused") {
  const auto message = [](const std::vector<Json>& tokens) {
    return refusal(small_bpe(), "/added_tokens", tokens);
  };
  CHECK(contains(message({added("ab", 1)}),
                 ": added_tokens[0].id: \"ab\" has the id 1, but the vocabulary gives it 2"));
  CHECK(contains(message({added("<x>", 4)}), "and it would be 3"));
  CHECK(contains(message({added("<x>", 3), added("<x>", 4)}), "\"<x>\" stands twice"));
  CHECK(contains(message({added("", 3)}), ": added_tokens[0].content: the text is empty"));
  CHECK(contains(message({added("<x>", -1)}), ": added_tokens[0].id: "));
  CHECK(contains(message({added(std::string(1001, 'x'), 3)}), "1001 bytes, more than 1000"));
  CHECK(contains(refusal(small_bpe(), "/added_tokens", 7), ": added_tokens: a list was expected"));
  Json json = small_bpe();
  json["normalizer"] = {{"type", "Lowercase"}};
  json["added_tokens"] = {added("<X>", 3), added("<x>", 4)};
  for (Json& token : json["added_tokens"]) token["normalized"] = true;
  CHECK(contains(refusal(json.dump()), "\"<x>\" is the same as \"<X>\" once normalised"));
}

TEST_CASE("post-processors that name no token are refused") {
  const auto message = [](const char* text) {
    return refusal(small_bpe(), "/post_processor", Json::parse(text));
  };
  CHECK(contains(message(R"({"type": "BertProcessing", "cls": ["a", 0], "sep": ["c", 9]})"),
                 ": post_processor: adds the id 9, which no token has"));
  CHECK(contains(message(R"({"type": "BertProcessing", "cls": ["a", -1], "sep": ["c", 9]})"),
                 ": post_processor.cls: a pair of a token and its id"));
  const std::string sequence = R"({"Sequence": {"id": "A", "type_id": 0}})";
  const auto single = [&](const std::string& list, const std::string& tokens) {
    return message((R"({"type": "TemplateProcessing", "pair": [], "single": [)" + list +
                    R"(], "special_tokens": {)" + tokens + "}}")
                       .c_str());
  };
  CHECK(contains(single("", ""), "the text, \"A\", must be in it once"));
  CHECK(contains(single(sequence + "," + sequence, ""), "must be in it once"));
  CHECK(contains(single(R"({"Sequence": {"id": "B"}})", ""), "must be in it once"));
  CHECK(contains(single(sequence + R"(, {"SpecialToken": {"id": "a"}})", ""),
                 ": post_processor.special_tokens.a: the key is missing"));
  CHECK(contains(single(sequence + R"(, {"SpecialToken": {"id": "a"}})", R"("a": {"ids": ["a"]})"),
                 ": post_processor.special_tokens.a.ids: "));
}

TEST_CASE("a bad regular expression is refused, and one without end is ended") {
  const auto split = [](const Json& pattern) {
    return Json{
        {"type", "Split"}, {"pattern", pattern}, {"behavior", "Isolated"}, {"invert", false}};
  };
  const auto message = [&](const Json& pattern) {
    return refusal(small_bpe(), "/pre_tokenizer", split(pattern));
  };
  CHECK(
      contains(message({{"Regex", "(a"}}), ": pre_tokenizer.pattern.Regex: \"(a\" is no regular"));
  CHECK(contains(message({{"Regex", "\\h+"}}), "\\h and \\H are not read"));
  CHECK(contains(message({{"Regex", ""}}), ": pre_tokenizer.pattern.Regex: the text is empty"));
  CHECK(contains(message(Json::object()), "either \"String\" or \"Regex\""));
  CHECK(contains(message({{"Regex", "a"}, {"String", "a"}}), "either \"String\" or \"Regex\""));
  Json json = small_bpe();
  json["pre_tokenizer"] = split({{"Regex", "(a+)+b"}});
  const Tokenizer tokenizer = tokenizer_of(json);
  CHECK(tokenizer.encode("aab") == Ids{0, 2});
  CHECK(contains(input_error([&] { tokenizer.encode(std::string(200, 'a')); }),
                 ": pre_tokenizer.pattern: the expression takes more time or memory"));
}

TEST_CASE("a text without what the vocabulary needs is refused when it is met") {
  Json json = small_unigram();
  json["model"].erase("unk_id");
  CHECK(tokenizer_of(json).encode("aa") == Ids{1, 1});
  CHECK(contains(input_error([&] { tokenizer_of(json).encode("ab"); }),
                 ": model.unk_id: there is no unknown piece, but \"ab\" has"));
  json = small_bpe();
  CHECK(tokenizer_of(json).encode("acb") == Ids{2});
  json["model"]["unk_token"] = "<unk>";
  CHECK(tokenizer_of(json).encode("ab") == Ids{2});
  CHECK(contains(input_error([&] { tokenizer_of(json).encode("acb"); }),
                 ": model.unk_token: \"<unk>\" is not in the vocabulary, but \"acb\" has"));
}

TEST_CASE("texts do not grow without bound") {
  Json json = small_bpe();
  const Json twice = {{"type", "Replace"}, {"pattern", {{"String", "a"}}}, {"content", "aa"}};
  json["normalizer"] = {{"type", "Sequence"}, {"normalizers", std::vector<Json>(40, twice)}};
  CHECK(contains(input_error([&] { tokenizer_of(json).encode("a"); }),
                 ": normalizer.normalizers[12].content: the text grows to more than"));
  json["added_tokens"] = {added("xa", 3)};
  json["added_tokens"][0]["normalized"] = true;
  CHECK(contains(refusal(json.dump()), ": normalizer.normalizers[12].content: the text grows"));
  json = small_bpe();
  const Json often = {
      {"type", "Replace"}, {"pattern", {{"String", "a"}}}, {"content", std::string(64, 'a')}};
  json["decoder"] = {{"type", "Sequence"}, {"decoders", std::vector<Json>(40, often)}};
  CHECK(contains(input_error([&] { tokenizer_of(json).decode({0}); }),
                 ": the decoded text grows to more than"));
}

TEST_CASE("what is no JSON, no mapping or nested without end is refused") {
  CHECK(contains(refusal(""), "is not valid JSON"));
  CHECK(contains(refusal("[]"), "a mapping was expected"));
  CHECK(contains(refusal("{}"), ": model: the key is missing"));
  CHECK(contains(refusal("{\"model\": {\"vocab\": {\"\xff\": 0}}}"), "is not valid JSON"));
  CHECK(contains(refusal(std::string(100000, '[')), "nested more than 200 deep"));
  std::string nested;
  for (int i = 0; i < 5000; ++i) nested += R"({"type": "Sequence", "normalizers": [)";
  CHECK(contains(refusal("{\"normalizer\": " + nested), "nested more than 200 deep"));
  CHECK(contains(refusal(R"({"model": {"type": "Unigram", "vocab": [["a", 1e999]]}})"),
                 "a number is out of range"));
  CHECK(contains(refusal(small_bpe(), "/model/byte_fallback", 1), "true or false was expected"));
  CHECK(contains(refusal(small_wordpiece(), "/model/max_input_chars_per_word", 1e300),
                 ": model.max"));
  CHECK(
      contains(refusal(small_bpe(), "/decoder",
                       Json::parse(R"({"type": "Strip", "content": "ab", "start": 0, "stop": 0})")),
               ": decoder.content: one character was expected"));
}

TEST_CASE("a long text takes time in proportion to its length") {
  Json json = small_bpe();
  json["model"]["vocab"]["abab"] = 3;
  json["model"]["merges"].push_back({"ab", "ab"});
  json["added_tokens"] = {added(" ", 4)};
  json["added_tokens"][0]["rstrip"] = true;
  const Tokenizer bpe = tokenizer_of(json);
  const auto repeated = [](const std::string& text, int n) {
    std::string out;
    for (int i = 0; i < n; ++i) out += text;
    return out;
  };
  CHECK(growth(4000, [&](int n) { bpe.encode(repeated("ab", n)); }) < kLinear);
  CHECK(growth(4000, [&](int n) { bpe.encode(repeated(" ", n)); }) < kLinear);
  json = small_unigram();
  for (int length = 2; length < 20; ++length)
    json["model"]["vocab"].push_back({std::string(static_cast<std::size_t>(length), 'a'), -length});
  const Tokenizer unigram = tokenizer_of(json);
  CHECK(growth(2000, [&](int n) { unigram.encode(repeated("a", n)); }) < kLinear);
  json = small_wordpiece();
  json["model"]["max_input_chars_per_word"] = 1 << 20;
  json["model"]["vocab"]["##a"] = 3;
  const Tokenizer wordpiece = tokenizer_of(json);
  CHECK(growth(4000, [&](int n) { wordpiece.encode(repeated("a", n)); }) < kLinear);
}
