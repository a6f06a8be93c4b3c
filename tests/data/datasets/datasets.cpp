#include "data/datasets/datasets.h"

#include "support/error_text.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::data;
using namespace strata::test;

namespace {

const std::string kLine =
    R"({"image":"a.png","question":"is it?","answers":["yes"],"split":"train","client":"ct","answer_type":"closed"})";

std::string name_of(const Dataset* dataset) {
  return dataset ? dataset->name : "";
}

}  // namespace

TEST_CASE("a folder is recognised by its own files, Strata's layout before all others") {
  const TempDir folder;
  CHECK(find_dataset(folder.path()) == nullptr);
  folder.write("train.json", "[]");
  folder.write("validate.json", "[]");
  CHECK(name_of(find_dataset(folder.path())) == "SLAKE");
  folder.write("train/questions.json", "[]");
  CHECK(name_of(find_dataset(folder.path())) == "easy-VQA");
  folder.write("manifest.jsonl", kLine);
  CHECK(name_of(find_dataset(folder.path())) == "Strata's own layout");
}

TEST_CASE("files of VQA-Med that lie deeper do not hide the data sets beside them") {
  const TempDir folder;
  folder.write("year/train/All_QA_Pairs_train.txt", "a|what is it?|cyst\n");
  folder.write("year/train/a.jpg", "");
  CHECK(name_of(find_dataset(folder.path())) == "VQA-Med 2019 to 2021");
  folder.write("own/manifest.jsonl", kLine);
  folder.write("own/a.png", "");
  CHECK(find_dataset(folder.path()) == nullptr);
  CHECK(load_data(folder.path()).examples.size() == 2);
  // Within a folder of data sets they are read whatever lies beside them.
  CHECK(name_of(find_inner_dataset(folder.path())) == "VQA-Med 2019 to 2021");
}

TEST_CASE("a folder without a data set is told what every format is recognised by") {
  const TempDir folder;
  const std::string error = input_error([&] { load_data(folder.path()); });
  for (const std::string& layout : known_layouts()) CHECK(contains(error, layout));
  CHECK(contains(error, "qas/train/train_qa.pkl (PathVQA)"));
  CHECK(contains(error, ", and folders of these"));
}
