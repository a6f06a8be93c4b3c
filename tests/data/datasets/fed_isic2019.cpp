#include "data/manifest.h"
#include "support/error_text.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::data;
using namespace strata::test;

namespace {

const std::string kFolds =
    "image,MEL,NV,BCC,AK,BKL,DF,VASC,SCC,UNK,target,center,fold,fold2\n"
    "ISIC_1,0.0,1.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,1,1,train,train_1\n"
    "ISIC_2_downsampled,1.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0,0,train,train_0\n"
    "ISIC_3,0.0,0.0,0.0,0.0,0.0,0.0,0.0,1.0,0.0,7,1,test,test_1\n"
    "ISIC_4,0.0,0.0,1.0,0.0,0.0,0.0,0.0,0.0,0.0,2,0,test,test_0\n";
const std::string kPreprocessed = "ISIC_2019_Training_Input_preprocessed/";

struct Centers {
  TempDir folder;

  Centers() {
    folder.write("train_test_split", kFolds);
    for (const char* name : {"ISIC_1", "ISIC_2_downsampled", "ISIC_3", "ISIC_4"})
      folder.write(kPreprocessed + name + ".jpg", "");
  }
  Manifest read() const {
    LoadOptions options;
    options.reading = Reading::kLabels;
    return load_data(folder.path(), options);
  }
  std::string error(const std::string& from, const std::string& to) const {
    std::string text = kFolds;
    const auto at = text.find(from);
    REQUIRE(at != std::string::npos);
    folder.write("train_test_split", text.replace(at, from.size(), to));
    return input_error([&] { read(); });
  }
};

}  // namespace

TEST_CASE_METHOD(Centers, "Fed-ISIC2019's centers are the clients, and its folds the splits") {
  const Manifest manifest = read();
  CHECK(manifest.name == "fed-isic2019");
  CHECK(manifest.classes ==
        std::vector<std::string>{"MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC"});
  CHECK(manifest.clients() == std::vector<std::string>{"center-0", "center-1"});
  REQUIRE(manifest.examples.size() == 4);
  const Example &first = manifest.examples[0], &second = manifest.examples[1],
                &third = manifest.examples[2], &fourth = manifest.examples[3];
  CHECK(first.image == kPreprocessed + "ISIC_2_downsampled.jpg");
  CHECK(first.labels == std::vector<std::string>{"MEL"});
  CHECK(first.split == "train");
  CHECK(second.labels == std::vector<std::string>{"BCC"});
  CHECK(second.split == "test");
  CHECK(third.labels == std::vector<std::string>{"NV"});
  CHECK(third.client == "center-1");
  CHECK(fourth.labels == std::vector<std::string>{"SCC"});
  CHECK(fourth.split == "test");
}

TEST_CASE_METHOD(Centers, "Fed-ISIC2019 with images as they were, and its table as .csv") {
  std::filesystem::rename(folder / "train_test_split", folder / "train_test_split.csv");
  std::filesystem::rename(folder / "ISIC_2019_Training_Input_preprocessed",
                          folder / "ISIC_2019_Training_Input");
  CHECK(read().examples[3].image == "ISIC_2019_Training_Input/ISIC_3.jpg");
}

TEST_CASE_METHOD(Centers,
                 "Fed-ISIC2019's lesions are those of ISIC 2019's own table, where it is there") {
  for (const Example& example : read().examples) CHECK(example.lesion.empty());
  CHECK(read().notes.empty());
  const std::string table =
      "image,age_approx,anatom_site_general,lesion_id,sex\n"
      "ISIC_0,,,,\n"
      "ISIC_4,55,head/neck,BCN_4,female\n"
      "ISIC_3,,,HAM_1,\n"
      "ISIC_2_downsampled,5,head/neck,BCN_2,male\n"
      "ISIC_1,,,HAM_1,\n";
  const std::string name = "ISIC_2019_Training_Metadata.csv";
  folder.write(name, table);
  const Manifest manifest = read();
  std::vector<std::string> lesions;
  for (const Example& example : manifest.examples) lesions.push_back(example.lesion);
  CHECK(lesions == std::vector<std::string>{"BCN_2", "BCN_4", "HAM_1", "HAM_1"});
  REQUIRE(manifest.notes.size() == 1);
  CHECK(
      manifest.notes[0] ==
      "lesions with images for training and for testing, as FLamby's folds are of images: 1 of 3");

  const auto refused = [&](const std::string& other) {
    folder.write(name, other);
    return input_error([&] { read(); });
  };
  const std::string file = (folder / name).string();
  CHECK(contains(refused(table.substr(0, table.find("ISIC_1"))),
                 "train_test_split:2: image: the image ISIC_1 has no lesion_id in " + file));
  std::string without = table;
  without.replace(without.find("BCN_4"), 5, "");
  CHECK(contains(refused(without),
                 "train_test_split:5: image: the image ISIC_4 has no lesion_id in " + file));
  CHECK(contains(refused("image,lesion\nISIC_1,HAM_1\n"),
                 name + ": the column \"lesion_id\" is missing"));
}

TEST_CASE_METHOD(Centers, "what is not as FLamby has it is an error with line and column") {
  CHECK(contains(error("center", "centre"),
                 "train_test_split: the column \"center\" is missing (did you mean \"centre\"?)"));
  CHECK(contains(error("image,", "images,"), "the column \"image\" is missing"));
  CHECK(contains(error(",fold,", ",part,"), "the column \"fold\" is missing"));
  CHECK(contains(error("target", "label"), "the column \"target\" is missing"));
  CHECK(contains(error("0.0,7,1", "0.0,8,1"),
                 "train_test_split:4: target: \"8\" is not one of "
                 "\"0\", \"1\", \"2\""));
  CHECK(contains(error("0.0,7,1", "0.0,7,6"), "train_test_split:4: center: \"6\" is not one of"));
  CHECK(contains(error("test,", "tset,"),
                 "train_test_split:4: fold: \"tset\" is not one of "
                 "\"train\", \"test\" (did you mean \"test\"?)"));
  CHECK(contains(error("ISIC_3", "ISIC_1"),
                 "train_test_split:4: image: the image ISIC_1 stands twice"));
  CHECK(contains(error("ISIC_3", "ISIC_9"), "train_test_split:4: image: the image " +
                                                (folder / (kPreprocessed + "ISIC_9.jpg")).string() +
                                                " does not exist, nor in the same folder "
                                                "\"ISIC_2019_Training_Input/ISIC_9.jpg\""));
}
