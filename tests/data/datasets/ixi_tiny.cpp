#include "data/manifest.h"
#include "support/error_text.h"
#include "support/volume_files.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::data;
using namespace strata::test;

namespace {

struct IxiFolder {
  TempDir folder;
  std::string table =
      "Patient ID,Manufacturer,Split\n2,0,test\n12,1,train\n35,2,train\n99,0,train\n";

  void add(const std::string& name) const {
    const auto own = folder / ("IXI_sample/" + name);
    write_case(own / ("T1/" + name + "_image.nii.gz"), own / ("label/" + name + "_label.nii.gz"));
  }
  void add_flat(const std::string& name) const {
    write_case(folder / ("image/" + name + "_image.nii.gz"),
               folder / ("label/" + name + "_label.nii.gz"));
  }
  Manifest read() const {
    LoadOptions options;
    options.reading = Reading::kMasks;
    return load_data(folder.path(), options);
  }
};

}  // namespace

TEST_CASE_METHOD(IxiFolder, "IXI's volumes by hospital, in FLamby's split") {
  for (const char* name : {"IXI002-Guys-0828", "IXI012-HH-1211", "IXI035-IOP-0873"}) add(name);
  add("IXI700-Guys-0001");
  folder.write("metadata_tiny.csv", table);
  const Manifest manifest = read();
  CHECK(manifest.name == "ixi-tiny");
  CHECK(manifest.classes == std::vector<std::string>{"brain"});
  CHECK(manifest.volumes == VolumeReading{});
  REQUIRE(manifest.examples.size() == 3);
  CHECK(manifest.examples[0].image ==
        "IXI_sample/IXI002-Guys-0828/T1/IXI002-Guys-0828_image.nii.gz");
  CHECK(manifest.examples[0].mask ==
        "IXI_sample/IXI002-Guys-0828/label/IXI002-Guys-0828_label.nii.gz");
  CHECK(manifest.examples[0].client == "Guys");
  CHECK(manifest.examples[0].tests());
  CHECK(manifest.examples[1].client == "HH");
  CHECK(manifest.examples[1].trains());
  CHECK(manifest.examples[2].client == "IOP");
  CHECK(manifest.notes ==
        std::vector<std::string>{
            "1 record left out: metadata_tiny.csv does not have them (first: IXI700-Guys-0001)",
            "patients of metadata_tiny.csv without a volume here: 1"});
}

TEST_CASE_METHOD(IxiFolder, "TorchIO's flat folder, and a split by hash without a table") {
  for (int i = 1; i <= 60; ++i) {
    char name[24];
    std::snprintf(name, sizeof name, "IXI%03d-Guys-0001", i);
    folder.write(std::string("image/") + name + "_image.nii.gz", "");
    folder.write(std::string("label/") + name + "_label.nii.gz", "");
  }
  const Manifest manifest = read();
  REQUIRE(manifest.examples.size() == 60);
  CHECK(manifest.examples[4].image == "image/IXI005-Guys-0001_image.nii.gz");
  CHECK(manifest.examples[4].mask == "label/IXI005-Guys-0001_label.nii.gz");
  int tests = 0;
  for (const Example& example : manifest.examples) tests += example.tests();
  CHECK(tests == 12);
  REQUIRE(manifest.notes.size() == 1);
  CHECK(contains(manifest.notes[0], "metadata_tiny.csv is not here: one volume in five"));
}

TEST_CASE_METHOD(IxiFolder, "what is not as IXI Tiny has it is an error that names the file") {
  add("IXI002-Guys-0828");
  const auto error = [&] { return input_error([&] { read(); }); };
  folder.write("metadata_tiny.csv", "Patient ID,Manufacturer,Split\n2,1,test\n");
  CHECK(contains(error(),
                 "metadata_tiny.csv:2: Manufacturer: 1 is HH, but the patient's volume is "
                 "of Guys"));
  folder.write("metadata_tiny.csv", "Patient ID,Manufacturer,Split\n2,0,tset\n");
  CHECK(contains(error(),
                 "metadata_tiny.csv:2: Split: \"tset\" is not one of \"train\", \"test\" "
                 "(did you mean \"test\"?)"));
  folder.write("metadata_tiny.csv", "Patient ID,Manufacturer,Split\n3,0,test\n");
  CHECK(contains(error(), "metadata_tiny.csv: no patient of it has a volume here"));
  folder.write("metadata_tiny.csv", "Patient ID,Manufacturer,Split\n2,0,test\n2,0,test\n");
  CHECK(contains(error(), "metadata_tiny.csv:3: Patient ID: the patient stands twice"));
  std::filesystem::remove(folder / "metadata_tiny.csv");
  add("IXI003-Guyz-0001");
  CHECK(contains(error(),
                 "the hospital \"Guyz\" is not one of \"Guys\", \"HH\", \"IOP\" (did you "
                 "mean \"Guys\"?)"));
  std::filesystem::remove_all(folder / "IXI_sample/IXI003-Guyz-0001");
  std::filesystem::remove_all(folder / "IXI_sample/IXI002-Guys-0828/label");
  CHECK(contains(error(), "IXI002-Guys-0828_image.nii.gz: its mask is missing"));
  std::filesystem::remove_all(folder / "IXI_sample/IXI002-Guys-0828/T1");
  CHECK(contains(error(), "IXI002-Guys-0828/: no volume in it; looked for \"T1/"));
}
