// OmniMedVQA (Hu, Li, Lu, Shao, He, Qiao, Luo 2024, CVPR, arXiv 2402.09181), as on the Hugging Face
// hub (foreverbeliever/OmniMedVQA): `QA_information/Open-access/*.json` and
// `…/Restricted-access/*.json`, lists of records, beside `Images/`.
//
// Fields read: question, gt_answer, image_path, option_A to option_D, modality_type, dataset.
// Verified, for the open-access part: the names, in loaders that print a record or the keys of all
// files, and in tables made of the records (Vishnu30603/MedVLM-R1-DPO: in 3,200 of them, every
// gt_answer is an option, letter for letter, and two of four options may be missing); images and
// modalities, in Med-R1's copy of the records in another form (Yuxiang-Lai117/Med-R1): 42 sets,
// eight modalities spelled as they are here ("OCT (Optical Coherence Tomography" has no closing
// parenthesis), two, three or four options, paths with blanks and parentheses, and PNG, JPEG, TIFF
// (BioMediTech, CRC100k, MAlig Lymph, OLIVES) and BMP (ALL Challenge, HuSHeM) images. One record of
// `Chest CT Scan.json` has "modality" in place of "modality_type"
// (GiovanniCornejo/MediVision-OmniMedVQA, Med-R1). The evaluation code of the benchmark's authors
// (OpenGVLab/Multi-Modality-Arena) takes a missing or null option_C or option_D for none. Not
// verified: the files themselves, and the restricted part. The benchmark publishes no split: one
// image in five, by a hash of its path, is for testing.
#include <algorithm>

#include "data/datasets/datasets.h"
#include "data/datasets/published.h"
#include "data/image.h"
#include "strata/core/error.h"

namespace strata::data {
namespace {

constexpr const char* kFolder = "QA_information";

/// An answer or option as it is compared: loaders do so without regard to case and a final period.
std::string choice_of(const std::string& text) {
  std::string choice = lower_ascii(squeezed(text));
  if (!choice.empty() && choice.back() == '.') choice.pop_back();
  return choice;
}

bool is_omni_med_vqa(const std::filesystem::path& folder) {
  return std::filesystem::is_directory(folder / kFolder);
}

Manifest read_omni_med_vqa(const std::filesystem::path& folder, const LoadOptions& options) {
  Manifest manifest;
  manifest.folder = folder;
  manifest.name = "omni-med-vqa";
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder / kFolder))
    if (entry.path().extension() == ".json") files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  if (files.empty()) throw InputError((folder / kFolder).string() + ": no .json file in it");

  ImageCheck check_image(folder, options);
  LeftOut left_out;
  std::int64_t renamed = 0;
  std::string first_renamed;
  for (const auto& file : files) {
    const bool restricted = file.parent_path().filename() == "Restricted-access";
    const Document document = load_json(file);
    for (Record& record : records_of(document)) {
      Example example;
      example.image = record.text("image_path");
      example.question = record.question("question");
      const std::string answer = record.text("gt_answer");
      example.answers = {record.answer("gt_answer")};
      example.split = hashed_split(example.image);
      const bool rename = !record.has_value("modality_type") && record.has_value("modality");
      if (rename && ++renamed == 1) first_renamed = record.where();
      example.client = lower_ascii(record.text(rename ? "modality" : "modality_type"));
      // Every question is a choice among two to four options.
      example.answer_type = kClosedQuestion;
      example.dataset = record.text("dataset");
      std::vector<std::string> choices;
      for (const char* option : {"option_A", "option_B", "option_C", "option_D"}) {
        const std::string text = record.has_value(option) ? record.text_or_empty(option) : "";
        if (!text.empty()) choices.push_back(choice_of(text));
      }
      if (choices.size() < 2) record.fail("fewer than two of \"option_A\" to \"option_D\"");
      if (std::find(choices.begin(), choices.end(), choice_of(answer)) == choices.end()) {
        left_out.add("\"gt_answer\" is none of the options", record.where());
        continue;
      }
      // These sets' images may not be passed on: who has them puts them where image_path says.
      if (restricted && !options.questions_only && !is_image(folder / example.image)) {
        left_out.add("the image of a restricted set is not here", record.where());
        continue;
      }
      check_image(record.where(), "image_path", example.image);
      manifest.examples.push_back(std::move(example));
    }
  }
  left_out.write(manifest);
  if (renamed > 0)
    manifest.notes.push_back(
        std::to_string(renamed) + (renamed == 1 ? " record has" : " records have") +
        " \"modality\" in place of \"modality_type\", which was read (first: " + first_renamed +
        ")");
  if (manifest.examples.empty()) {
    std::string why;
    for (const std::string& note : manifest.notes) why += "; " + note;
    throw InputError(folder.string() + ": no example in it" + why);
  }
  return manifest;
}

}  // namespace

Dataset omni_med_vqa() {
  return {"OmniMedVQA", "QA_information/", is_omni_med_vqa, read_omni_med_vqa};
}

}  // namespace strata::data
