#include "data/datasets/datasets.h"
#include "data/image.h"
#include "data/partition.h"
#include "support/error_text.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::data;
using namespace strata::test;

namespace {

LoadOptions labels() {
  LoadOptions options;
  options.reading = Reading::kLabels;
  return options;
}

std::vector<std::string> images_of(const Manifest& manifest, const std::string& split) {
  std::vector<std::string> images;
  for (const Example& example : manifest.examples)
    if (example.split == split) images.push_back(example.image);
  return images;
}

std::vector<std::vector<std::string>> labels_of(const Manifest& manifest) {
  std::vector<std::vector<std::string>> out;
  for (const Example& example : manifest.examples) out.push_back(example.labels);
  return out;
}

using Texts = std::vector<std::string>;

}  // namespace

TEST_CASE("a folder for every class, as torchvision and Hugging Face's datasets have it") {
  const TempDir folder;
  for (const char* name :
       {"skin/train/nevus/2.JPG", "skin/train/nevus/1.png", "skin/train/Melanoma/a.tiff",
        "skin/test/nevus/3.jpeg", "skin/test/wart/4.bmp"})
    folder.write(name, "");
  // What both libraries pass over.
  for (const char* name :
       {"skin/train/nevus/.1.png", "skin/train/nevus/notes.txt", "skin/train/.cache/a.png",
        "skin/train/__MACOSX/a.png", "skin/README.md"})
    folder.write(name, "");
  const Manifest manifest = load_data(folder / "skin", labels());
  CHECK(manifest.name == "skin");
  CHECK(manifest.clients() == Texts{"skin"});
  CHECK_FALSE(manifest.multi_label);
  // Capitals before small letters, as Python sorts; the test's own class is a class, too.
  CHECK(manifest.classes == Texts{"Melanoma", "nevus", "wart"});
  CHECK(images_of(manifest, "train") ==
        Texts{"train/Melanoma/a.tiff", "train/nevus/1.png", "train/nevus/2.JPG"});
  CHECK(images_of(manifest, "test") == Texts{"test/nevus/3.jpeg", "test/wart/4.bmp"});
  CHECK(labels_of(manifest) ==
        std::vector<Texts>{{"Melanoma"}, {"nevus"}, {"nevus"}, {"nevus"}, {"wart"}});
  CHECK(manifest.examples[0].question.empty());
  CHECK(manifest.examples[0].answers.empty());
  CHECK(manifest.notes == Texts{"without a training image: \"wart\""});
}

TEST_CASE("splits have the names that Hugging Face's datasets know") {
  for (const char* train : {"train", "training"})
    for (const char* validation : {"validation", "valid", "dev", "val"})
      for (const char* test : {"test", "testing", "eval", "evaluation"}) {
        CAPTURE(train, validation, test);
        const TempDir folder;
        for (const std::string split : {train, validation, test})
          folder.write(split + "/a/1.png", "");
        // Validation joins training where there is a test.
        const Manifest with_test = load_data(folder.path(), labels());
        CHECK(images_of(with_test, "train") ==
              Texts{std::string(train) + "/a/1.png", std::string(validation) + "/a/1.png"});
        CHECK(images_of(with_test, "test") == Texts{std::string(test) + "/a/1.png"});
        std::filesystem::remove_all(folder / test);
        CHECK(images_of(load_data(folder.path(), labels()), "test") ==
              Texts{std::string(validation) + "/a/1.png"});
      }
}

TEST_CASE("metadata.jsonl says the label of every image, and who holds it") {
  const TempDir folder;
  for (const char* name : {"train/1.png", "train/deep/2.png", "train/3.png", "test/1.png"})
    folder.write(name, "");
  folder.write("train/metadata.jsonl", R"({"file_name":"deep/2.png","label":"wart","site":"Oslo"})"
                                       "\n\n"
                                       R"({"file_name":"1.png","label":"nevus","site":"Rome"})");
  folder.write("test/metadata.jsonl", R"({"file_name":"1.png","label":"nevus","site":"Oslo"})");
  const Manifest manifest = load_data(folder.path(), labels());
  CHECK_FALSE(manifest.multi_label);
  CHECK(manifest.classes == Texts{"nevus", "wart"});
  CHECK(images_of(manifest, "train") == Texts{"train/deep/2.png", "train/1.png"});
  CHECK(manifest.clients() == Texts{"Oslo", "Rome"});
  CHECK(manifest.notes == Texts{"1 image is left out: not named by " +
                                (folder / "train/metadata.jsonl").string() + " (first: 3.png)"});
  const Partition partition = make_partition(manifest, {});
  REQUIRE(partition.clients.size() == 2);
  CHECK(partition.clients[0].train == std::vector<int>{0});
  CHECK(partition.clients[0].test == std::vector<int>{2});
}

