#include "data/volume_cases.h"

#include <map>

#include "data/partition.h"
#include "support/error_text.h"
#include "support/volume_files.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::data;
using namespace strata::test;

namespace {

LoadOptions masks() {
  LoadOptions options;
  options.reading = Reading::kMasks;
  return options;
}

void write_raw(const TempDir& folder, const std::string& name, int label = 2) {
  write_case(folder / ("data/" + name + "/imaging.nii.gz"),
             folder / ("data/" + name + "/segmentation.nii.gz"), label);
}

}  // namespace

TEST_CASE("KiTS19's cases are at FLamby's sites, in its split") {
  const TempDir folder;
  for (const char* name : {"case_00021", "case_00208", "case_00000", "case_00118", "case_00158"})
    write_raw(folder, name);
  write_raw(folder, "case_00004");
  folder.write("data/case_00210/imaging.nii.gz", "not looked at");
  const Manifest manifest = load_data(folder.path(), masks());
  CHECK(manifest.name == "fed-kits19");
  CHECK(manifest.classes == std::vector<std::string>{"kidney", "tumor"});
  CHECK(manifest.volumes->slice_axis == 0);
  REQUIRE(manifest.examples.size() == 5);
  CHECK(manifest.examples[0].image == "data/case_00021/imaging.nii.gz");
  CHECK(manifest.examples[0].mask == "data/case_00021/segmentation.nii.gz");
  CHECK(manifest.examples[0].client == "site-A");
  CHECK(manifest.examples[0].trains());
  CHECK(manifest.examples[1].tests());
  CHECK(manifest.examples[2].client == "site-B");
  CHECK(manifest.examples[3].client == "site-F");
  CHECK(manifest.examples[3].trains());
  CHECK(manifest.examples[4].tests());
  REQUIRE(manifest.notes.size() == 2);
  CHECK(manifest.notes[0] ==
        "91 of the 96 volumes of the published split are not here (first: case_00038)");
  CHECK(manifest.notes[1] ==
        "2 records left out: they are of no site with ten cases or more, or have no mask (first: "
        "case_00004)");
  const VolumeCase read = read_case(manifest, manifest.examples[2]);
  CHECK(read.mask.labels[1] == 2);
  CHECK(partition_table(manifest, make_partition(manifest, {})).find("volumes") !=
        std::string::npos);
}

TEST_CASE("the 96 cases of the six sites: 74 for training, 22 for testing") {
  const TempDir folder;
  for (int i = 0; i < 210; ++i) {
    char name[16];
    std::snprintf(name, sizeof name, "case_%05d", i);
    for (const char* file : {"/imaging.nii.gz", "/segmentation.nii.gz"})
      folder.write(std::string(name) + file, "");
  }
  const Manifest manifest = load_data(folder.path(), masks());
  std::map<std::string, int> counts;
  for (const Example& example : manifest.examples) ++counts[example.client + " " + example.split];
  CHECK(counts == std::map<std::string, int>{{"site-A train", 9},
                                             {"site-A test", 3},
                                             {"site-B train", 11},
                                             {"site-B test", 3},
                                             {"site-C train", 9},
                                             {"site-C test", 3},
                                             {"site-D train", 9},
                                             {"site-D test", 3},
                                             {"site-E train", 12},
                                             {"site-E test", 4},
                                             {"site-F train", 24},
                                             {"site-F test", 6}});
  CHECK(manifest.examples[0].image == "case_00021/imaging.nii.gz");
  int sum = 0;
  for (const Example& example : manifest.examples) sum += std::stoi(example.image.substr(5, 5));
  CHECK(sum == 9554);
}

TEST_CASE("KiTS19 in nnU-Net's layout for each site, and intensities within the site's window") {
  const TempDir folder;
  const auto site = folder / "KiTS2019_siteC";
  write_case(site / "imagesTr/case_00003_0000.nii.gz", site / "labelsTr/case_00003.nii.gz", 3);
  Volume image = small_volume();
  image.values[0] = -500;
  image.values[1] = 500;
  write_nifti(site / "imagesTr/case_00003_0000.nii.gz", image, VoxelType::kInt16);
  const Manifest manifest = load_data(folder.path(), masks());
  REQUIRE(manifest.examples.size() == 1);
  CHECK(manifest.examples[0].client == "site-C");
  const VolumeCase read = read_case(manifest, manifest.examples[0]);
  CHECK(read.image.values[0] == -89);
  CHECK(read.image.values[1] == 325);
  CHECK(read.image.values[2] == 20);
  CHECK(read.mask.labels[1] == 2);  // 3 in the file
}

TEST_CASE("a case of KiTS19 without its mask, with a mask of another shape, or none at all") {
  const TempDir folder;
  write_raw(folder, "case_00021");
  const auto mask = folder / "data/case_00021/segmentation.nii.gz";
  std::filesystem::remove(mask);
  CHECK(input_error([&] { load_data(folder.path(), masks()); }) ==
        (folder / "data/case_00021/imaging.nii.gz").string() +
            ": its mask is missing; looked for \"data/case_00021/segmentation.nii.gz\", "
            "\"data/case_00021/segmentation.nii\" in " +
            folder.path().string());
  write_nifti(mask, small_mask({4, 2, 3}));
  const Manifest manifest = load_data(folder.path(), masks());
  CHECK(input_error([&] { check_case(manifest, manifest.examples[0]); }) ==
        mask.string() + ": the mask has the shape (4, 2, 3), its image " +
            (folder / "data/case_00021/imaging.nii.gz").string() + " has (4, 3, 2)");
  std::filesystem::remove(folder / "data/case_00021/imaging.nii.gz");
  CHECK(contains(input_error([&] { load_data(folder.path(), masks()); }),
                 "segmentation.nii.gz: its image is missing; looked for "));
  const TempDir other;
  other.write("case_00215/imaging.nii.gz", "");
  CHECK(input_error([&] { load_data(other.path(), masks()); }) ==
        other.path().string() + ": none of the 96 volumes of the published split is here");
  LoadOptions questions;
  CHECK(contains(input_error([&] { load_data(other.path(), questions); }),
                 "Fed-KiTS19: it has volumes with masks, no questions"));
  questions.reading = Reading::kLabels;
  CHECK(contains(input_error([&] { load_data(other.path(), questions); }),
                 "it has volumes with masks, no labels"));
}
