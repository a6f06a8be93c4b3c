// SLAKE (Liu, Zhan, Xu, Ma, Yang, Wu 2021, ISBI, arXiv 2102.09542), as published: `train.json`,
// `validate.json` and `test.json`, lists of records, beside `imgs/`, whose `xmlabN/source.jpg` the
// records name.
//
// Fields read: img_name, question, answer, q_lang (en, zh), answer_type (OPEN, CLOSED), modality
// (CT, MRI, X-Ray). Names, types and values were verified against the published train.json (9,835
// records) and validate.json (2,099), and a test.json (2,094) that a public repository has beside
// the same two files, byte for byte (xiaoman-zhang/PMC-VQA). One training record (qid 1622) has no
// answer and is left out.
#include "data/datasets/datasets.h"
#include "data/datasets/published.h"
#include "strata/core/error.h"

namespace strata::data {
namespace {

bool is_slake(const std::filesystem::path& folder) {
  return std::filesystem::exists(folder / "train.json") &&
         (std::filesystem::exists(folder / "validate.json") ||
          std::filesystem::exists(folder / "imgs"));
}

Manifest read_slake(const std::filesystem::path& folder, const LoadOptions& options) {
  Manifest manifest;
  manifest.folder = folder;
  manifest.name = "slake";
  if (!options.questions_only && !std::filesystem::is_directory(folder / "imgs"))
    throw InputError(folder.string() +
                     ": SLAKE's images are not here (no folder imgs/); without them, the questions "
                     "alone can be checked (--questions-only)");
  ImageCheck check_image(folder, options);
  LeftOut left_out;
  const std::pair<const char*, const char*> splits[] = {
      {"train.json", kTrainSplit}, {"validate.json", kValidation}, {"test.json", kTestSplit}};
  for (const auto& [name, split] : splits) {
    const auto file = folder / name;
    if (!std::filesystem::exists(file)) continue;
    const Document document = load_json(file);
    for (Record& record : records_of(document)) {
      if (record.choice("q_lang", {"en", "zh"}) != options.language) continue;
      Example example;
      example.image = "imgs/" + record.text("img_name");
      example.question = record.question("question");
      example.answers = {record.answer("answer")};
      example.answer_type = lower_ascii(record.choice("answer_type", {"OPEN", "CLOSED"}));
      example.split = split;
      example.client = lower_ascii(record.text("modality"));
      check_image(record.where(), "img_name", example.image);
      if (example.answers[0].empty())
        left_out.add("\"answer\" is empty", record.where());
      else
        manifest.examples.push_back(std::move(example));
    }
  }
  if (manifest.examples.empty())
    throw InputError(folder.string() + ": no question in the language \"" + options.language +
                     "\"");
  left_out.write(manifest);
  settle_validation(manifest);
  return manifest;
}

}  // namespace

Dataset slake() {
  return {"SLAKE", "train.json with validate.json or imgs/", is_slake, read_slake};
}

}  // namespace strata::data
