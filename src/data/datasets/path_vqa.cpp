// PathVQA (He, Zhang, Mou, Xing, Xie 2020, arXiv 2003.10286), as its authors publish it (a Google
// Drive folder that github.com/UCSD-AI4H/PathVQA names):
// `qas/{train,val,test}/{train,val,test}_qa.pkl`, pickled lists of dictionaries, beside
// `images/{train,val,test}/`. The README counts 32,799 questions; the files of February 2023 have
// 32,795 (the dataset card of flaviagiammarino/path-vqa).
//
// Fields read: image ("train_0422", without .jpg), question, answer. Folders, names and examples
// were verified in public code that reads these files, among them the script that made the copy on
// the Hugging Face hub; questions with two blanks in a row, in the authors' repository. The pickles
// themselves were not at hand, so that their protocol is unknown: 2 to 5 are read, and the authors'
// code is for Python 3, whose default was never less than 3. The copies on the hub are Parquet
// files with the images in them, without the duplicates; they are not read. Every image is of
// pathology: one client.
#include "data/datasets/datasets.h"
#include "data/datasets/published.h"
#include "data/pickle.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"

namespace strata::data {
namespace {

std::filesystem::path questions(const std::filesystem::path& folder, const std::string& split) {
  return folder / "qas" / split / (split + "_qa.pkl");
}

bool is_path_vqa(const std::filesystem::path& folder) {
  return std::filesystem::exists(questions(folder, "train"));
}

Manifest read_path_vqa(const std::filesystem::path& folder, const LoadOptions& options) {
  Manifest manifest;
  manifest.folder = folder;
  manifest.name = "path-vqa";
  ImageCheck check_image(folder, options);
  LeftOut left_out;
  const std::pair<const char*, const char*> splits[] = {
      {"train", kTrainSplit}, {"val", kValidation}, {"test", kTestSplit}};
  for (const auto& [name, split] : splits) {
    const auto file = questions(folder, name);
    if (!std::filesystem::exists(file)) continue;
    const Document document{file.string(), read_pickle(read_file(file), file.string()), {}};
    for (Record& record : records_of(document)) {
      Example example;
      example.image = std::string("images/") + name + "/" + record.text("image") + ".jpg";
      example.question = record.question("question");
      example.answers = {record.answer("answer")};
      example.split = split;
      example.client = "pathology";
      check_image(record.where(), "image", example.image);
      if (example.answers[0].empty()) {
        left_out.add("\"answer\" is empty", record.where());
        continue;
      }
      example.answer_type = answer_type_of(example.answers[0]);
      manifest.examples.push_back(std::move(example));
    }
  }
  left_out.write(manifest);
  settle_validation(manifest);
  return manifest;
}

}  // namespace

Dataset path_vqa() {
  return {"PathVQA", "qas/train/train_qa.pkl", is_path_vqa, read_path_vqa};
}

}  // namespace strata::data
