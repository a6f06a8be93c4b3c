#include <map>

#include "data/image.h"
#include "data/manifest.h"
#include "support/error_text.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::data;
using namespace strata::test;

namespace {

std::string record(const std::string& language, const std::string& image, const std::string& answer,
                   const std::string& modality = "CT") {
  return R"({"img_id": 1, "img_name": ")" + image +
         R"(/source.jpg", "question": "Is it healthy?", "answer": ")" + answer +
         R"(", "q_lang": ")" + language + R"(", "location": "Lung", "modality": ")" + modality +
         R"(", "answer_type": "CLOSED", "base_type": "vqa", "content_type": "Organ", "qid": 7})";
}

}  // namespace

TEST_CASE("the published questions of SLAKE, without their images") {
  const auto folder = shared_data("slake");
  if (folder.empty()) {
    WARN("SLAKE's questions are not here");
    return;
  }
  LoadOptions options;
  options.questions_only = true;
  const Manifest english = load_data(folder, options);
  CHECK(english.name == "slake");
  CHECK_FALSE(english.synthetic);
  // 4,919 English training questions, of which one has no answer, and 1,053 for validation.
  CHECK(english.examples.size() == 4918 + 1053);
  std::map<std::string, int> splits, types;
  for (const Example& example : english.examples) {
    ++splits[example.split];
    ++types[example.answer_type];
  }
  CHECK(splits == std::map<std::string, int>{{"train", 4918}, {"test", 1053}});
  CHECK(types["closed"] + types["open"] == 4918 + 1053);
  CHECK(english.clients() == std::vector<std::string>{"mri", "ct", "x-ray"});
  CHECK(english.examples[0].question == "What modality is used to take this image?");
  CHECK(english.examples[0].answers == std::vector<std::string>{"mri"});
  CHECK(english.examples[0].image == "imgs/xmlab1/source.jpg");
  REQUIRE(english.notes.size() == 2);
  CHECK(contains(english.notes[0], "1 record left out: \"answer\" is empty (first: "));
  CHECK(english.notes[1] == "validation examples used as the test, as there is no test set: 1053");

  options.language = "zh";
  const Manifest chinese = load_data(folder, options);
  CHECK(chinese.examples.size() == 4916 + 1046);
  CHECK(chinese.examples[0].question == "这张图片的成像方式是什么?");

  CHECK(contains(input_error([&] { load_data(folder); }),
                 "SLAKE's images are not here (no folder imgs/); without them, the questions alone "
                 "can be checked (--questions-only)"));
}

TEST_CASE("a folder in SLAKE's layout") {
  const TempDir folder;
  for (const char* name : {"xmlab1", "xmlab2"}) {
    std::filesystem::create_directories(folder / "imgs" / name);
    write_png({1, 1, {0, 0, 0}}, folder / "imgs" / name / "source.jpg");
  }
  folder.write("train.json", "[" + record("en", "xmlab1", "Yes") + "," +
                                 record("zh", "xmlab1", "\\u662f", "MRI") + "]");
  folder.write("validate.json", "[" + record("en", "xmlab2", " No ", "X-Ray") + "]");
  folder.write("test.json", "[" + record("en", "xmlab2", "Yes") + "]");
  const Manifest manifest = load_data(folder.path());
  REQUIRE(manifest.examples.size() == 3);
  CHECK(manifest.examples[0].client == "ct");
  CHECK(manifest.examples[0].answer_type == "closed");
  CHECK(manifest.examples[1].client == "x-ray");
  CHECK(manifest.examples[1].split == "train");
  CHECK(manifest.examples[1].answers == std::vector<std::string>{"no"});
  CHECK(manifest.examples[2].split == "test");
  CHECK(manifest.notes == std::vector<std::string>{
                              "validation examples used for training, as there is a test set: 1"});
  const Manifest chinese = load_data(folder.path(), {"zh", false});
  REQUIRE(chinese.examples.size() == 1);
  CHECK(chinese.examples[0].client == "mri");

  const std::string file = (folder / "train.json").string();
  const auto error = [&](const std::string& content) {
    folder.write("train.json", content);
    return input_error([&] { load_data(folder.path()); });
  };
  const auto changed = [&](const std::string& from, const std::string& to) {
    std::string text = record("en", "xmlab1", "Yes");
    text.replace(text.find(from), from.size(), to);
    return error("[" + record("en", "xmlab1", "Yes") + "," + text + "]");
  };
  CHECK(contains(error("{}"), file + ": a list of records was expected, found a mapping"));
  CHECK(contains(error("[]"), file + ": no record in it"));
  CHECK(contains(error("[3]"), file + ": record 1: a mapping was expected, found 3"));
  CHECK(contains(error("[{"), file));
  CHECK(contains(changed("\"img_name\"", "\"image\""),
                 file + ": record 2: img_name: the key is missing; there are \"img_id\", "));
  CHECK(contains(changed("xmlab1", "xmlab9"), "record 2: img_name: the image " +
                                                  (folder / "imgs/xmlab9/source.jpg").string() +
                                                  " does not exist"));
  CHECK(contains(changed("xmlab1", "../.."),
                 "record 2: img_name: \"imgs/../../source.jpg\" is outside of "));
  CHECK(contains(changed("\"en\"", "\"de\""),
                 "record 2: q_lang: \"de\" is not one of \"en\", \"zh\""));
  CHECK(contains(changed("CLOSED", "CLOSE"), "(did you mean \"CLOSED\"?)"));
  CHECK(
      contains(changed("\"Is it healthy?\"", "[]"), "question: a text was expected, found a list"));
  CHECK(contains(changed("\"CT\"", "\" \""), "record 2: modality: the text is empty"));
  CHECK(contains(input_error([&] {
                   load_data(folder.path(), {"fr", false});
                 }),
                 "language: found \"fr\""));
}
