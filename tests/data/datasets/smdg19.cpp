#include <map>
#include <set>

#include "data/manifest.h"
#include "support/error_text.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::data;
using namespace strata::test;

namespace {

const std::string kMetadata = "metadata - standardized.csv";

/// Ten images of either class of PAPILA, and ten healthy ones of OIA-ODIR in two parts, one of
/// them a suspect.
struct Fundus {
  TempDir folder;
  std::string table = "names,types,fundus,fundus_od_seg,fundus_oc_seg,bv_seg\n";

  void add(const std::string& name, const std::string& type) {
    table += name + "," + type + ",/full-fundus/" + name + ".png,,,\n";
    folder.write("full-fundus/full-fundus/" + name + ".png", "");
  }
  Fundus() {
    for (int i = 1; i <= 20; ++i) add("PAPILA-" + std::to_string(i), i <= 10 ? "1" : "0");
    for (int i = 1; i <= 10; ++i)
      add((i % 2 ? "OIA-ODIR-TRAIN-" : "OIA-ODIR-TEST-ONLINE-") + std::to_string(i),
          i == 4 ? "-1" : "0");
    folder.write(kMetadata, table);
  }
  Manifest read() const {
    LoadOptions options;
    options.reading = Reading::kLabels;
    return load_data(folder.path(), options);
  }
  std::string error(const std::string& from, const std::string& to) const {
    std::string text = table;
    const auto at = text.find(from);
    REQUIRE(at != std::string::npos);
    folder.write(kMetadata, text.replace(at, from.size(), to));
    return input_error([&] { read(); });
  }
};

}  // namespace

TEST_CASE_METHOD(Fundus, "SMDG-19's sources are the clients, and suspects are left out") {
  const Manifest manifest = read();
  CHECK(manifest.name == "smdg-19");
  CHECK(manifest.classes == std::vector<std::string>{"no glaucoma", "glaucoma"});
  CHECK(manifest.clients() == std::vector<std::string>{"PAPILA", "OIA-ODIR"});
  REQUIRE(manifest.examples.size() == 29);
  CHECK(manifest.examples[0].image == "full-fundus/full-fundus/PAPILA-1.png");
  CHECK(manifest.examples[0].labels == std::vector<std::string>{"glaucoma"});
  CHECK(manifest.examples[10].labels == std::vector<std::string>{"no glaucoma"});
  CHECK(manifest.examples[21].image == "full-fundus/full-fundus/OIA-ODIR-TEST-ONLINE-2.png");
  CHECK(manifest.notes ==
        std::vector<std::string>{"1 record left out: glaucoma is suspected (types -1) (first: " +
                                 (folder / kMetadata).string() + ":25)"});
  std::map<std::string, int> tests;
  for (const Example& example : manifest.examples)
    if (example.tests()) ++tests[example.client + " " + example.labels[0]];
  CHECK(tests == std::map<std::string, int>{{"OIA-ODIR no glaucoma", 2},
                                            {"PAPILA glaucoma", 2},
                                            {"PAPILA no glaucoma", 2}});
}

TEST_CASE_METHOD(Fundus,
                 "SMDG-19's patients, by its table or by a source's names, are in one split") {
  std::string rows = "names,types,original_name,patient_id\n";
  const auto add_row = [&](const std::string& name, const std::string& rest) {
    rows += name + "," + rest + "\n";
    folder.write("full-fundus/full-fundus/" + name + ".png", "");
  };
  for (int i = 0; i < 20; ++i) {
    const std::string n = std::to_string(i), patient = std::to_string(i / 2);
    add_row("PAPILA-" + n, "0," + n + ",PAPILA-" + patient);
    add_row("OIA-ODIR-TRAIN-" + n, "1," + patient + (i % 2 ? "_left.jpg," : "_right.jpg,"));
  }
  add_row("BEH-1", "0,IM7_L.JPG,");
  add_row("BEH-2", "0,IM7_R.JPG,");
  add_row("BEH-3", "0,IM8.JPG,");
  add_row("CRFO-v4-1", "1,Glaucoma-P_1-Left Eye,");
  add_row("CRFO-v4-2", "1,Glaucoma-P_1-Right Eye,");
  folder.write(kMetadata, rows);
  std::map<std::string, int> images;
  std::map<std::string, std::set<std::string>> splits;
  for (const Example& example : read().examples) {
    ++images[example.patient];
    splits[example.patient].insert(example.split);
  }
  CHECK(images.size() == 10 + 10 + 3);
  CHECK(images["PAPILA-0"] == 2);
  CHECK(images["OIA-ODIR 9"] == 2);
  CHECK(images["BEH IM7"] == 2);
  CHECK(images["CRFO-v4 Glaucoma-P_1"] == 2);
  CHECK(images[""] == 1);
  for (const auto& [patient, found] : splits) {
    CAPTURE(patient);
    CHECK(found.size() == 1);
  }
}

TEST_CASE_METHOD(Fundus, "SMDG-19's images one folder up, and sources whose names have dashes") {
  std::filesystem::rename(folder / "full-fundus/full-fundus", folder / "images");
  std::filesystem::remove(folder / "full-fundus");
  std::filesystem::rename(folder / "images", folder / "full-fundus");
  folder.write(kMetadata,
               "names,types\nDRISHTI-GS1-train-1,0\nsjchoi86-HRF-2,0\nREFUGE1-VAL-3,1\n");
  for (const char* name : {"DRISHTI-GS1-train-1", "sjchoi86-HRF-2", "REFUGE1-VAL-3"})
    folder.write("full-fundus/" + std::string(name) + ".png", "");
  const Manifest manifest = read();
  CHECK(manifest.examples[0].image == "full-fundus/DRISHTI-GS1-train-1.png");
  CHECK(manifest.clients() == std::vector<std::string>{"DRISHTI-GS1", "sjchoi86-HRF", "REFUGE1"});
}

TEST_CASE_METHOD(Fundus, "what is not as SMDG-19 has it is an error with line and column") {
  CHECK(contains(error("names", "name"),
                 "the column \"names\" is missing (did you mean "
                 "\"name\"?)"));
  CHECK(contains(error("types", "type"), "the column \"types\" is missing"));
  CHECK(contains(error("PAPILA-2,1", "PAPILA-2,2"), kMetadata + ":3: types: \"2\" is not one of "
                                                                "\"0\", \"1\", \"-1\""));
  CHECK(contains(error("PAPILA-2,", "PAPILA-1,"),
                 kMetadata + ":3: names: the image PAPILA-1 stands twice"));
  CHECK(contains(error("PAPILA-2,", "PAPILA-99,"),
                 kMetadata + ":3: names: the image " +
                     (folder / "full-fundus/full-fundus/PAPILA-99.png").string() +
                     " does not exist, nor in the same folder \"full-fundus/PAPILA-99.png\""));
  for (const char* name : {"PAPILA", "PAPILA-", "PAPILA-2a", "-7"}) {
    folder.write("full-fundus/" + std::string(name) + ".png", "");
    CHECK(contains(error("PAPILA-2,", std::string(name) + ","),
                   kMetadata + ":3: names: \"" + name + "\" is no name of a source and a number"));
  }
  folder.write(kMetadata, "names,types\nPAPILA-1,-1\n");
  CHECK(contains(input_error([&] { read(); }), "no example in it"));
}
