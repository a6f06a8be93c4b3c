#include "data/manifest.h"

#include "support/error_text.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::data;
using namespace strata::test;

namespace {

const std::string kGood =
    R"({"image":"a.png","question":"is it?","answers":["yes"],"split":"train","client":"ct","answer_type":"closed"})";

std::string replaced(const std::string& from, const std::string& to) {
  std::string line = kGood;
  const auto at = line.find(from);
  REQUIRE(at != std::string::npos);
  return line.replace(at, from.size(), to);
}

}  // namespace

TEST_CASE("a manifest reads back as it was written") {
  const TempDir folder;
  folder.write("images/a.png", "");
  folder.write("b.png", "");
  Manifest manifest{folder.path(), "some set", true, {}};
  manifest.examples = {
      {"images/a.png", "where \"is\" it?\n", {"left", "on the left"}, "train", "ct", "closed", ""},
      {"b.png", "\u00E4\u4E2D", {"z"}, "test", "xray", "open", "other"},
      {"b.png", "q", {"a"}, "train", "ct", "open", "other"}};
  write_manifest(manifest);
  const Manifest back = load_data(folder.path());
  CHECK(back.name == "some set");
  CHECK(back.synthetic);
  REQUIRE(back.examples.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) {
    const Example &a = manifest.examples[i], &b = back.examples[i];
    CHECK(a.image == b.image);
    CHECK(a.question == b.question);
    CHECK(a.answers == b.answers);
    CHECK(a.split == b.split);
    CHECK(a.client == b.client);
    CHECK(a.answer_type == b.answer_type);
    CHECK(a.dataset == b.dataset);
  }
  CHECK(back.clients() == std::vector<std::string>{"ct", "xray"});
  CHECK(back.answers() == std::vector<std::string>{"a", "left", "z"});
}

TEST_CASE("without dataset.json a set has its folder's name and is taken as real") {
  const TempDir folder;
  folder.write("hospital/a.png", "");
  folder.write("hospital/manifest.jsonl", kGood + "\r\n\n" + kGood);
  for (const auto& path : {folder / "hospital", folder / "hospital/"}) {
    const Manifest manifest = load_data(path);
    CHECK(manifest.name == "hospital");
    CHECK_FALSE(manifest.synthetic);
    CHECK(manifest.examples.size() == 2);
  }
}

