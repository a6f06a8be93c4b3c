#include "data/image.h"
#include "data/manifest.h"
#include "support/error_text.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::data;
using namespace strata::test;

namespace {

void image(const TempDir& folder, const std::string& name) {
  std::filesystem::create_directories((folder / name).parent_path());
  write_png({1, 1, {0, 0, 0}}, folder / name);
}

using Answers = std::vector<std::string>;

}  // namespace

TEST_CASE("folders in the layouts of VQA-Med 2019, 2020 and 2021") {
  const TempDir folder;
  folder.write("2019/Training/All_QA_Pairs_train.txt",
               "synpic1|is this a ct scan?|yes\r\n\nsynpic2|what plane is this?|axial\n");
  folder.write("2019/Training/train_ImageIDs.txt", "synpic1\nsynpic2\n");
  image(folder, "2019/Training/Train_images/synpic1.jpg");
  image(folder, "2019/Training/Train_images/synpic2.jpg");
  folder.write("2019/Validation/All_QA_Pairs_val.txt", "synpic3|what plane is this?|axial");
  image(folder, "2019/Validation/Val_images/synpic3.jpg");
  folder.write(
      "2019/Test/VQAMed2019_Test_Questions_w_Ref_Answers.txt",
      "synpic4|abnormality|what is abnormal?|anaplastic oligodendroglioma#multi-cystic complex "
      "mass\n"
      "synpic4|abnormality|what is abnormal?|(angioinvasive aspergillosis with) septic emboli\n");
  image(folder, "2019/Test/VQAMed2019_Test_Images/synpic4.jpg");
  folder.write("2020/VQAnswering_2020_Train_QA_pairs.txt",
               "synpic5|what is abnormal?|cyst (renal)\n");
  folder.write("2020/VQAnswering_2020_Val_QA_Pairs.txt", "synpic5|is it normal?|no\n");
  image(folder, "2020/VQAnswering_2020_Train_images/synpic5.jpg");
  folder.write("2021/Task1-VQA-2021-TestSet-Questions.txt", "synpic6|what is abnormal?\n");
  folder.write("2021/Task1-VQA-2021-TestSet-ReferenceAnswers.txt",
               "synpic6|cirrhosis of the liver|Common bile duct dilatation\n");
  image(folder, "2021/images/synpic6.jpg");

  const Manifest manifest = load_data(folder.path());
  REQUIRE(manifest.examples.size() == 8);
  const auto& examples = manifest.examples;
  CHECK(manifest.name == "vqa-med");
  CHECK(manifest.clients() == Answers{"vqa-med-2019", "vqa-med-2020", "vqa-med-2021"});
  CHECK(examples[0].image == "2019/Training/Train_images/synpic1.jpg");
  CHECK(examples[0].answer_type == "closed");
  CHECK(examples[1].answer_type == "open");
  CHECK(examples[1].split == "train");
  CHECK(examples[2].split == "train");  // validation, where there is a test
  CHECK(examples[3].split == "test");
  CHECK(examples[3].question == "what is abnormal?");
  CHECK(examples[3].answers ==
        Answers{"anaplastic oligodendroglioma", "multi-cystic complex mass"});
  CHECK(examples[4].answers ==
        Answers{"angioinvasive aspergillosis with septic emboli", "septic emboli"});
  CHECK(examples[5].answers == Answers{"cyst (renal)"});
  CHECK(examples[6].split == "test");  // validation, where there is none
  CHECK(examples[7].answers == Answers{"cirrhosis of the liver", "common bile duct dilatation"});
  CHECK(examples[7].split == "test");
  CHECK(examples[7].dataset == "vqa-med-2021");

  // Each year's folder is also a set of its own.
  CHECK(load_data(folder / "2020").name == "vqa-med-2020");
}

