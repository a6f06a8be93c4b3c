// easy-VQA (Zhou 2019): train|test/questions.json is a list of [question, answer, image id].
#include <unordered_set>

#include "core/document.h"
#include "data/datasets/datasets.h"
#include "strata/core/error.h"

namespace strata::data {
namespace {

void read_split(const std::string& split, Manifest& manifest) {
  const auto file = manifest.folder / split / "questions.json";
  const Document document = load_json(file);
  if (!document.root.is_array())
    throw InputError(file.string() + ": expected a list of [question, answer, image id]");
  std::unordered_set<std::int64_t> images;
  std::size_t number = 0;
  for (const Json& entry : document.root) {
    const std::string where = file.string() + ": entry " + std::to_string(++number);
    if (!entry.is_array() || entry.size() != 3 || !entry[0].is_string() || !entry[1].is_string() ||
        !entry[2].is_number_integer())
      throw InputError(where + ": expected [question, answer, image id], found " + excerpt(entry));
    const auto id = entry[2].get<std::int64_t>();
    Example example;
    example.image = split + "/images/" + std::to_string(id) + ".png";
    example.question = entry[0].get<std::string>();
    example.answers = {entry[1].get<std::string>()};
    if (example.question.empty()) throw InputError(where + ": the question is empty");
    if (example.answers[0].empty()) throw InputError(where + ": the answer is empty");
    example.split = split;
    example.client = "easy-vqa";
    example.answer_type =
        example.answers[0] == "yes" || example.answers[0] == "no" ? kClosedQuestion : kOpenQuestion;
    if (images.insert(id).second &&
        !std::filesystem::is_regular_file(manifest.folder / example.image))
      throw InputError(where + ": the image " + (manifest.folder / example.image).string() +
                       " does not exist");
    manifest.examples.push_back(std::move(example));
  }
}

bool is_easy_vqa(const std::filesystem::path& folder) {
  return std::filesystem::exists(folder / "train" / "questions.json");
}

Manifest read_easy_vqa(const std::filesystem::path& folder, const LoadOptions&) {
  Manifest manifest;
  manifest.folder = folder;
  manifest.name = "easy-vqa";
  read_split(kTrainSplit, manifest);
  read_split(kTestSplit, manifest);
  return manifest;
}

}  // namespace

Dataset easy_vqa() {
  return {"easy-VQA", "train/questions.json", is_easy_vqa, read_easy_vqa};
}

}  // namespace strata::data
