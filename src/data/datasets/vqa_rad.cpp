// VQA-RAD (Lau, Gayen, Ben Abacha, Demner-Fushman 2018, Scientific Data 5:180251), as on
// osf.io/89kps: `VQA_RAD Dataset Public.json`, a list of 2,248 records, beside `VQA_RAD Image
// Folder/`.
//
// Fields read: image_name, question, answer, answer_type, phrase_type, image_organ. Verified
// against two copies of the file with the same records (Harsh-Toshniwal/MUMC and
// Edinson-T/Medical_VQA_Project, where its name has underscores): 2,248 records, phrase types
// freeform (1,206), para (591), test_freeform (308) and test_para (143), organs HEAD, CHEST and
// ABD, 314 images. Five answers are numbers, two answer types are "CLOSED " with a blank, and tabs
// stand in some questions and answers where lists had commas; no answer is empty. Three training
// records are duplicates and one is in the test, too (the dataset card of
// flaviagiammarino/vqa-rad): they are kept as published.
#include "data/datasets/datasets.h"
#include "data/datasets/published.h"
#include "strata/core/error.h"

namespace strata::data {
namespace {

constexpr const char* kFile = "VQA_RAD Dataset Public.json";
constexpr const char* kImages = "VQA_RAD Image Folder";

bool is_vqa_rad(const std::filesystem::path& folder) {
  return std::filesystem::exists(folder / kFile);
}

Manifest read_vqa_rad(const std::filesystem::path& folder, const LoadOptions& options) {
  Manifest manifest;
  manifest.folder = folder;
  manifest.name = "vqa-rad";
  const Document document = load_json(folder / kFile);
  ImageCheck check_image(folder, options);
  LeftOut left_out;
  for (Record& record : records_of(document)) {
    Example example;
    example.image = (std::filesystem::path(kImages) / record.text("image_name")).string();
    example.question = record.question("question");
    example.answers = {record.answer("answer")};
    example.answer_type = lower_ascii(record.choice("answer_type", {"OPEN", "CLOSED"}));
    const std::string phrase =
        record.choice("phrase_type", {"freeform", "para", "test_freeform", "test_para"});
    example.split = phrase.rfind("test_", 0) == 0 ? kTestSplit : kTrainSplit;
    // The set names no modality. The organ decides it in most cases: heads are CT or MRI, chests
    // are X-rays, abdomens are CT.
    example.client = lower_ascii(record.text("image_organ"));
    check_image(record.where(), "image_name", example.image);
    if (example.answers[0].empty())
      left_out.add("\"answer\" is empty", record.where());
    else
      manifest.examples.push_back(std::move(example));
  }
  left_out.write(manifest);
  return manifest;
}

}  // namespace

Dataset vqa_rad() {
  return {"VQA-RAD", "\"VQA_RAD Dataset Public.json\"", is_vqa_rad, read_vqa_rad};
}

}  // namespace strata::data
