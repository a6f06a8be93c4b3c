#include <map>
#include <set>

#include "data/manifest.h"
#include "support/error_text.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::data;
using namespace strata::test;

namespace {

const std::string kBoxes = "stage_2_train_labels.csv";
const std::string kDetails = "stage_2_detailed_class_info.csv";

/// Twenty patients, ten of them with two boxes each; five of the others are normal.
struct Chests {
  TempDir folder;
  std::string boxes = "patientId,x,y,width,height,Target\n", details = "patientId,class\n";

  Chests() {
    for (int i = 0; i < 20; ++i) {
      const std::string id = "0004cfab-" + std::to_string(100 + i);
      for (int box = 0; box < (i < 10 ? 2 : 1); ++box) {
        boxes += id + (i < 10 ? ",264.0,152.0,213.0,379.0,1\n" : ",,,,,0\n");
        details += id + "," +
                   (i < 10   ? "Lung Opacity"
                    : i < 15 ? "Normal"
                             : "No Lung Opacity / Not Normal") +
                   "\n";
      }
      folder.write("stage_2_train_images/" + id + (i % 2 ? ".png" : ".jpg"), "");
    }
    folder.write(kBoxes, boxes);
  }
  Manifest read() const {
    LoadOptions options;
    options.reading = Reading::kLabels;
    return load_data(folder.path(), options);
  }
  std::string error(const std::string& from, const std::string& to) const {
    std::string text = boxes;
    const auto at = text.find(from);
    REQUIRE(at != std::string::npos);
    folder.write(kBoxes, text.replace(at, from.size(), to));
    const std::string message = input_error([&] { read(); });
    folder.write(kBoxes, boxes);
    return message;
  }
};

std::map<std::string, int> class_splits(const Manifest& manifest) {
  std::map<std::string, int> counts;
  for (const Example& example : manifest.examples)
    ++counts[example.labels[0] + " " + example.split];
  return counts;
}

}  // namespace

TEST_CASE_METHOD(Chests, "RSNA's patients are one example each, however many boxes they have") {
  const Manifest manifest = read();
  CHECK(manifest.name == "rsna-pneumonia");
  CHECK(manifest.classes == std::vector<std::string>{"no pneumonia", "pneumonia"});
  CHECK(manifest.clients() == std::vector<std::string>{"rsna-pneumonia"});
  CHECK(manifest.notes.empty());
  REQUIRE(manifest.examples.size() == 20);
  CHECK(manifest.examples[0].image == "stage_2_train_images/0004cfab-100.jpg");
  CHECK(manifest.examples[1].image == "stage_2_train_images/0004cfab-101.png");
  CHECK(class_splits(manifest) == std::map<std::string, int>{{"pneumonia train", 8},
                                                             {"pneumonia test", 2},
                                                             {"no pneumonia train", 8},
                                                             {"no pneumonia test", 2}});
}

TEST_CASE_METHOD(Chests, "RSNA's three classes where the detailed table is there, with a note") {
  folder.write(kDetails, details);
  const Manifest manifest = read();
  CHECK(manifest.classes ==
        std::vector<std::string>{"Normal", "No Lung Opacity / Not Normal", "Lung Opacity"});
  REQUIRE(manifest.examples.size() == 20);
  CHECK(manifest.examples[0].labels == std::vector<std::string>{"Lung Opacity"});
  CHECK(manifest.examples[10].labels == std::vector<std::string>{"Normal"});
  CHECK(class_splits(manifest) ==
        std::map<std::string, int>{{"Lung Opacity train", 8},
                                   {"Lung Opacity test", 2},
                                   {"Normal train", 4},
                                   {"Normal test", 1},
                                   {"No Lung Opacity / Not Normal train", 4},
                                   {"No Lung Opacity / Not Normal test", 1}});
  CHECK(manifest.notes ==
        std::vector<std::string>{"the classes are those of " + (folder / kDetails).string() +
                                 "; without that file they are Target's two"});
}

TEST_CASE_METHOD(Chests, "RSNA's DICOM files alone are refused with what makes images of them") {
  const auto image = folder / "stage_2_train_images/0004cfab-101.png";
  const auto dicom = folder.write("stage_2_train_images/0004cfab-101.dcm", "");
  CHECK(read().examples.size() == 20);
  std::filesystem::remove(image);
  CHECK(input_error([&] { read(); }) ==
        dicom.string() +
            ": DICOM files are not read; make a .png or .jpg of the same name beside each, as "
            "dcm2img of DCMTK does (Debian's package dcmtk; dcmj2pnm before 3.6.9)");
  std::filesystem::remove(dicom);
  CHECK(contains(input_error([&] { read(); }),
                 kBoxes + ":4: patientId: the image " + image.string() + " does not exist"));
}

TEST_CASE_METHOD(Chests, "what is not as RSNA has it is an error with line and column") {
  CHECK(contains(error("patientId", "patient"), kBoxes + ": the column \"patientId\" is missing"));
  CHECK(contains(error("Target", "target"),
                 kBoxes + ": the column \"Target\" is missing (did you mean \"target\"?)"));
  CHECK(contains(error("379.0,1", "379.0,2"), kBoxes + ":2: Target: \"2\" is not one of \"0\", "
                                                       "\"1\""));
  CHECK(contains(error("379.0,1", "379.0,0"),
                 kBoxes + ":3: Target: \"1\", where a row before it says \"0\" of the patient "
                          "0004cfab-100"));
  CHECK(contains(error("0004cfab-100", ""), kBoxes + ":2: patientId: the field is empty"));
  folder.write(kDetails, details.substr(0, details.rfind("0004cfab-119")));
  CHECK(contains(input_error([&] { read(); }),
                 kBoxes + ":31: patientId: " + (folder / kDetails).string() +
                     " has no row of the patient 0004cfab-119"));
  folder.write(kDetails, "patientId,class\n0004cfab-100,normal\n");
  CHECK(contains(input_error([&] { read(); }),
                 kDetails + ":2: class: \"normal\" is not one of \"Normal\", \"No Lung Opacity / "
                            "Not Normal\", \"Lung Opacity\" (did you mean \"Normal\"?)"));
}
