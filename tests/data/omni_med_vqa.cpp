#include <map>

#include "data/error_text.h"
#include "data/image.h"
#include "data/manifest.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::test;

namespace {

std::string record(const std::string& image, const std::string& answer = "CT",
                   const std::string& modality_key = "modality_type") {
  return R"({"dataset": "ACRIMA", "question_id": "a_0001", "question_type": "Modality Recognition", )"
         R"("question": "What is the modality?", "gt_answer": ")" +
         answer + R"(", "image_path": ")" + image +
         R"(", "option_A": "CT", "option_B": "MR", "option_C": "X-ray", ")" + modality_key +
         R"~(": "CT(Computed Tomography)"})~";
}

}  // namespace

TEST_CASE("a folder in OmniMedVQA's layout") {
  const TempDir folder;
  std::string list;
  for (int i = 0; i < 200; ++i) {
    const std::string image = "Images/ACRIMA/" + std::to_string(i) + ".png";
    std::filesystem::create_directories((folder / image).parent_path());
    write_png({1, 1, {0, 0, 0}}, folder / image);
    list += (i ? "," : "") + record(image) + "," + record(image, "MR", "modality");
  }
  folder.write("QA_information/Open-access/ACRIMA.json", "[" + list + "]");
  folder.write("QA_information/Restricted-access/B.json",
               "[" + record("Images/absent/1.png") + "," + record("Images/ACRIMA/0.png") + "]");
  const Manifest manifest = load_data(folder.path());
  CHECK(manifest.name == "omni-med-vqa");
  REQUIRE(manifest.examples.size() == 401);
  CHECK(manifest.examples[0].image == "Images/ACRIMA/0.png");
  CHECK(manifest.examples[0].client == "ct(computed tomography)");
  CHECK(manifest.examples[0].dataset == "ACRIMA");
  CHECK(manifest.examples[0].answers == std::vector<std::string>{"ct"});
  CHECK(manifest.examples[0].answer_type == "closed");
  REQUIRE(manifest.notes.size() == 1);
  CHECK(contains(manifest.notes[0],
                 "1 record left out: the image of a restricted set is not here (first: "));
  // About one image in five is for testing, with all its questions.
  std::map<std::string, std::string> splits;
  int test = 0;
  for (const Example& example : manifest.examples) {
    CHECK(splits.emplace(example.image, example.split).first->second == example.split);
    test += example.split == "test";
  }
  CHECK(test > 40);
  CHECK(test < 130);

  const std::string file = (folder / "QA_information/Open-access/ACRIMA.json").string();
  const auto load_with = [&](const std::string& content) {
    folder.write("QA_information/Open-access/ACRIMA.json", content);
    return load_data(folder.path());
  };
  const std::string good = record("Images/ACRIMA/0.png");
  const auto changed = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    text.replace(text.find(from), from.size(), to);
    return input_error([&] { load_with("[" + good + "," + text + "]"); });
  };
  CHECK(load_with("[" + good + "]").examples.size() == 2);
  CHECK(load_with("[" + good + "," + record("Images/ACRIMA/1.png", "none") + "]").notes.size() ==
        2);
  CHECK(contains(changed("\"image_path\"", "\"path\""),
                 file + ": record 2: the field \"image_path\" is missing"));
  CHECK(contains(changed("modality_type", "kind"), "the field \"modality\" is missing"));
  CHECK(contains(changed("Images/ACRIMA/0.png", "Images/ACRIMA/x.png"),
                 "record 2: \"image_path\": the image "));
  CHECK(contains(changed("ACRIMA/0.png", "../../x.png"), "outside of the data set's folder"));
  CHECK(contains(input_error([&] {
                   load_with(R"([{"dataset": "a", "question": "q", "gt_answer": "b", )"
                             R"("image_path": "i", "modality_type": "m", "option_A": "b"}])");
                 }),
                 "record 1: fewer than two of \"option_A\" to \"option_D\""));
  std::filesystem::remove_all(folder / "QA_information");
  std::filesystem::create_directories(folder / "QA_information");
  CHECK(contains(input_error([&] { load_data(folder.path()); }), "no .json file in it"));
}
