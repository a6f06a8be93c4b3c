#include "data/volume_cases.h"

#include <map>

#include "support/error_text.h"
#include "support/volume_files.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::data;
using namespace strata::test;

namespace {

Manifest read(const TempDir& folder) {
  LoadOptions options;
  options.reading = Reading::kMasks;
  return load_data(folder.path(), options);
}

}  // namespace

TEST_CASE("SAML's sites, with the test cases that are published for each") {
  const TempDir folder;
  const std::map<std::string, std::pair<int, int>> cases = {{"RUNMC", {0, 30}}, {"BMC", {0, 30}},
                                                            {"I2CVB", {0, 19}}, {"UCL", {25, 38}},
                                                            {"BIDMC", {0, 12}}, {"HK", {37, 49}}};
  for (const auto& [site, range] : cases)
    for (int i = range.first; i < range.second; ++i) {
      const std::string name = site + "/Case" + std::string(i < 10 ? "0" : "") + std::to_string(i);
      folder.write(name + ".nii.gz", "");
      folder.write(name + (site == "BMC" ? "_Segmentation.nii.gz" : "_segmentation.nii.gz"), "");
    }
  folder.write("UCL/Case01.nii.gz", "");
  folder.write("UCL/Case01_segmentation.nii.gz", "");
  folder.write("UCL/notes.txt", "");
  const Manifest manifest = read(folder);
  CHECK(manifest.name == "prostate");
  CHECK(manifest.examples.size() == 117);
  CHECK(manifest.clients() ==
        std::vector<std::string>{"RUNMC", "BMC", "I2CVB", "UCL", "BIDMC", "HK"});
  std::map<std::string, std::string> tests;
  for (const Example& example : manifest.examples)
    if (example.tests())
      tests[example.client] += " " + example.image.substr(example.image.find('/') + 5, 2);
  CHECK(tests == std::map<std::string, std::string>{{"RUNMC", " 03 08 12 15 18 26"},
                                                    {"BMC", " 03 08 12 15 18 26"},
                                                    {"I2CVB", " 03 08 13 15"},
                                                    {"UCL", " 01 32 34"},
                                                    {"BIDMC", " 00 04 09"},
                                                    {"HK", " 38 41 46"}});
  CHECK(manifest.examples[30].mask == "BMC/Case00_Segmentation.nii.gz");
  CHECK(manifest.notes.empty());
}

TEST_CASE("FedFMS's folders, labels above 1 and intensities cut off at the quantile 0.99") {
  const TempDir folder;
  write_case(folder / "ISBI/images/Case02.nii.gz", folder / "ISBI/labels/Case02.nii.gz", 2);
  write_case(folder / "ISBI_1.5/images/Case03.nii.gz", folder / "ISBI_1.5/labels/Case03.nii.gz");
  const Manifest manifest = read(folder);
  REQUIRE(manifest.examples.size() == 2);
  CHECK(manifest.examples[0].client == "RUNMC");
  CHECK(manifest.examples[0].image == "ISBI/images/Case02.nii.gz");
  CHECK(manifest.examples[1].client == "BMC");
  CHECK(manifest.examples[1].tests());
  CHECK(manifest.notes.size() == 4);
  const VolumeCase read = read_case(manifest, manifest.examples[0]);
  CHECK(read.mask.labels[1] == 1);
  // Of 0, 0, 0, 0, 10, …, 60, 60, 60: numpy.quantile(·, 0.99) is 60.
  CHECK(read.image.values[0] == 0);
  CHECK(read.image.values[3] == Approx(0.5));
  Volume image;
  image.size = {5, 1, 1};
  image.values = {1, 2, 3, 4, 100};
  adjust_intensities(image, *manifest.volumes, "RUNMC", "file");
  // numpy.quantile([1, 2, 3, 4, 100], 0.99) = 96.16
  CHECK(image.values[1] == Approx(1 / 95.16));
  CHECK(image.values[4] == 1);
  image.values.assign(5, 7);
  adjust_intensities(image, *manifest.volumes, "RUNMC", "file");
  CHECK(image.values == std::vector<float>(5, 0));
  std::filesystem::remove(folder / "ISBI/labels/Case02.nii.gz");
  LoadOptions masks;
  masks.reading = Reading::kMasks;
  CHECK(contains(input_error([&] { load_data(folder.path(), masks); }),
                 "ISBI/images/Case02.nii.gz: its mask is missing"));
}
