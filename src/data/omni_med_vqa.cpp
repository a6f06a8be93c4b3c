// OmniMedVQA (Hu, Li, Lu, Shao, He, Qiao, Luo 2024, CVPR, arXiv 2402.09181), as on the Hugging Face
// hub (foreverbeliever/OmniMedVQA): `QA_information/Open-access/*.json` and
// `…/Restricted-access/*.json`, lists of records, beside `Images/`.
//
// The folders were verified in the set's card. Fields read: question, gt_answer, image_path,
// option_A to option_D, modality_type, dataset; their names are as published evaluation code uses
// them and were not verified against the files. A published data exploration
// (GiovanniCornejo/MediVision-OmniMedVQA) reports that one record of `Chest CT Scan.json` has
// "modality" in place of "modality_type", so both are read. The benchmark publishes no split: one
// image in five, by a hash of its path, is for testing.
#include <algorithm>

#include "data/image.h"
#include "data/published.h"
#include "strata/core/error.h"
#include "strata/core/sha256.h"

namespace strata {
namespace {

constexpr const char* kFolder = "QA_information";

std::string split_of(const std::string& image) {
  const int share = std::stoi(sha256_hex(image).substr(0, 4), nullptr, 16);
  return share < 0x10000 / 5 ? "test" : "train";
}

}  // namespace

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
  for (const auto& file : files) {
    const bool restricted = file.parent_path().filename() == "Restricted-access";
    const Document document = load_json(file);
    for (const Record& record : records_of(document)) {
      Example example;
      example.image = record.text("image_path");
      example.question = record.text("question");
      const std::string answer = record.text("gt_answer");
      example.answers = {lower_ascii(answer)};
      example.split = split_of(example.image);
      example.client =
          lower_ascii(record.text(record.has("modality_type") ? "modality_type" : "modality"));
      // Every question is a choice among two to four options.
      example.answer_type = "closed";
      example.dataset = record.text("dataset");
      std::vector<std::string> choices;
      for (const char* option : {"option_A", "option_B", "option_C", "option_D"})
        if (record.has(option)) choices.push_back(record.text_or_empty(option));
      if (choices.size() < 2) record.fail("fewer than two of \"option_A\" to \"option_D\"");
      if (std::find(choices.begin(), choices.end(), answer) == choices.end()) {
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
  if (manifest.examples.empty()) {
    std::string why;
    for (const std::string& note : manifest.notes) why += "; " + note;
    throw InputError(folder.string() + ": no example in it" + why);
  }
  return manifest;
}

}  // namespace strata