TEST_CASE("every wrong line is an error with file and line") {
  const TempDir folder;
  folder.write("a.png", "");
  const std::string file = (folder / "manifest.jsonl").string();
  const auto error = [&](const std::string& line) {
    folder.write("manifest.jsonl", kGood + "\n\n" + line + "\n");
    const std::string text = input_error([&] { load_data(folder.path()); });
    CHECK(text.substr(0, file.size() + 4) == file + ":3: ");
    return text.substr(std::min(text.size(), file.size() + 4));
  };
  CHECK(contains(error("{\"image\":"), "is not valid JSON (at byte "));
  CHECK(error("[1]") == "a mapping was expected, found a list");
  CHECK(contains(error(replaced("\"is it?\"", "1e999")), "a number is out of range"));
  CHECK(error(replaced("\"client\":\"ct\",", "\"client\":\"ct\",\"client\":\"mri\",")) ==
        "client: the key stands twice");
  CHECK(error(replaced("answer_type", "answer_typ")) ==
        "answer_type: the key is missing (a text was expected); \"answer_typ\" is there");
  CHECK(contains(error(replaced("\"image\"", "\"datasett\":\"x\",\"image\"")),
                 "datasett: unknown key (did you mean \"dataset\"?); known are \"image\", "));
  CHECK(error(replaced("\"client\":\"ct\",", "")) ==
        "client: the key is missing (a text was expected)");
  CHECK(error(replaced("\"is it?\"", "7")) == "question: a text was expected, found 7");
  CHECK(error(replaced("\"is it?\"", "\"\"")) == "question: the text is empty");
  CHECK(error(replaced("[\"yes\"]", "\"yes\"")) ==
        "answers: a list of texts was expected, found \"yes\"");
  CHECK(error(replaced("[\"yes\"]", "[]")) ==
        "answers: at least 1 text must be in the list, found 0");
  CHECK(error(replaced("[\"yes\"]", "[\"yes\",null]")) ==
        "answers: a list of texts was expected, found nothing in it");
  CHECK(error(replaced("[\"yes\"]", "[\"\"]")) == "answers: a text in the list is empty");
  CHECK(error(replaced("\"train\"", "\"trian\"")) ==
        "split: \"trian\" is not one of \"train\", \"test\" (did you mean \"train\"?)");
  CHECK(
      contains(error(replaced("\"closed\"", "\"yesno\"")), "answer_type: \"yesno\" is not one of"));
  CHECK(error(replaced("a.png", "b.png")) ==
        "image: the image " + (folder / "b.png").string() + " does not exist");
  CHECK(contains(error(replaced("a.png", (folder / "a.png").string())),
                 "outside of the data set's folder"));
  for (const std::string name : {"../outside.png", "x/../../outside.png", ".", "./..", "x/../.."}) {
    CAPTURE(name);
    const std::string text = error(replaced("a.png", name));
    if (name != ".") CHECK(text == "image: \"" + name + "\" is outside of the data set's folder");
  }
  CHECK(error(replaced("a.png", std::string(5000, 'x'))) ==
        "image: it holds a file name of 5000 bytes; at most 255 can be");
  std::string path = "x";
  for (int i = 0; i < 2500; ++i) path += "/x";
  CHECK(error(replaced("a.png", path)) == "image: it has 5001 bytes; a path has fewer than 4096");
  CHECK(contains(error(replaced("a.png", "a.png\\u0000b")), "holds a zero byte"));
  CHECK(
      contains(error(replaced("\"is it?\"", std::string(100'000, '[') + std::string(100'000, ']'))),
               "nested more than 200 deep"));
}

TEST_CASE(
    "a path of a manifest may wander within the set, and links in it may lead where they like") {
  const TempDir folder, elsewhere;
  folder.write("images/a.png", "");
  elsewhere.write("b.png", "");
  std::filesystem::create_directory_symlink(elsewhere.path(), folder / "linked");
  folder.write("manifest.jsonl", replaced("a.png", "images/../images/./a.png") + "\n" +
                                     replaced("a.png", "linked/b.png") + "\n");
  CHECK(load_data(folder.path()).examples.size() == 2);
}

TEST_CASE("a folder of data sets is one") {
  const TempDir folder;
  folder.write("b/a.png", "");
  folder.write("b/manifest.jsonl", kGood);
  folder.write("a/x/All_QA_Pairs_train.txt", "a|what is it?|cyst#tumor\n");
  folder.write("a/x/images/a.jpg", "");
  folder.write("c/notes.txt", "");
  const Manifest manifest = load_data(folder.path());
  CHECK(manifest.name == folder.path().filename());
  REQUIRE(manifest.examples.size() == 2);
  CHECK(manifest.examples[0].image == "a/x/images/a.jpg");
  CHECK(manifest.examples[0].dataset == "vqa-med-2019");
  CHECK(manifest.examples[1].image == "b/a.png");
  CHECK(manifest.examples[1].dataset == "b");
  REQUIRE(manifest.notes.size() == 1);
  CHECK(contains(manifest.notes[0], "is left out: no data set"));
}

TEST_CASE(
    "a folder of data sets is synthetic where one of them is, and keeps its examples' data sets") {
  const TempDir folder;
  for (const std::string name : {"a", "b"}) {
    folder.write(name + "/a.png", "");
    folder.write(name + "/manifest.jsonl", kGood);
  }
  CHECK_FALSE(load_data(folder.path()).synthetic);
  folder.write("a/dataset.json", R"({"version":1,"name":"shapes","synthetic":true})");
  // As OmniMedVQA: a collection that says of every example which set it is from.
  folder.write(
      "b/manifest.jsonl",
      replaced("\"client\":\"ct\"", "\"client\":\"ct\",\"dataset\":\"chest\"") + "\n" + kGood);
  const Manifest manifest = load_data(folder.path());
  CHECK(manifest.synthetic);
  REQUIRE(manifest.examples.size() == 3);
  CHECK(manifest.examples[0].dataset == "shapes");
  CHECK(manifest.examples[1].dataset == "chest");
  CHECK(manifest.examples[2].dataset == "b");
}

TEST_CASE("folders that hold no data set are errors") {
  const TempDir folder;
  CHECK(contains(input_error([&] { load_data(folder / "absent"); }), "no such folder"));
  const std::string text = input_error([&] { load_data(folder.path()); });
  CHECK(contains(text, "manifest.jsonl"));
  CHECK(contains(text, "train/questions.json"));
  folder.write("manifest.jsonl", "\n");
  CHECK(contains(input_error([&] { load_data(folder.path()); }), "no example"));
  folder.write("a.png", "");
  folder.write("manifest.jsonl", kGood);
  folder.write("dataset.json", R"({"version":2,"name":"x"})");
  CHECK(contains(input_error([&] { load_data(folder.path()); }), "version"));
  folder.write("dataset.json", R"({"version":1,"nam":"x"})");
  CHECK(contains(input_error([&] { load_data(folder.path()); }), "name"));
  folder.write("dataset.json", R"({"version":1,"name":"x","synthetik":true})");
  CHECK(contains(input_error([&] { load_data(folder.path()); }), "did you mean \"synthetic\"?"));
}
