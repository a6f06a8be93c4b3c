#include <map>
#include <set>

#include "data/manifest.h"
#include "support/error_text.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::data;
using namespace strata::test;

namespace {

LoadOptions labels_of_lesions() {
  LoadOptions options;
  options.reading = Reading::kLabels;
  return options;
}

/// Twenty lesions of two classes and two sites; every other lesion has two images, one in either
/// part.
struct Lesions {
  TempDir folder;
  std::string table = "lesion_id,image_id,dx,dx_type,age,sex,localization,dataset\n";

  Lesions() {
    for (int lesion = 0; lesion < 20; ++lesion)
      for (int image = 0; image <= lesion % 2; ++image) {
        const std::string id = "ISIC_" + std::to_string(100 + 2 * lesion + image);
        table += "HAM_" + std::to_string(lesion) + "," + id + "," + (lesion < 10 ? "nv" : "df") +
                 ",histo,50.0,male,back," + (lesion % 4 ? "vidir_modern" : "rosendahl") + "\n";
        folder.write("HAM10000_images_part_" + std::to_string(image + 1) + "/" + id + ".jpg", "");
      }
    folder.write("HAM10000_metadata", table);
  }
  Manifest read() const { return load_data(folder.path(), labels_of_lesions()); }
  std::string error(const std::string& from, const std::string& to) const {
    std::string text = table;
    const auto at = text.find(from);
    REQUIRE(at != std::string::npos);
    folder.write("HAM10000_metadata", text.replace(at, from.size(), to));
    const std::string message = input_error([&] { read(); });
    folder.write("HAM10000_metadata", table);
    return message;
  }
};

}  // namespace

TEST_CASE_METHOD(Lesions, "HAM10000's images, classes and sites") {
  const Manifest manifest = read();
  CHECK(manifest.name == "ham10000");
  CHECK(manifest.classes ==
        std::vector<std::string>{"akiec", "bcc", "bkl", "df", "mel", "nv", "vasc"});
  CHECK_FALSE(manifest.multi_label);
  REQUIRE(manifest.examples.size() == 30);
  CHECK(manifest.examples[0].image == "HAM10000_images_part_1/ISIC_100.jpg");
  CHECK(manifest.examples[0].labels == std::vector<std::string>{"nv"});
  CHECK(manifest.examples[0].client == "rosendahl");
  CHECK(manifest.examples[2].image == "HAM10000_images_part_2/ISIC_103.jpg");
  CHECK(manifest.examples[2].client == "vidir_modern");
  CHECK(manifest.examples[29].labels == std::vector<std::string>{"df"});
  CHECK(manifest.examples[0].lesion == "HAM_0");
  CHECK(manifest.examples[1].lesion == "HAM_1");
  CHECK(manifest.examples[2].lesion == "HAM_1");
}

TEST_CASE_METHOD(Lesions, "no lesion of HAM10000 is in both splits, and each class is in both") {
  const Manifest manifest = read();
  std::map<std::string, std::set<std::string>> lesions;
  for (const Example& example : manifest.examples) {
    const int number = std::stoi(example.image.substr(example.image.size() - 7, 3)) - 100;
    lesions[example.labels[0] + " " + example.split].insert(std::to_string(number / 2));
  }
  CHECK(lesions["nv train"].size() == 8);
  CHECK(lesions["nv test"].size() == 2);
  CHECK(lesions["df train"].size() == 8);
  CHECK(lesions["df test"].size() == 2);
}

TEST_CASE_METHOD(Lesions, "Kaggle's copy of HAM10000 has no sites and is one client") {
  std::filesystem::remove(folder / "HAM10000_metadata");
  folder.write("HAM10000_metadata.csv",
               "lesion_id,image_id,dx,dx_type,age,sex,localization\nHAM_0,ISIC_1,mel,histo,,,\n");
  folder.write("images/ISIC_1.jpg", "");
  const Manifest manifest = read();
  REQUIRE(manifest.examples.size() == 1);
  CHECK(manifest.examples[0].client == "ham10000");
  CHECK(manifest.examples[0].image == "images/ISIC_1.jpg");
}

TEST_CASE_METHOD(Lesions, "what is not as HAM10000 has it is an error with line and column") {
  CHECK(contains(error("dx,", "diagnosis,"), "HAM10000_metadata: the column \"dx\" is missing"));
  CHECK(contains(error("lesion_id", "lesion"), "the column \"lesion_id\" is missing"));
  CHECK(contains(error(",image_id", ",image"), "the column \"image_id\" is missing"));
  CHECK(contains(error("ISIC_102,nv", "ISIC_102,mell"),
                 "HAM10000_metadata:3: dx: \"mell\" is not one of \"akiec\", \"bcc\", \"bkl\", "
                 "\"df\", \"mel\", \"nv\", \"vasc\" (did you mean \"mel\"?)"));
  CHECK(contains(error("HAM_1,", ","), "HAM10000_metadata:3: lesion_id: the field is empty"));
  CHECK(contains(error("vidir_modern", ""), "HAM10000_metadata:3: dataset: the field is empty"));
  CHECK(contains(error("ISIC_102", "ISIC_100"),
                 "HAM10000_metadata:3: image_id: the image ISIC_100 stands twice"));
  CHECK(contains(error("ISIC_102", "ISIC_9"),
                 "HAM10000_metadata:3: image_id: the image " +
                     (folder / "HAM10000_images_part_1/ISIC_9.jpg").string() +
                     " does not exist, nor in the same folder "
                     "\"HAM10000_images_part_2/ISIC_9.jpg\", \"images/ISIC_9.jpg\", "
                     "\"ISIC_9.jpg\""));
  CHECK(contains(error("ISIC_102", "../../ISIC_9"), "is outside of the data set's folder"));
}