TEST_CASE("lists of labels are multi-label, and an empty one is an image without a finding") {
  const TempDir folder;
  for (const char* name : {"train/1.png", "train/2.png", "val/1.png"}) folder.write(name, "");
  folder.write("train/metadata.jsonl",
               R"({"file_name":"1.png","labels":["mass","edema"],"modality":"xray"})"
               "\n"
               R"({"file_name":"2.png","labels":[],"modality":"ct"})");
  folder.write("val/metadata.jsonl", R"({"file_name":"1.png","labels":["mass"],"modality":"ct"})");
  const Manifest manifest = load_data(folder.path(), labels());
  CHECK(manifest.multi_label);
  CHECK(manifest.classes == Texts{"edema", "mass"});
  CHECK(labels_of(manifest) == std::vector<Texts>{{"edema", "mass"}, {}, {"mass"}});
  CHECK(manifest.clients() == Texts{"xray", "ct"});
  CHECK(manifest.examples[2].split == "test");
}

TEST_CASE("metadata.csv is metadata.jsonl without lists") {
  const TempDir folder;
  for (const char* name : {"train/a,b.png", "test/1.png"}) folder.write(name, "");
  folder.write("train/metadata.csv", "file_name,label\n\"a,b.png\",\"normal, benign\"\n");
  folder.write("test/metadata.csv", "label,file_name\nmalignant,1.png\n");
  const Manifest manifest = load_data(folder.path(), labels());
  CHECK(manifest.classes == Texts{"malignant", "normal, benign"});
  CHECK(images_of(manifest, "train") == Texts{"train/a,b.png"});
  const std::string file = (folder / "test/metadata.csv").string();
  const auto error = [&](const std::string& text) {
    folder.write("test/metadata.csv", text);
    return input_error([&] { load_data(folder.path(), labels()); });
  };
  CHECK(error("file_name,label\n1.png,\n") ==
        file + ":2: label: the key is missing (a text was expected)");
  CHECK(error("file_name,label,labl\n1.png,a,b\n") ==
        file +
            ":2: labl: unknown key (did you mean \"label\"?); known are \"file_name\", \"label\", "
            "\"labels\", \"client\", \"site\", \"modality\"");
  CHECK(error("file_name,label,label\n1.png,a,b\n") ==
        file + ":1: the column \"label\" stands twice");
  CHECK(error("file_name,labels\n1.png,a\n") ==
        file + ":2: labels: the images before it have \"label\", a text each");
  CHECK(error("file_name,label\n") == file + ": no image in it");
}

TEST_CASE("wrong folders of classes are errors that name the folder or the file") {
  const auto error = [](const TempDir& folder) {
    const std::string text = input_error([&] { load_data(folder.path(), labels()); });
    CHECK(text.rfind(folder.path().string(), 0) == 0);
    return text.substr(std::min(text.size(), folder.path().string().size()));
  };
  const auto good = [](const TempDir& folder) {
    folder.write("train/a/1.png", "");
    folder.write("test/a/1.png", "");
  };
  {
    const TempDir folder;
    good(folder);
    folder.write("train/b/notes.txt", "");
    CHECK(error(folder) ==
          "/train/b: no image in this class's folder; its files' names end in \".png\", \".jpg\", "
          "\".jpeg\", \".tif\", \".tiff\", \".bmp\"");
    folder.write("train/b/1.webp", "");
    CHECK(contains(error(folder),
                   "/train/b/1.webp: images of this format cannot be read, those can"));
  }
  {
    const TempDir folder;
    folder.write("test/a/1.png", "");
    CHECK(error(folder) ==
          ": ImageFolder without a training split: there is no folder train/ or training/");
  }
  {
    const TempDir folder;
    folder.write("train/a/1.png", "");
    CHECK(contains(error(folder), ": ImageFolder without a test split: there is no folder test/"));
    std::filesystem::create_directories(folder / "test");
    CHECK(error(folder) ==
          "/test: no folder of a class in it, no metadata.jsonl and no metadata.csv");
  }
  {
    const TempDir folder;
    good(folder);
    folder.write("test/b/1.png", "");
    folder.write("testing/a/1.png", "");
    CHECK(error(folder) == ": test/ and testing/ are the same split; keep one");
  }
  {
    const TempDir folder;
    good(folder);
    folder.write("train/2.png", "");
    CHECK(contains(error(folder), "/train/2.png: an image without a class"));
  }
  {
    const TempDir folder;
    good(folder);
    folder.write("train/a/b/1.png", "");
    CHECK(contains(error(folder), "/train/a/b: a folder in a class's folder; torchvision takes"));
  }
  {
    const TempDir folder;
    good(folder);
    folder.write("test/1.png", "");
    folder.write("test/metadata.jsonl", R"({"file_name":"1.png","label":"a"})");
    CHECK(error(folder) == "/test: has metadata, the splits before it folders of classes");
  }
  {
    const TempDir folder;
    good(folder);
    folder.write("train/b\xff/1.png", "");
    CHECK(error(folder) == "/train: the name of a file or folder in it is not valid UTF-8");
  }
}

