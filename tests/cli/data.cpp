// `strata data` as a process, on good and on bad input.
#include <nlohmann/json.hpp>
#include <tuple>

#include "catch.h"
#include "command.h"
#include "support/image_files.h"
#include "support/volume_files.h"
#include "wrong_input.h"

using namespace strata;
using test::run_strata;

TEST_CASE("data make and check work together, and the same seed gives the same bytes") {
  const test::TempDir first, second;
  for (const auto* dir : {&first, &second}) {
    const auto made = run_strata({"data", "make", "phantoms", "--out", "set", "--seed", "3",
                                  "--images", "5", "--shapes", "5", "--size", "32"},
                                 dir->path());
    CAPTURE(made.err);
    REQUIRE(made.code == 0);
    CHECK_THAT(made.out, Catch::Contains("synthetic") && Catch::Contains("endoscopy"));
  }
  CHECK(test::slurp(first / "set/manifest.jsonl") == test::slurp(second / "set/manifest.jsonl"));
  CHECK(test::slurp(first / "set/images/ct/0001.png") ==
        test::slurp(second / "set/images/ct/0001.png"));
  for (const std::string partition : {"iid", "dirichlet"}) {
    const auto checked = run_strata(
        {"data", "check", "set", "--partition", partition, "--clients", "3", "--alpha", "5"},
        first.path());
    CAPTURE(partition, checked.err);
    CHECK(checked.code == 0);
    CHECK_THAT(checked.out, Catch::Contains("train"));
  }
  const auto json = run_strata({"data", "check", "set", "--json"}, first.path());
  REQUIRE(json.code == 0);
  CHECK(nlohmann::json::parse(json.out).is_object());
}

TEST_CASE("data check reads labels where there are no questions, and where they are asked for") {
  const test::TempDir dir;
  const std::string image = test::bmp(40, 1, 1, 24, 0, std::string("\x01\x02\x03\0", 4));
  for (const char* name : {"train/nevus/1.bmp", "train/wart/1.bmp", "test/nevus/1.bmp"})
    dir.write("skin/" + std::string(name), image);
  const auto text = run_strata({"data", "check", "skin"}, dir.path());
  CAPTURE(text.err);
  CHECK(text.code == 0);
  CHECK_THAT(text.out,
             Catch::Contains("skin: 3 images, all readable; 3 labelled examples; 2 classes\n"));
  CHECK_THAT(text.out, Catch::Contains("classes (commonest)"));
  const auto json = run_strata({"data", "check", "skin", "--json"}, dir.path());
  REQUIRE(json.code == 0);
  const auto read = nlohmann::json::parse(json.out);
  CHECK(read["classes"] == nlohmann::json({"nevus", "wart"}));
  CHECK(read["multi_label"] == false);
  CHECK_FALSE(read.contains("answers"));

  dir.write("asks/a.bmp", image);
  dir.write(
      "asks/manifest.jsonl",
      R"({"image":"a.bmp","question":"q?","answers":["yes"],"split":"train","client":"ct","answer_type":"closed"})");
  CHECK_THAT(run_strata({"data", "check", "asks"}, dir.path()).out,
             Catch::Contains("1 questions, 1 of them distinct; 1 answers"));
  test::check_refused({"data", "check", "asks", "--labels"}, dir.path(),
                      {"asks/manifest.jsonl:1: question: image classification asks none"});
  dir.write("skin/train/mole/notes.txt", "");
  test::check_refused({"data", "check", "skin"}, dir.path(),
                      {"skin/train/mole: no image in this class's folder"});
}

TEST_CASE("data check reads a published set, and a fraction of what its clients train on") {
  const test::TempDir dir;
  const std::string image = test::bmp(40, 1, 1, 24, 0, std::string("\x01\x02\x03\0", 4));
  for (const std::string name : {"benign", "malignant", "normal"})
    for (int i = 1; i <= 10; ++i) {
      const std::string file = "busi/" + name + "/" + name + " (" + std::to_string(i) + ")";
      dir.write(file + ".png", image);
      dir.write(file + "_mask.png", "no image");
    }
  const auto all = run_strata({"data", "check", "busi", "--json"}, dir.path());
  CAPTURE(all.err);
  REQUIRE(all.code == 0);
  const auto clients = nlohmann::json::parse(all.out)["clients"];
  CHECK(clients == nlohmann::json::parse(R"([{"name":"busi","train":24,"test":6}])"));
  const auto fewer =
      run_strata({"data", "check", "busi", "--json", "--fraction", "0.25"}, dir.path());
  CAPTURE(fewer.err);
  REQUIRE(fewer.code == 0);
  CHECK(nlohmann::json::parse(fewer.out)["clients"] ==
        nlohmann::json::parse(R"([{"name":"busi","train":6,"test":6}])"));
  test::check_refused({"data", "check", "busi", "--fraction", "0"}, dir.path(), {"--fraction"});
  test::check_refused({"data", "check", "busi", "--fraction", "1.5"}, dir.path(), {"--fraction"});
  std::filesystem::remove_all(dir / "busi/normal");
  dir.write("busi/Dataset_BUSI_with_GT/benign/a.png", image);
  test::check_refused({"data", "check", "busi"}, dir.path(),
                      {"busi/Dataset_BUSI_with_GT/malignant: no such folder"});
}

