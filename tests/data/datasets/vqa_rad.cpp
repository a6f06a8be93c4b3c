#include "data/image.h"
#include "data/manifest.h"
#include "support/error_text.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::data;
using namespace strata::test;

namespace {

std::string record(const std::string& phrase, const std::string& answer = R"("Yes")",
                   const std::string& type = "CLOSED") {
  return R"({"qid": 1, "image_name": "synpic54610.jpg", "image_organ": "HEAD", "answer": )" +
         answer + R"(, "answer_type": ")" + type +
         R"(", "question_type": "PRES", "question": "Are regions of the brain infarcted?", )" +
         R"("phrase_type": ")" + phrase + R"("})";
}

}  // namespace

TEST_CASE("a folder in VQA-RAD's layout") {
  const TempDir folder;
  std::filesystem::create_directories(folder / "VQA_RAD Image Folder");
  write_png({1, 1, {0, 0, 0}}, folder / "VQA_RAD Image Folder" / "synpic54610.jpg");
  const std::string name = "VQA_RAD Dataset Public.json", file = (folder / name).string();
  // One published record's type has a blank at its end; numbers may be answers.
  folder.write(name, "[" + record("freeform") + "," + record("para", "3", "OPEN") + "," +
                         record("test_freeform", R"("No")", "CLOSED ") + "," + record("test_para") +
                         "," + record("para", "\"\"") + "]");
  const Manifest manifest = load_data(folder.path());
  CHECK(manifest.name == "vqa-rad");
  REQUIRE(manifest.examples.size() == 4);
  const Example& first = manifest.examples[0];
  CHECK(first.image == "VQA_RAD Image Folder/synpic54610.jpg");
  CHECK(first.question == "Are regions of the brain infarcted?");
  CHECK(first.answers == std::vector<std::string>{"yes"});
  CHECK(first.answer_type == "closed");
  CHECK(first.client == "head");
  CHECK(first.split == "train");
  CHECK(manifest.examples[1].split == "train");
  CHECK(manifest.examples[1].answers == std::vector<std::string>{"3"});
  CHECK(manifest.examples[1].answer_type == "open");
  CHECK(manifest.examples[2].split == "test");
  CHECK(manifest.examples[2].answer_type == "closed");
  CHECK(manifest.examples[3].split == "test");
  CHECK(manifest.notes ==
        std::vector<std::string>{"1 record left out: \"answer\" is empty (first: " + file +
                                 ": record 5)"});

  // Tabs stand where lists had commas; of the fields that are not read, "qid" may be a text and
  // "question_rephrase" null.
  std::string tabs = record("freeform", R"("Left  lung \theart\t stomach ")", "OPEN");
  tabs.replace(tabs.find("\"qid\": 1"), 8, "\"qid\": \"0\", \"question_rephrase\": null");
  tabs.replace(tabs.find("of the brain"), 12, "of the liver \\tbrain");
  folder.write(name, "[" + tabs + "]");
  const Example cleaned = load_data(folder.path()).examples.at(0);
  CHECK(cleaned.answers == std::vector<std::string>{"left lung heart stomach"});
  CHECK(cleaned.question == "Are regions of the liver brain infarcted?");

  const auto error = [&](const std::string& content) {
    folder.write(name, "[" + record("para") + "," + content + "]");
    return input_error([&] { load_data(folder.path()); });
  };
  CHECK(contains(error(record("test")),
                 file + ": record 2: phrase_type: \"test\" is not one of \"freeform\", "));
  CHECK(contains(error(record("para", "null")), "answer: a text was expected, found nothing"));
  CHECK(contains(error(record("para", "\"a\"", "OPENED")), "(did you mean \"OPEN\"?)"));
  CHECK(contains(error("{}"), "record 2: image_name: the key is missing"));
  std::filesystem::remove(folder / "VQA_RAD Image Folder" / "synpic54610.jpg");
  CHECK(contains(error(record("para")), "record 1: image_name: the image "));
  CHECK(load_data(folder.path(), {"en", true}).examples.size() == 2);
}
