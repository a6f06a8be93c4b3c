#include "data/datasets/published.h"

#include "data/image.h"
#include "support/error_text.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::data;
using namespace strata::test;

TEST_CASE("a run of white space, no-break spaces among it, is one blank, and none at the ends") {
  CHECK(squeezed(" a\t\tb \u00a0 c\u00a0") == "a b c");
  CHECK(squeezed("\u00a0").empty());
  // What shares a byte with the no-break space is kept.
  CHECK(squeezed("\u00c2\u00a1") == "\u00c2\u00a1");
  CHECK(trimmed("\f a b \v\n") == "a b");
  CHECK(trimmed(" \t").empty());
  CHECK(lower_ascii("AZ\u00c4") == "az\u00c4");
}

TEST_CASE("yes and no are closed in English and Chinese, all else is open") {
  for (const char* answer : {"yes", "No", "\u662f", "\u6ca1\u6709"})
    CHECK(answer_type_of(answer) == "closed");
  for (const char* answer : {"yes, there is", "left", ""}) CHECK(answer_type_of(answer) == "open");
}

TEST_CASE("a record's texts are as published sets write them, and its errors name record and key") {
  const Document document{
      "set.json",
      Json::parse(R"([{"id":3},{"id":4,"type":" CLOSED ","blank":" ","list":[]}])"),
      {}};
  auto records = records_of(document);
  REQUIRE(records.size() == 2);
  Record& record = records[1];
  CHECK(record.text("id") == "4");
  CHECK(record.choice("type", {"OPEN", "closed"}) == "closed");
  CHECK(record.answer("type") == "closed");
  CHECK(record.text_or_empty("blank").empty());
  CHECK_FALSE(record.has_value("absent"));
  CHECK(input_error([&] { record.text("blank"); }) ==
        "set.json: record 2: blank: the text is empty");
  CHECK(input_error([&] { record.text("list"); }) ==
        "set.json: record 2: list: a text was expected, found a list");
  CHECK(input_error([&] { record.text("idd"); }) ==
        "set.json: record 2: idd: the key is missing; there are \"id\", \"type\", \"blank\", "
        "\"list\"");
  CHECK(input_error([&] {
          record.choice("type", {"OPEN", "CLOSE"});
        }) ==
        "set.json: record 2: type: \"CLOSED\" is not one of \"OPEN\", \"CLOSE\" (did you mean "
        "\"CLOSE\"?)");
}

TEST_CASE("images are checked once each, and need not be there for the questions alone") {
  const TempDir folder;
  folder.write("a.png", "");
  ImageCheck check(folder.path(), {});
  check("set.json: record 1", "image", "a.png");
  const std::string problem = "the image " + (folder / "b.png").string() + " does not exist";
  CHECK(input_error([&] { check("set.json: record 2", "image", "b.png"); }) ==
        "set.json: record 2: image: " + problem);
  check("set.json: record 3", "image", "b.png");
  CHECK(image_problem(folder.path(), "b.png", /*questions_only=*/false) == problem);
  CHECK(image_problem(folder.path(), "b.png", /*questions_only=*/true).empty());
  CHECK(image_problem(folder.path(), "../b.png", /*questions_only=*/true) ==
        "\"../b.png\" is outside of the data set's folder");
}

TEST_CASE("an image is looked for in places and by endings, in their order") {
  const TempDir folder;
  for (const char* name : {"a/1.jpg", "b/1.png", "b/2.jpg"}) folder.write(name, "");
  const ImageCheck check(folder.path(), {});
  const std::vector<std::string> places = {"a/", "b/"}, endings = {".png", ".jpg"};
  CHECK(check.find("t.csv:2", "id", places, "1", endings) == "a/1.jpg");
  CHECK(check.find("t.csv:3", "id", places, "2", endings) == "b/2.jpg");
  CHECK(check.find_if_there(places, "3", endings).empty());
  CHECK(input_error([&] { check.find("t.csv:4", "id", places, "3", endings); }) ==
        "t.csv:4: id: the image " + (folder / "a/3.png").string() +
            " does not exist, nor in the same folder \"a/3.jpg\", \"b/3.png\", \"b/3.jpg\"");
  CHECK(input_error([&] { check.find("t.csv:5", "id", {"a/"}, "4", {".png"}); }) ==
        "t.csv:5: id: the image " + (folder / "a/4.png").string() + " does not exist");
  LoadOptions options;
  options.questions_only = true;
  const ImageCheck names(folder.path(), options);
  CHECK(names.find("t.csv:2", "id", places, "3", endings) == "a/3.png");
  CHECK(input_error([&] { names.find("t.csv:2", "id", {""}, "../3", {".png"}); }) ==
        "t.csv:2: id: \"../3.png\" is outside of the data set's folder");
}

TEST_CASE("what is left out is counted by its reason, with the first place") {
  LeftOut left_out;
  left_out.add("no answer", "record 2");
  left_out.add("no image", "record 4");
  left_out.add("no answer", "record 7");
  Manifest manifest;
  left_out.write(manifest);
  CHECK(manifest.notes ==
        std::vector<std::string>{"2 records left out: no answer (first: record 2)",
                                 "1 record left out: no image (first: record 4)"});
}

TEST_CASE("validation examples are for training where their own set has a test") {
  Manifest manifest;
  const auto add = [&](const std::string& dataset, const std::string& split) {
    Example example;
    example.dataset = dataset;
    example.split = split;
    manifest.examples.push_back(example);
  };
  add("a", "train");
  add("a", kValidation);
  add("a", "test");
  add("b", "train");
  add("b", kValidation);
  settle_validation(manifest);
  std::vector<std::string> splits;
  for (const Example& example : manifest.examples) splits.push_back(example.split);
  CHECK(splits == std::vector<std::string>{"train", "train", "test", "train", "test"});
  CHECK(manifest.notes.size() == 2);
}