TEST_CASE("a published table without one of its columns is refused by the column's name") {
  const test::TempDir dir;
  const std::vector<std::tuple<std::string, std::string, std::string>> tables = {
      {"HAM10000_metadata.csv", "lesion_id,image_id,dz\nL1,I1,nv\n",
       "the column \"dx\" is missing (did you mean \"dz\"?)"},
      {"train_test_split.csv", "image,target,center\na,1,0\n", "the column \"fold\" is missing"},
      {"fitzpatrick17k.csv", "md5hash,label\n1,benign\n",
       "the column \"three_partition_label\" is missing"},
      {"metadata - standardized.csv", "names,fundus\nPAPILA-1,a.png\n",
       "the column \"types\" is missing"},
      {"stage_2_train_labels.csv", "patientId,x\np,1\n", "the column \"Target\" is missing"}};
  for (const auto& [file, text, message] : tables) {
    const std::string folder = "without " + file;
    dir.write(folder + "/" + file, text);
    test::check_refused({"data", "check", folder}, dir.path(),
                        {folder + "/" + file + ": " + message});
  }
}

TEST_CASE("a damaged data set is refused in one line that names it") {
  const test::TempDir dir;
  const std::string line =
      R"({"image":"a.png","question":"q?","answers":["yes"],"split":"train","client":"ct","answer_type":"closed"})";
  dir.write("no-json/manifest.jsonl", line.substr(0, 40) + "\n");
  test::check_refused({"data", "check", "no-json"}, dir.path(), {"manifest.jsonl:1"});
  dir.write("no-image/manifest.jsonl", line + "\n");
  test::check_refused({"data", "check", "no-image"}, dir.path(), {"manifest.jsonl:1", "a.png"});
  dir.write("unknown/manifest.jsonl", R"({"imaeg":"a.png"})"
                                      "\n");
  test::check_refused({"data", "check", "unknown"}, dir.path(), {"manifest.jsonl:1", "image"});
  dir.write("broken/manifest.jsonl", line + "\n");
  dir.write("broken/a.png", "\x89PNG\r\n\x1a\nnothing");
  test::check_refused({"data", "check", "broken"}, dir.path(), {"a.png"});
  std::filesystem::create_directories(dir / "empty");
  test::check_refused({"data", "check", "empty"}, dir.path(), {"manifest.jsonl", "questions.json"});
  dir.write("occupied/notes.txt", "mine");
  test::check_refused({"data", "make", "phantoms", "--out", "occupied"}, dir.path(), {"occupied"});
  test::check_refused({"data", "make", "fantoms", "--out", "x"}, dir.path(), {"phantoms"});
  test::check_refused({"data", "make", "phantoms", "--out", "x", "--size", "8"}, dir.path(),
                      {"--size"});
}

TEST_CASE("volumes are made and checked, and what is wrong with one is said in one line") {
  const test::TempDir dir;
  const auto made = run_strata(
      {"data", "make", "volumes", "--out", "set", "--volumes", "12", "--size", "32"}, dir.path());
  CAPTURE(made.err);
  REQUIRE(made.code == 0);
  CHECK_THAT(made.out, Catch::Contains("client  volumes  train  test") &&
                           Catch::Contains("solids       12     11     1") &&
                           Catch::Contains("All of it is synthetic"));
  const auto check = [&](const std::string& argument = "--partition=modality") {
    return run_strata({"data", "check", "set", argument}, dir.path());
  };
  CHECK_THAT(check().out, Catch::Contains("fed-kits19 (synthetic): 12 volumes, all readable; 12 "
                                          "with masks; classes \"kidney\", \"tumor\"\n"));
  const auto json = nlohmann::json::parse(check("--json").out);
  CHECK(json["classes"] == nlohmann::json({"kidney", "tumor"}));
  CHECK(json["slice_axis"] == 0);
  CHECK(json["clients"].size() == 6);
  CHECK_FALSE(json.contains("multi_label"));

  const std::string name = "set/data/case_00021/", image = name + "imaging.nii.gz",
                    mask = name + "segmentation.nii.gz";
  const auto refused = [&](const std::string& file, const std::string& content,
                           const std::vector<std::string>& parts) {
    const std::string before = test::slurp(dir / file);
    dir.write(file, content);
    test::check_refused({"data", "check", "set"}, dir.path(), parts);
    dir.write(file, before);
  };
  const std::string whole = test::slurp(dir / image);
  refused(image, whole.substr(0, whole.size() - 20), {image, "ends too early"});
  refused(image, std::string(128, 'x') + "DICM" + std::string(400, 'x'), {image, "dcm2niix"});
  const auto shared = test::shared_data("nifti");
  if (!shared.empty())
    refused(image, test::slurp(shared / "example4d.nii.gz"), {image, "found 4 dimensions"});
  data::write_nifti(dir / "other.nii.gz", test::small_mask());
  refused(mask, test::slurp(dir / "other.nii.gz"), {mask, "the mask has the shape (4, 3, 2)"});
  data::Volume halves = test::small_volume();
  for (float& value : halves.values) value = 0.5;
  data::write_nifti(dir / "half.nii.gz", halves, data::VoxelType::kFloat32);
  refused(mask, test::slurp(dir / "half.nii.gz"), {mask, "voxel (0, 0, 0) has the label 0.5"});
  std::filesystem::remove(dir / mask);
  test::check_refused({"data", "check", "set"}, dir.path(), {image, "its mask is missing"});
  test::check_refused({"data", "make", "volumes", "--out", "x", "--layout", "kit"}, dir.path(),
                      {"--layout", "kits"});
  test::check_refused({"data", "make", "volumes", "--out", "x", "--volumes", "5"}, dir.path(),
                      {"--volumes"});
}
