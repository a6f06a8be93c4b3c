#include <map>

#include "data/image.h"
#include "data/manifest.h"
#include "support/error_text.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::data;
using namespace strata::test;

TEST_CASE("the real easy-VQA has its published counts") {
  const auto folder = shared_data("easy-vqa");
  if (folder.empty()) {
    WARN("easy-VQA is not here");
    return;
  }
  const Manifest manifest = load_data(folder);
  CHECK(manifest.name == "easy-vqa");
  CHECK_FALSE(manifest.synthetic);
  CHECK(manifest.answers().size() == 13);
  CHECK(manifest.clients() == std::vector<std::string>{"easy-vqa"});
  std::map<std::string, int> splits, closed;
  for (const Example& example : manifest.examples) {
    ++splits[example.split];
    closed[example.split] += example.answer_type == "closed";
  }
  CHECK(splits == std::map<std::string, int>{{"train", 38575}, {"test", 9673}});
  CHECK(closed["train"] == 28407);
  const Example& first = manifest.examples.front();
  CHECK(first.question == "what is the blue shape?");
  CHECK(first.answers == std::vector<std::string>{"rectangle"});
  CHECK(first.image == "train/images/0.png");
  const Image image = read_image(folder / first.image);
  CHECK(image.width == 64);
  CHECK(image.height == 64);
}

TEST_CASE("wrong easy-VQA folders are errors that name file and entry") {
  const TempDir folder;
  folder.write("train/images/0.png", "");
  folder.write("test/images/0.png", "");
  folder.write("test/questions.json", R"([["is it red?", "no", 0]])");
  const auto load_with = [&](const std::string& train) {
    folder.write("train/questions.json", train);
    return load_data(folder.path());
  };
  CHECK(load_with(R"([["is it red?", "yes", 0], ["what is it?", "circle", 0]])").examples.size() ==
        3);
  const std::string file = (folder / "train/questions.json").string();
  CHECK(contains(input_error([&] { load_with("{}"); }), file + ": expected a list"));
  CHECK(contains(input_error([&] { load_with(R"([["q", "a", 0], ["q", "a"]])"); }),
                 file + ": entry 2: expected [question, answer, image id], found [\"q\",\"a\"]"));
  CHECK(contains(input_error([&] { load_with(R"([["q", "a", "0"]])"); }), file + ": entry 1"));
  CHECK(contains(input_error([&] { load_with(R"([["q", "", 0]])"); }),
                 "entry 1: the answer is empty"));
  CHECK(contains(input_error([&] { load_with(R"([["q", "a", 5]])"); }),
                 "train/images/5.png does not exist"));
  CHECK(contains(input_error([&] { load_with("["); }), file));
}
