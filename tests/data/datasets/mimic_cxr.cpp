#include <zlib.h>

#include "data/datasets/datasets.h"
#include "data/manifest.h"
#include "support/error_text.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::data;
using namespace strata::test;

namespace {

const std::string kTables = "mimic-cxr-2.0.0-";
const std::string kLabels =
    "subject_id,study_id,Atelectasis,Edema,No Finding\n"
    "10000032,50414267,,,1.0\n"
    "10000764,57375967,1.0,-1.0,\n"
    "10000898,50771383,0.0,1.0,\n"
    "10000935,50578979,,,\n";
const std::string kViews =
    "dicom_id,subject_id,study_id,PerformedProcedureStepDescription,ViewPosition,Rows\n"
    "02aa-1,10000032,50414267,\"CHEST (PA, LAT)\",PA,3056\n"
    "174f-2,10000032,50414267,CHEST,LATERAL,3056\n"
    "096b-3,10000764,57375967,CHEST,AP,3056\n"
    "1b0b-4,10000898,50771383,CHEST,PA,3056\n"
    "c50c-5,10000935,50578979,CHEST,,3056\n"
    "d00d-6,10000935,50578979,CHEST,AP,3056\n"
    "e00e-7,10000980,59999999,CHEST,AP,3056\n";
const std::string kSplits =
    "dicom_id,study_id,subject_id,split\n"
    "02aa-1,50414267,10000032,train\n"
    "174f-2,50414267,10000032,train\n"
    "096b-3,57375967,10000764,validate\n"
    "1b0b-4,50771383,10000898,test\n"
    "c50c-5,50578979,10000935,train\n"
    "d00d-6,50578979,10000935,train\n"
    "e00e-7,59999999,10000980,train\n";
const std::string kReport =
    "                                 FINAL REPORT\n"
    " EXAMINATION:  CHEST (PA AND LAT)\n \n INDICATION:  ___F with cough\n \n"
    " FINDINGS: \n \n There is no focal consolidation.\n  \n IMPRESSION: \n \n No acute process: "
    "clear.\n";

const std::string kFirst = "files/p10/p10000032/s50414267";
const std::string kSecond = "files/p10/p10000764/s57375967";
const std::string kThird = "files/p10/p10000898/s50771383";
const std::string kFourth = "files/p10/p10000935/s50578979";

struct Archive {
  TempDir folder;