TEST_CASE("VQA-Med's irregular lines, in the folders the archives unpack to") {
  const TempDir folder;
  const std::string archive = "VQA-Med-2020-Task1-VQAnswering-TrainVal-Sets";
  const std::string train =
      "2020/" + archive + "/" + archive + "/VQAMed2020-VQAnswering-TrainingSet";
  // No-break spaces, typographic apostrophes, a byte-order mark.
  folder.write(train + "/VQAnswering_2020_Train_QA_pairs.txt",
               "\xef\xbb\xbfsynpic1|what is  abnormal?|small \u00a0cyst, left\u00a0\r\n"
               "synpic2|what is abnormal?|Nobody\u2019s cyst & edema\r\n");
  image(folder, train + "/VQAnswering_2020_Train_images/synpic1.jpg");
  image(folder, train + "/VQAnswering_2020_Train_images/synpic2.jpg");
  const std::string test = "2020/VQA-TestSet-ReferenceAnswers-VQAMed2020-Task1";
  folder.write(test + "/VQAMed2020-Task1-VQAnswering-Test-Questions.txt",
               "synpic3|what is abnormal?\n");
  folder.write(test + "/VQAMed2020-Task1-VQAnswering-Test-ReferenceAnswers.txt",
               "synpic3|a  cyst#b. cyst (renal)|\n");
  image(folder, test + "/Task1-2020-VQAnswering-Test-Images/synpic3.jpg");
  folder.write("2021/Task1-VQA-2021-TestSet-w-GroundTruth/Task1-VQA-2021-TestSet-Questions.txt",
               "synpic4|what is abnormal?\n");
  folder.write(
      "2021/Task1-VQA-2021-TestSet-w-GroundTruth/Task1-VQA-2021-TestSet-ReferenceAnswers.txt",
      "synpic4|one|two\u00a0 things|Three.|ONE");
  image(folder, "2021/Task1-VQA-2021-TestSet-w-GroundTruth/images/VQA-500-Images/synpic4.jpg");
  const auto examples = load_data(folder.path()).examples;
  REQUIRE(examples.size() == 4);
  CHECK(examples[0].image == train + "/VQAnswering_2020_Train_images/synpic1.jpg");
  CHECK(examples[0].question == "what is abnormal?");
  CHECK(examples[0].answers == Answers{"small cyst, left"});
  CHECK(examples[1].answers == Answers{"nobody\u2019s cyst & edema"});
  CHECK(examples[2].answers == Answers{"a cyst", "b. cyst (renal)"});
  CHECK(examples[3].answers == Answers{"one", "two things", "three."});
}

TEST_CASE("wrong VQA-Med files are errors with file and line") {
  const TempDir folder;
  image(folder, "images/a.jpg");
  const std::string name = "All_QA_Pairs_train.txt", file = (folder / name).string();
  const auto error = [&](const std::string& line) {
    folder.write(name, "a|q|yes\n" + line + "\n");
    return input_error([&] { load_data(folder.path()); });
  };
  CHECK(error("a|q") == file + ":2: found 2 fields separated by \"|\", expected 3");
  CHECK(error("a||b") == file + ":2: field 2 is empty");
  CHECK(error("a|q| ") == file + ":2: field 3 is empty");
  CHECK(error("a|q|#") == file + ":2: no answer in \"#\"");
  CHECK(error("a|q|caf\xe9") == file + ":2: the line is not valid UTF-8");
  CHECK(error("b|q|yes") == file + ":2: no image \"b.jpg\" below " + folder.path().string());
  folder.write(name, "\n");
  CHECK(input_error([&] { load_data(folder.path()); }) == file + ": no question in it");

  folder.write(name, "a|q|yes\n");
  const std::string questions = "VQAMed2020-Task1-VQAnswering-Test-Questions.txt";
  const std::string answers = "VQAMed2020-Task1-VQAnswering-Test-ReferenceAnswers.txt";
  folder.write(questions, "a|q\n");
  REQUIRE(load_data(folder.path()).notes.size() == 1);
  CHECK(contains(load_data(folder.path()).notes[0], "its answers, " + answers + ", are not here"));
  folder.write(answers, "b|yes\n");
  CHECK(contains(input_error([&] { load_data(folder.path()); }),
                 questions + ":1: no answer for the image \"a\" in " + answers));
  folder.write(answers, "a|yes\na|no\n");
  CHECK(contains(input_error([&] { load_data(folder.path()); }),
                 answers + ":2: a second answer for the image \"a\""));
  folder.write(answers, "a|yes\n");
  CHECK(load_data(folder.path()).examples.size() == 2);
  folder.write("copy/" + name, "a|q|yes\n");
  CHECK(contains(input_error([&] { load_data(folder.path()); }),
                 "are the same file of the set; keep one"));
}
