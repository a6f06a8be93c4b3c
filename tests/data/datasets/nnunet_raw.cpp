#include "data/manifest.h"
#include "support/error_text.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::data;
using namespace strata::test;

namespace {

struct NnunetFolder {
  TempDir folder;
  std::string second =
      R"({"channel_names":{"0":"CT"},"labels":{"background":0,"kidney":1,"tumor":2},"numTraining":2})";

  NnunetFolder() {
    for (const char* name : {"a", "b_1"}) {
      folder.write(std::string("imagesTr/") + name + "_0000.nii.gz", "");
      folder.write(std::string("labelsTr/") + name + ".nii.gz", "");
    }
    folder.write("imagesTs/c_0000.nii.gz", "");
    folder.write("dataset.json", second);
  }
  Manifest read() const {
    LoadOptions options;
    options.reading = Reading::kMasks;
    return load_data(folder.path(), options);
  }
  std::string error(const std::string& description) const {
    folder.write("dataset.json", description);
    return input_error([&] { read(); });
  }
};

}  // namespace

TEST_CASE_METHOD(NnunetFolder, "nnU-Net's raw layout, with labels of either version") {
  Manifest manifest = read();
  CHECK(manifest.classes == std::vector<std::string>{"kidney", "tumor"});
  REQUIRE(manifest.examples.size() == 2);
  CHECK(manifest.examples[0].image == "imagesTr/a_0000.nii.gz");
  CHECK(manifest.examples[0].mask == "labelsTr/a.nii.gz");
  CHECK(manifest.examples[1].image == "imagesTr/b_1_0000.nii.gz");
  CHECK(manifest.examples[0].client == folder.path().filename().string());
  CHECK(manifest.notes ==
        std::vector<std::string>{
            "volumes of imagesTs left out, as they have no masks (labelsTs): 1",
            "no test with masks: one case in five, by a hash of its name, is for testing"});
  folder.write("labelsTs/c.nii.gz", "");
  folder.write("dataset.json",
               R"({"name":"KiTS","labels":{"0":"background","2":"tumor","1":"kidney"}})");
  manifest = read();
  CHECK(manifest.classes == std::vector<std::string>{"kidney", "tumor"});
  REQUIRE(manifest.examples.size() == 3);
  CHECK(manifest.examples[0].trains());
  CHECK(manifest.examples[1].trains());
  CHECK(manifest.examples[2].tests());
  CHECK(manifest.examples[2].image == "imagesTs/c_0000.nii.gz");
  CHECK(manifest.notes.empty());
}

TEST_CASE_METHOD(NnunetFolder, "labels and channels that cannot be read are named") {
  CHECK(contains(error(R"({"labels":{"background":0,"whole":[1,2]}})"),
                 "dataset.json: labels.whole: is a region of several labels"));
  CHECK(contains(error(R"({"labels":{"background":0,"a":1,"ignore":2}})"),
                 "labels.ignore: voxels that are ignored cannot be read"));
  CHECK(contains(error(R"({"labels":{"background":0,"a":2}})"),
                 "labels.a: has the label 2, "
                 "expected 1"));
  CHECK(contains(error(R"({"labels":{"background":0,"a":1,"b":1}})"),
                 "labels.b: the label 1 stands twice"));
  CHECK(
      contains(error(R"({"labels":{"background":0}})"), "labels: no class beside the background"));
  CHECK(contains(error(R"({"label":{}})"), "labels"));
  std::filesystem::remove(folder / "dataset.json");
  CHECK(contains(input_error([&] { read(); }),
                 "dataset.json: no such file; its \"labels\" name the classes"));
  folder.write("dataset.json", second);
  folder.write("imagesTr/a_0001.nii.gz", "");
  CHECK(
      contains(input_error([&] { read(); }), "imagesTr/a_0001: is a further channel of the image"));
  std::filesystem::remove(folder / "imagesTr/a_0001.nii.gz");
  std::filesystem::remove(folder / "labelsTr/a.nii.gz");
  CHECK(contains(input_error([&] { read(); }),
                 "imagesTr/a_0000.nii.gz: its mask is missing; looked for \"labelsTr/a.nii.gz\""));
}