  Archive() {
    folder.write(kTables + "chexpert.csv", kLabels);
    folder.write(kTables + "metadata.csv", kViews);
    folder.write(kTables + "split.csv", kSplits);
    folder.write(kFirst + ".txt", kReport);
    folder.write(kSecond + ".txt",
                 "FINDINGS AND IMPRESSION:\nCollapse.\nRECOMMENDATION(S):  None.\n");
    folder.write("mimic-cxr-reports/" + kThird + ".txt", " CHEST RADIOGRAPH\n\n Wet ___  lungs.\n");
    folder.write(kFourth + ".txt", "IMPRESSION: Nothing said.\n");
    for (const std::string& image :
         {kFirst + "/02aa-1", kSecond + "/096b-3", kThird + "/1b0b-4", kFourth + "/d00d-6"})
      folder.write(image + ".jpg", "");
  }
  Manifest read() const {
    LoadOptions options;
    options.reading = Reading::kLabelledTexts;
    return load_data(folder.path(), options);
  }
  std::string error(const std::string& file, const std::string& text) const {
    const std::string before = slurp(folder / file);
    folder.write(file, text);
    const std::string message = input_error([&] { read(); });
    folder.write(file, before);
    return message;
  }
};

std::string with(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

}  // namespace

TEST_CASE_METHOD(Archive, "a folder in the layout of MIMIC-CXR-JPG with reports") {
  const Manifest manifest = read();
  CHECK(manifest.name == "mimic-cxr-jpg");
  CHECK(manifest.multi_label);
  CHECK(manifest.classes == std::vector<std::string>{"Atelectasis", "Edema", "No Finding"});
  REQUIRE(manifest.examples.size() == 4);
  const Example &first = manifest.examples[0], &second = manifest.examples[1],
                &third = manifest.examples[2], &fourth = manifest.examples[3];
  CHECK(first.image == kFirst + "/02aa-1.jpg");
  CHECK(first.labels == std::vector<std::string>{"No Finding"});
  CHECK(first.text == "There is no focal consolidation. No acute process: clear.");
  CHECK(first.split == "train");
  CHECK(first.client == "mimic-cxr-jpg");
  CHECK(first.patient == "10000032");
  CHECK(fourth.patient == "10000935");
  // Uncertain is no label, and validation is for training.
  CHECK(second.labels == std::vector<std::string>{"Atelectasis"});
  CHECK(second.text == "Collapse.");
  CHECK(second.split == "train");
  CHECK(third.labels == std::vector<std::string>{"Edema"});
  CHECK(third.text == "CHEST RADIOGRAPH Wet ___ lungs.");
  CHECK(third.split == "test");
  CHECK(fourth.labels.empty());
  REQUIRE(manifest.notes.size() == 3);
  const std::string splits = (folder / (kTables + "split.csv")).string();
  CHECK(manifest.notes[0] ==
        "2 records left out: no frontal view (PA or AP) (first: " + splits + ":3)");
  CHECK(manifest.notes[1] ==
        "1 record left out: the study has no labels (first: " + splits + ":8)");
  CHECK(contains(manifest.notes[2], "validation examples used for training"));
}

TEST_CASE_METHOD(Archive, "tables are read packed, as they are published") {
  const auto plain = read().examples;
  for (const std::string name : {"chexpert", "metadata", "split"}) {
    const std::string file = (folder / (kTables + name + ".csv")).string();
    const std::string text = slurp(file);
    gzFile packed = gzopen((file + ".gz").c_str(), "wb");
    gzwrite(packed, text.data(), static_cast<unsigned>(text.size()));
    gzclose(packed);
    std::filesystem::remove(file);
  }
  const auto examples = read().examples;
  REQUIRE(examples.size() == plain.size());
  CHECK(examples[1].text == plain[1].text);
  CHECK(examples[1].labels == plain[1].labels);
}

TEST_CASE_METHOD(Archive, "what is not as published is an error with file, line and column") {
  const std::string labels = kTables + "chexpert.csv", splits = kTables + "split.csv";
  CHECK(contains(error(labels, with(kLabels, "-1.0", "2")),
                 "chexpert.csv:3: Edema: \"2\" is not 1, 0, -1 or nothing"));
  CHECK(contains(error(labels, with(kLabels, "-1.0", "x")), "\"x\" is not 1, 0, -1 or nothing"));
  CHECK(contains(error(labels, with(kLabels, "57375967", "50414267")),
                 "chexpert.csv:3: study_id: the study 50414267 stands twice"));
  CHECK(contains(error(labels, with(kLabels, "study_id", "study")),
                 "the column \"study_id\" is missing"));
  CHECK(contains(error(splits, with(kSplits, "validate", "validation")),
                 "split.csv:4: split: \"validation\" is not one of \"train\", \"validate\""));
  CHECK(contains(error(splits, with(kSplits, "10000032,train", "../../etc,train")),
                 "split.csv:2: subject_id: \"../../etc\" is no number"));
  CHECK(contains(error(kFirst + ".txt", "FINDINGS: \xff\n"), "the text is not valid UTF-8"));
  std::filesystem::remove(folder / (kFirst + "/02aa-1.jpg"));
  CHECK(contains(input_error([&] { read(); }), "split.csv:2: dicom_id: the image " +
                                                   (folder / kFirst / "02aa-1.jpg").string() +
                                                   " does not exist"));
  std::filesystem::remove(folder / (kFirst + ".txt"));
  CHECK(contains(input_error([&] { read(); }), "split.csv:2: study_id: the report " +
                                                   (folder / (kFirst + ".txt")).string() +
                                                   " does not exist"));
  std::filesystem::remove(folder / (kTables + "metadata.csv"));
  CHECK(contains(input_error([&] { read(); }), "metadata.csv: no such file"));
}

TEST_CASE_METHOD(Archive, "a report without a word is left out") {
  folder.write(kFirst + ".txt", " \n \n");
  const Manifest manifest = read();
  CHECK(manifest.examples.size() == 3);
  CHECK(contains(manifest.notes[1], "the report has no text"));
}