TEST_CASE("wrong lines of metadata are errors with file, line and key") {
  const TempDir folder;
  folder.write("train/1.png", "");
  folder.write("test/1.png", "");
  folder.write("test/metadata.jsonl", R"({"file_name":"1.png","label":"a"})");
  const std::string file = (folder / "train/metadata.jsonl").string();
  const std::string good = R"({"file_name":"1.png","label":"a"})";
  const auto error = [&](const std::string& lines) {
    folder.write("train/metadata.jsonl", lines);
    const std::string text = input_error([&] { load_data(folder.path(), labels()); });
    CHECK(text.rfind(file, 0) == 0);
    return text.substr(std::min(text.size(), file.size()));
  };
  CHECK(error(R"({"file_nam":"1.png","label":"a"})") ==
        ":1: file_name: the key is missing (a text was expected); \"file_nam\" is there");
  CHECK(error(R"({"file_name":"1.png","label":"a","cleint":"x"})") ==
        ":1: cleint: unknown key (did you mean \"client\"?); known are \"file_name\", \"label\", "
        "\"labels\", \"client\", \"site\", \"modality\"");
  CHECK(error(R"({"file_name":"2.png","label":"a"})") ==
        ":1: file_name: the image " + (folder / "train/2.png").string() + " does not exist");
  CHECK(contains(error(R"({"file_name":"../../2.png","label":"a"})"),
                 ":1: file_name: \"train/../../2.png\" is outside of the data set's folder"));
  CHECK(error(R"({"file_name":"1.png","labels":[]})"
              "\n"
              R"({"file_name":"1.png"})") ==
        ":2: labels: the key is missing (a list of texts was expected)");
  CHECK(error(good + "\n" + R"({"file_name":"./1.png","label":"a"})") ==
        ":2: file_name: \"./1.png\" stands twice");
  CHECK(error(R"({"file_name":"1.png","label":"a","site":"x","client":"y"})") ==
        ":1: site: stands beside \"client\"; one of them says who holds the image");
  folder.write("train/2.png", "");
  CHECK(error(good + "\n" + R"({"file_name":"2.png","label":"a","site":"x"})") ==
        ":2: site: the images before it have none");
  CHECK(error(R"({"file_name":"1.png","label":"a","site":"x"})"
              "\n"
              R"({"file_name":"2.png","label":"a"})") ==
        ":2: site: the key is missing (a text, as the images before have, was expected)");
  CHECK(error(R"({"file_name":"1.png","label":"a","site":"x"})"
              "\n"
              R"({"file_name":"2.png","label":"a","client":"x"})") ==
        ":2: client: the images before it have \"site\"");
  CHECK(error("\n") == ": no image in it");
  folder.write("train/metadata.csv", "");
  CHECK(error(good) == " and metadata.csv beside it say the same; keep one");
}

TEST_CASE("folders of data sets, and sets with their own layout, are no ImageFolder") {
  const TempDir folder;
  const std::string line =
      R"({"image":"images/1.png","question":"is it?","answers":["yes"],"split":"train","client":"ct","answer_type":"closed"})";
  for (const char* name : {"train", "test"}) {
    folder.write(std::string(name) + "/manifest.jsonl", line);
    folder.write(std::string(name) + "/images/1.png", "");
  }
  CHECK(find_dataset(folder.path()) == nullptr);
  CHECK(find_inner_dataset(folder.path()) == nullptr);
  CHECK(load_data(folder.path()).examples.size() == 2);
  // VQA-Med's archives have folders of images beside the text files.
  const TempDir med;
  med.write("train/All_QA_Pairs_train.txt", "a|what is it?|cyst\n");
  med.write("train/images/a.jpg", "");
  CHECK(load_data(med.path()).name == "vqa-med-2019");
  LoadOptions options;
  options.questions_only = true;
  CHECK(load_data(med.path(), options).examples.size() == 1);
}

TEST_CASE("an ImageFolder has no texts") {
  const TempDir folder;
  folder.write("train/nodule/1.png", "");
  folder.write("test/nodule/2.png", "");
  LoadOptions options;
  options.reading = Reading::kLabelledTexts;
  CHECK(contains(input_error([&] { load_data(folder.path(), options); }),
                 "ImageFolder: it has no labels with texts beside the images"));
}
