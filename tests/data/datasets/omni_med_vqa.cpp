#include <map>

#include "data/image.h"
#include "data/manifest.h"
#include "support/error_text.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::data;
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
  REQUIRE(manifest.notes.size() == 2);
  CHECK(contains(manifest.notes[0],
                 "1 record left out: the image of a restricted set is not here (first: "));
  CHECK(manifest.notes[1] ==
        "200 records have \"modality\" in place of \"modality_type\", which was read (first: " +
            (folder / "QA_information/Open-access/ACRIMA.json").string() + ": record 2)");
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
                 file + ": record 2: image_path: the key is missing"));
  CHECK(contains(changed("modality_type", "kind"), "modality_type: the key is missing"));
  CHECK(contains(changed("Images/ACRIMA/0.png", "Images/ACRIMA/x.png"),
                 "record 2: image_path: the image "));
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

TEST_CASE("OmniMedVQA's irregular records") {
  const TempDir folder;
  const std::string image = "Images/A (b) c/1 (2)..JPG";
  std::filesystem::create_directories((folder / image).parent_path());
  write_png({1, 1, {0, 0, 0}}, folder / image);
  const auto load = [&](const std::string& answer, const std::string& options,
                        const std::string& modality) {
    folder.write(
        "QA_information/Open-access/A (b) c.json",
        R"([{"dataset": "A", "question_id": "A_1", "question_type": "t", "question": "q?", )"
        R"("gt_answer": ")" +
            answer + R"(", "image_path": ")" + image + "\", " + options + modality + "}]");
    return load_data(folder.path());
  };
  const std::string modality = R"(, "modality_type": "OCT (Optical Coherence Tomography")";
  const std::string two = R"("option_A": "Yes", "option_B": "No.")";

  // Options that are missing, null or empty are none.
  for (const char* others :
       {"", R"(, "option_C": null, "option_D": null)", R"(, "option_C": "", "option_D": " ")"}) {
    const Manifest manifest = load("Yes", two + others, modality);
    REQUIRE(manifest.examples.size() == 1);
    CHECK(manifest.notes.empty());
    CHECK(manifest.examples[0].client == "oct (optical coherence tomography");
    CHECK(manifest.examples[0].image == image);
  }
  CHECK(contains(
      input_error([&] { load("Yes", R"("option_A": "Yes", "option_B": null)", modality); }),
      "record 1: fewer than two of \"option_A\" to \"option_D\""));

  // The answer is an option but for case and a final period.
  CHECK(load("yes.", two, modality).examples[0].answers == std::vector<std::string>{"yes."});
  CHECK(load("no", two, modality).examples[0].answers == std::vector<std::string>{"no"});
  CHECK(contains(input_error([&] { load("yes..", two, modality); }),
                 "no example in it; 1 record left out: \"gt_answer\" is none of the options"));

  const Manifest renamed = load("Yes", two, R"(, "modality": "X-Ray", "modality_type": null)");
  CHECK(renamed.examples[0].client == "x-ray");
  REQUIRE(renamed.notes.size() == 1);
  CHECK(contains(renamed.notes[0], "1 record has \"modality\" in place of \"modality_type\""));
  CHECK(contains(input_error([&] { load("Yes", two, R"(, "modality": null)"); }),
                 "record 1: modality_type: the key is missing"));
}
