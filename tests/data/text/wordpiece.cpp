#include "data/text/wordpiece.h"

#include <nlohmann/json.hpp>
#include <set>

#include "support/error_text.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::data;
using namespace strata::test;
using Strings = std::vector<std::string>;

namespace {

const Strings kSmall = {"[PAD]",  "[UNK]", "[CLS]", "[SEP]",  "un",  "##aff",
                        "##able", "runn",  "##ing", "##want", "##ed"};

const WordPieceOptions kLower, kCased = {false};

}  // namespace

TEST_CASE("token ids are those of Hugging Face's BertTokenizer") {
  const auto reference = nlohmann::json::parse(
      slurp(std::filesystem::path(STRATA_SOURCE_DIR) / "tests" / "reference" / "wordpiece.json"));
  const Strings texts = reference["texts"];
  const TempDir folder;
  std::string lines;
  for (const std::string& token : reference["vocabulary"].get<Strings>()) lines += token + "\n";
  const auto vocab = folder.write("vocab.txt", lines);
  for (const bool lower : {true, false}) {
    const WordPiece tokenizer = WordPiece::from_file(vocab, {lower});
    const std::string key = lower ? "lower" : "cased";
    REQUIRE(reference[key].size() == texts.size());
    for (std::size_t i = 0; i < texts.size(); ++i) {
      INFO(key << ", text " << i << ": " << texts[i]);
      CHECK(tokenizer.encode(texts[i], 512) == reference[key][i].get<std::vector<std::int64_t>>());
      CHECK(tokenizer.encode(texts[i], 6) ==
            reference[key + "_cut"][i].get<std::vector<std::int64_t>>());
    }
  }
}

TEST_CASE("the example of BERT's own tests") {
  const WordPiece tokenizer(kSmall);
  CHECK(tokenizer.tokenize("") == Strings{});
  CHECK(tokenizer.tokenize("unwanted running") == Strings{"un", "##want", "##ed", "runn", "##ing"});
  CHECK(tokenizer.tokenize("unaffable running") ==
        Strings{"un", "##aff", "##able", "runn", "##ing"});
  CHECK(tokenizer.tokenize("unaffableX running") == Strings{"[UNK]", "runn", "##ing"});
}

TEST_CASE("the first and the last character of every block of ideographs stand alone") {
  const Strings ideographs = {"\u4E00",     "\u9FFF",     "\u3400",     "\u4DBF",
                              "\U00020000", "\U0002A6DF", "\U0002A700", "\U0002B73F",
                              "\U0002B740", "\U0002B81F", "\U0002B820", "\U0002CEAF",
                              "\uF900",     "\uFAFF",     "\U0002F800", "\U0002FA1F"};
  for (const std::string& c : ideographs) {
    CAPTURE(c);
    CHECK(basic_tokenize("a" + c + "b", kCased) == Strings{"a", c, "b"});
  }
  // The neighbours of the blocks, kana and Hangul do not.
  for (const std::string c : {"\u33FF", "\u4DC0", "\uA000", "\uFB00", "\u3042", "\uAC00"}) {
    CAPTURE(c);
    CHECK(basic_tokenize("a" + c + "b", kCased) == Strings{"a" + c + "b"});
  }
}

TEST_CASE("basic tokenization as BERT's tests have it") {
  CHECK(basic_tokenize("ah\u535A\u63A8zz", kLower) == Strings{"ah", "\u535A", "\u63A8", "zz"});
  CHECK(basic_tokenize(" \tHeLLo!how  \n Are yoU?  ", kLower) ==
        Strings{"hello", "!", "how", "are", "you", "?"});
  CHECK(basic_tokenize("H\u00E9llo", kLower) == Strings{"hello"});
  CHECK(basic_tokenize(" \tHeLLo!how  \n Are yoU?  ", kCased) ==
        Strings{"HeLLo", "!", "how", "Are", "yoU", "?"});
  CHECK(basic_tokenize("H\u00E9llo", kCased) == Strings{"H\u00E9llo"});
  // The original lower-cases words with Unicode's final-sigma rule.
  CHECK(basic_tokenize("\u039F\u03A3", kLower) == Strings{"\u03BF\u03C2"});
  // Bytes that are no UTF-8 are dropped.
  CHECK(basic_tokenize("a\xff"
                       "b",
                       kLower) == Strings{"ab"});
}

TEST_CASE("encoding keeps [SEP] last") {
  const WordPiece tokenizer(kSmall);
  CHECK(tokenizer.encode("running", 10) == std::vector<std::int64_t>{2, 7, 8, 3});
  CHECK(tokenizer.encode("running", 3) == std::vector<std::int64_t>{2, 7, 3});
  CHECK(tokenizer.encode("running", 2) == std::vector<std::int64_t>{2, 3});
  CHECK(contains(input_error([&] { tokenizer.encode("running", 1); }), "1 tokens"));
}

TEST_CASE("a built vocabulary makes every word of its corpus one token") {
  const Strings corpus = {"Is there a nodule?", "how many cysts are there?", "caf\u00E9 \u4E2D"};
  const Strings vocabulary = build_vocabulary(corpus);
  CHECK(std::set<std::string>(vocabulary.begin(), vocabulary.end()).size() == vocabulary.size());
  CHECK(Strings(vocabulary.begin(), vocabulary.begin() + 5) ==
        Strings{"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"});
  const WordPiece tokenizer(vocabulary);
  for (const std::string& text : corpus)
    CHECK(tokenizer.tokenize(text) == basic_tokenize(text, kLower));
  // Unseen words of seen characters fall apart into characters instead of becoming unknown.
  CHECK(tokenizer.tokenize("tea") == Strings{"t", "##e", "##a"});
  CHECK(tokenizer.tokenize("zebra") == Strings{"[UNK]"});
}

TEST_CASE("wrong vocabularies are errors that name the file and the line") {
  const TempDir folder;
  const auto twice = folder.write("twice.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\na\nb\na\n");
  CHECK(input_error([&] { WordPiece::from_file(twice); }) ==
        twice.string() + ": line 7: the token \"a\" is already on line 5");
  const auto lacking = folder.write("lacking.txt", "[PAD]\n[UNK]\n[CLS]\n");
  CHECK(contains(input_error([&] { WordPiece::from_file(lacking); }),
                 "lacking.txt: the vocabulary lacks the special token [SEP]"));
  CHECK(contains(input_error([&] { WordPiece::from_file(folder / "absent.txt"); }), "absent.txt"));
  // Carriage returns of a file edited elsewhere are no part of the tokens.
  CHECK(WordPiece::from_file(folder.write("cr.txt", "[PAD]\r\n[UNK]\r\n[CLS]\r\n[SEP]\r\na\r\n"))
            .vocabulary()[4] == "a");
}
