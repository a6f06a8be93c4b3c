#include "data/datasets/datasets.h"

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

TEST_CASE("a manifest without an example and a wrong dataset.json are errors") {
  const TempDir folder;
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

namespace {

const std::string kLabelled = R"({"image":"a.png","label":"cyst","split":"train","client":"ct"})";

std::string labels(const std::string& list) {
  return R"({"image":"a.png","labels":)" + list + R"(,"split":"train","client":"ct"})";
}

}  // namespace

TEST_CASE("lines with labels name the classes, sorted where dataset.json does not order them") {
  const TempDir folder;
  folder.write("a.png", "");
  folder.write("manifest.jsonl", labels(R"(["nodule","cyst"])") + "\n" + labels("[]"));
  LoadOptions options;
  options.reading = Reading::kEither;
  Manifest manifest = load_data(folder.path(), options);
  CHECK(manifest.classes == std::vector<std::string>{"cyst", "nodule"});
  CHECK(manifest.multi_label);
  CHECK(manifest.examples[0].labels == std::vector<std::string>{"cyst", "nodule"});
  CHECK(manifest.examples[1].labels.empty());
  CHECK(manifest.examples[0].question.empty());
  folder.write("dataset.json", R"({"version":1,"name":"x","classes":["nodule","cyst","mass"]})");
  manifest = load_data(folder.path(), options);
  CHECK(manifest.classes == std::vector<std::string>{"nodule", "cyst", "mass"});
  CHECK(manifest.examples[0].labels == std::vector<std::string>{"nodule", "cyst"});
  folder.write("manifest.jsonl", kLabelled);
  CHECK_FALSE(load_data(folder.path(), options).multi_label);
}

TEST_CASE("wrong labels are errors with file and line") {
  const TempDir folder;
  folder.write("a.png", "");
  const std::string file = (folder / "manifest.jsonl").string();
  const auto error = [&](const std::string& lines, Reading reading = Reading::kLabels) {
    folder.write("manifest.jsonl", lines);
    LoadOptions options;
    options.reading = reading;
    const std::string text = input_error([&] { load_data(folder.path(), options); });
    CHECK(text.rfind(file + ":", 0) == 0);
    return text.substr(std::min(text.size(), file.size()));
  };
  CHECK(error(R"({"image":"a.png","lable":"cyst","split":"train","client":"ct"})") ==
        ":1: label: the key is missing (a text, or a list of texts as \"labels\", was expected); "
        "\"lable\" is there");
  CHECK(error(labels("[]") + "\n" + R"({"image":"a.png","split":"train","client":"ct"})") ==
        ":2: labels: the key is missing (a list of texts was expected)");
  CHECK(error(R"({"image":"a.png","label":"a","labels":["a"],"split":"train","client":"ct"})") ==
        ":1: labels: stands beside \"label\"; an image has one of the two");
  CHECK(error(labels("[]") + "\n" + kLabelled) ==
        ":2: label: the images before it have \"labels\", lists of texts");
  CHECK(error(kLabelled + "\n" + labels("[]")) ==
        ":2: labels: the images before it have \"label\", a text each");
  CHECK(error(labels(R"(["a","b","a"])")) == ":1: labels: \"a\" stands twice");
  CHECK(error(labels(R"([""])")) == ":1: labels: a text in the list is empty");
  CHECK(contains(error(labels("\"a\"")), ":1: labels: a list of texts was expected, found \"a\""));
  CHECK(input_error([&] {
          folder.write("manifest.jsonl", labels("[]"));
          LoadOptions options;
          options.reading = Reading::kLabels;
          load_data(folder.path(), options);
        }) == folder.path().string() + ": no image in it has a label");
  CHECK(contains(error(kGood), ":1: question: image classification asks none; every image needs"));
  CHECK(contains(error(kLabelled, Reading::kQuestions),
                 ":1: label: images with labels are for image classification"));
  CHECK(contains(error(labels("[]"), Reading::kQuestions), ":1: labels: images with labels are"));
  CHECK(
      contains(error(kGood + "\n" + kLabelled, Reading::kEither), ":2: label: images with labels"));
  CHECK(contains(error(kLabelled + "\n" + kGood, Reading::kEither), ":2: question: image "));
  folder.write("dataset.json", R"({"version":1,"name":"x","classes":["nodule","cysts"]})");
  CHECK(
      error(kLabelled) ==
      ":1: label: \"cyst\" is none of the \"classes\" in dataset.json, \"nodule\", \"cysts\" (did "
      "you mean \"cysts\"?)");
  folder.write("manifest.jsonl", kGood);
  CHECK(contains(input_error([&] { load_data(folder.path()); }),
                 "dataset.json: classes: manifest.jsonl has questions, no labels"));
  folder.write("dataset.json", R"({"version":1,"name":"x","classes":["a","a"]})");
  CHECK(contains(input_error([&] { load_data(folder.path()); }), "classes: \"a\" stands twice"));
}

TEST_CASE("a text may stand beside labels, and must where labelled texts are asked for") {
  const TempDir folder;
  folder.write("a.png", "");
  const auto read = [&](const std::string& text, Reading reading) {
    folder.write("manifest.jsonl", R"({"image":"a.png",)" + text +
                                       R"("label":"nodule","split":"train","client":"ct"})");
    LoadOptions options;
    options.reading = reading;
    return load_data(folder.path(), options);
  };
  const std::string text = R"("text":"A round focus.",)";
  for (const Reading reading : {Reading::kLabels, Reading::kEither, Reading::kLabelledTexts}) {
    const Manifest manifest = read(text, reading);
    CHECK(manifest.examples[0].text == "A round focus.");
    CHECK(manifest.examples[0].labels == std::vector<std::string>{"nodule"});
  }
  CHECK(read("", Reading::kLabels).examples[0].text.empty());
  CHECK(contains(input_error([&] { read("", Reading::kLabelledTexts); }),
                 "text: the key is missing"));
  CHECK(
      contains(input_error([&] { read(R"("text":"",)", Reading::kLabels); }), "the text is empty"));
  // It is written again.
  const Manifest manifest = read(text, Reading::kLabels);
  write_manifest(manifest);
  LoadOptions options;
  options.reading = Reading::kLabelledTexts;
  CHECK(load_data(folder.path(), options).examples[0].text == "A round focus.");
  // Beside a question it is a key like any other that is not known.
  folder.write("manifest.jsonl", replaced("\"image\"", "\"text\":\"x\",\"image\""));
  CHECK(contains(input_error([&] { load_data(folder.path()); }), "text: unknown key"));
}

namespace {

/// Two volumes with masks.
struct Masked {
  TempDir folder;
  std::string line = R"({"image":"a.nii.gz","mask":"b.nii.gz","split":"train","client":"oslo"})"
                     "\n";
  std::string about =
      R"({"version":1,"name":"spleens","classes":["spleen","cyst"],"slice_axis":1})";

  Masked() {
    for (const char* name : {"a.nii.gz", "b.nii.gz", "c.png"}) folder.write(name, "");
    folder.write("dataset.json", about);
    folder.write("manifest.jsonl", line + line);
  }
  Manifest read(Reading reading = Reading::kMasks) const {
    LoadOptions options;
    options.reading = reading;
    return load_data(folder.path(), options);
  }
  std::string error(const std::string& lines, Reading reading = Reading::kMasks) const {
    folder.write("manifest.jsonl", lines);
    return input_error([&] { read(reading); });
  }
};

}  // namespace

TEST_CASE_METHOD(Masked, "volumes with masks, their classes and the axis of their slices") {
  for (const Reading reading : {Reading::kMasks, Reading::kEither}) {
    const Manifest manifest = read(reading);
    CHECK(manifest.has_masks());
    CHECK_FALSE(manifest.has_labels());
    CHECK(manifest.classes == std::vector<std::string>{"spleen", "cyst"});
    CHECK(manifest.volumes->slice_axis == 1);
    REQUIRE(manifest.examples.size() == 2);
    CHECK(manifest.examples[0].mask == "b.nii.gz");
    CHECK(manifest.examples[0].client == "oslo");
    CHECK(manifest.examples[0].answer_type.empty());
  }
  // Written and read again.
  const Manifest manifest = read();
  write_manifest(manifest);
  const Manifest again = read();
  CHECK(again.volumes == manifest.volumes);
  CHECK(again.classes == manifest.classes);
  CHECK(again.examples[1].mask == "b.nii.gz");
  folder.write("dataset.json", R"({"version":1,"name":"spleens","classes":["spleen"]})");
  CHECK(read().volumes->slice_axis == 2);
}

TEST_CASE_METHOD(Masked, "lines that are not of volumes with masks, and a set without classes") {
  CHECK(contains(error(R"({"image":"a.nii.gz","split":"train","client":"oslo"})"), "mask"));
  CHECK(contains(error(R"({"image":"a.nii.gz","mask":"x.nii","split":"train","client":"oslo"})"),
                 "manifest.jsonl:1: mask: the mask " + (folder / "x.nii").string()));
  CHECK(contains(error(R"({"image":"x.nii","mask":"b.nii.gz","split":"train","client":"oslo"})"),
                 "manifest.jsonl:1: image: the image " + (folder / "x.nii").string()));
  CHECK(contains(error(line + R"({"image":"a.nii.gz","mask":"b.nii.gz","label":"cyst"})"),
                 "manifest.jsonl:2: label: segmentation has none; every image needs a \"mask\""));
  CHECK(contains(error(line, Reading::kQuestions),
                 "mask: volumes with masks are for segmentation; here every image needs a "
                 "\"question\""));
  CHECK(contains(error(line, Reading::kLabels), "every image needs \"label\" or \"labels\""));
  CHECK(contains(error(R"({"image":"c.png","label":"cyst","split":"train","client":"oslo"})"
                       "\n",
                       Reading::kLabels),
                 "dataset.json: slice_axis: manifest.jsonl has no volumes with masks"));
  folder.write("dataset.json", R"({"version":1,"name":"spleens","slice_axis":3})");
  CHECK(contains(error(line), "slice_axis"));
  folder.write("dataset.json", R"({"version":1,"name":"spleens"})");
  CHECK(contains(error(line),
                 "dataset.json: classes: the key is missing; a set with masks names its classes"));
}
