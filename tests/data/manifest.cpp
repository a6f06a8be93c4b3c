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
  manifest.examples[0].patient = "p";
  manifest.examples[1].lesion = "l";
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
    CHECK(a.patient == b.patient);
    CHECK(a.lesion == b.lesion);
  }
  CHECK(back.clients() == std::vector<std::string>{"ct", "xray"});
  CHECK(back.answers() == std::vector<std::string>{"a", "left", "z"});
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
}

TEST_CASE("labels read back as they were written, in the order of their classes") {
  const TempDir folder;
  folder.write("a.png", "");
  for (const bool multi_label : {false, true}) {
    Manifest manifest{folder.path(), "lesions", false, {}};
    manifest.classes = {"nevus", "melanoma", "unseen"};
    manifest.multi_label = multi_label;
    for (const auto& labels : std::vector<std::vector<std::string>>{{"melanoma"}, {"nevus"}}) {
      manifest.examples.push_back({"a.png", "", {}, "train", "site", "", "", labels});
    }
    if (multi_label) {
      manifest.examples[0].labels = {"nevus", "melanoma"};
      manifest.examples[1].labels = {};
    }
    write_manifest(manifest);
    LoadOptions options;
    options.reading = Reading::kLabels;
    const Manifest back = load_data(folder.path(), options);
    CHECK(back.has_labels());
    CHECK(back.classes == manifest.classes);
    CHECK(back.multi_label == multi_label);
    REQUIRE(back.examples.size() == 2);
    for (std::size_t i = 0; i < 2; ++i)
      CHECK(back.examples[i].labels == manifest.examples[i].labels);
    CHECK(back.answers().empty());
    CHECK(target_of(back.examples[0]) == (multi_label ? "nevus" : "melanoma"));
    CHECK(target_of(back.examples[1]) == (multi_label ? "" : "nevus"));
  }
}

TEST_CASE("a folder of data sets is read for what it is asked for, and the others are left out") {
  const TempDir folder;
  const auto labelled = [](const std::string& label) {
    return R"({"image":"a.png","label":")" + label + R"(","split":"train","client":"ct"})";
  };
  folder.write("a/imgs/xmlab1/source.jpg", "");
  folder.write("a/train.json",
               R"([{"img_name":"xmlab1/source.jpg","question":"is it?","answer":"yes",)"
               R"("q_lang":"en","answer_type":"CLOSED","modality":"CT"}])");
  folder.write("b/train/nodule/1.png", "");
  folder.write("b/test/nodule/1.png", "");
  folder.write("c/a.png", "");
  folder.write("c/manifest.jsonl", labelled("cyst") + "\n" + labelled("nodule"));
  const auto read = [&](Reading reading) {
    LoadOptions options;
    options.reading = reading;
    return load_data(folder.path(), options);
  };
  const Manifest manifest = read(Reading::kLabels);
  CHECK(manifest.classes == std::vector<std::string>{"nodule", "cyst"});
  CHECK(manifest.examples.size() == 4);
  CHECK(manifest.examples[3].dataset == "c");
  REQUIRE(manifest.notes.size() == 1);
  CHECK(contains(manifest.notes[0], "/a is left out: it has questions, no labels"));

  std::filesystem::remove_all(folder / "c");
  CHECK(read(Reading::kQuestions).examples.size() == 1);
  CHECK(contains(read(Reading::kQuestions).notes.back(),
                 "/b is left out: it has labels, no questions"));
  CHECK(input_error([&] { read(Reading::kEither); }) ==
        folder.path().string() +
            ": \"b\" has labels, the sets before it questions; read them apart");
  std::filesystem::remove_all(folder / "a");
  CHECK(read(Reading::kEither).classes == std::vector<std::string>{"nodule"});
  CHECK(input_error([&] { read(Reading::kQuestions); }) ==
        (folder / "b").string() + ": ImageFolder: it has labels, no questions");
  CHECK(input_error([&] { load_data(folder / "b"); }) ==
        (folder / "b").string() + ": ImageFolder: it has labels, no questions");
  folder.write("c/train/metadata.jsonl", R"({"file_name":"1.png","labels":["cyst"]})");
  folder.write("c/test/metadata.jsonl", R"({"file_name":"1.png","labels":[]})");
  folder.write("c/train/1.png", "");
  folder.write("c/test/1.png", "");
  CHECK(input_error([&] { read(Reading::kLabels); }) ==
        folder.path().string() +
            ": \"c\" has any number of labels an image, the sets before it one; read them apart");
}

TEST_CASE("sets with masks are one where their classes and slices are the same") {
  const TempDir folder;
  const auto write = [&](const std::string& name, const std::string& classes) {
    for (const char* file : {"/a.nii.gz", "/b.nii.gz"}) folder.write(name + file, "");
    folder.write(name + "/manifest.jsonl",
                 R"({"image":"a.nii.gz","mask":"b.nii.gz","split":"train","client":"x"})");
    folder.write(name + "/dataset.json",
                 R"({"version":1,"name":")" + name + R"(","classes":)" + classes + "}");
  };
  write("oslo", R"(["kidney"])");
  write("rome", R"(["kidney"])");
  LoadOptions masks;
  masks.reading = Reading::kMasks;
  const Manifest merged = load_data(folder.path(), masks);
  REQUIRE(merged.examples.size() == 2);
  CHECK(merged.classes == std::vector<std::string>{"kidney"});
  CHECK(merged.examples[1].image == "rome/a.nii.gz");
  CHECK(merged.examples[1].mask == "rome/b.nii.gz");
  CHECK(merged.examples[1].dataset == "rome");
  CHECK(merged.volumes == VolumeReading{});
  write("rome", R"(["kidney","tumor"])");
  CHECK(contains(input_error([&] { load_data(folder.path(), masks); }),
                 ": the volumes of \"rome\" have other classes or are read otherwise"));
}
