#include "data/image.h"
#include "data/manifest.h"
#include "support/error_text.h"
#include "support/pickles.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::data;
using namespace strata::test;

TEST_CASE("a folder in PathVQA's layout") {
  const TempDir folder;
  const std::string pickle = from_hex(pickles().at(4));
  for (const char* split : {"train", "val", "test"}) {
    const std::string name = split;
    folder.write("qas/" + name + "/" + name + "_qa.pkl", pickle);
    std::filesystem::create_directories(folder / "images" / split);
    for (const char* image : {"train_0001.jpg", "train_0422.jpg"})
      write_png({1, 1, {0, 0, 0}}, folder / "images" / split / image);
  }
  const Manifest manifest = load_data(folder.path());
  CHECK(manifest.name == "path-vqa");
  REQUIRE(manifest.examples.size() == 9);
  CHECK(manifest.clients() == std::vector<std::string>{"pathology"});
  CHECK(manifest.examples[0].image == "images/train/train_0422.jpg");
  CHECK(manifest.examples[0].answers == std::vector<std::string>{"in the canals of hering"});
  CHECK(manifest.examples[0].answer_type == "open");
  CHECK(manifest.examples[1].answer_type == "closed");
  CHECK(manifest.examples[3].image == "images/val/train_0422.jpg");
  CHECK(manifest.examples[3].split == "train");
  CHECK(manifest.examples[8].split == "test");

  const std::string file = (folder / "qas/train/train_qa.pkl").string();
  const auto error = [&](const std::string& bytes) {
    folder.write("qas/train/train_qa.pkl", bytes);
    return input_error([&] { load_data(folder.path()); });
  };
  CHECK(contains(error(pickle.substr(0, 50)), file + ": pickle, byte "));
  CHECK(contains(error("}."), file + ": a list of records was expected, found a mapping"));
  CHECK(contains(error("]}a."), file + ": record 1: image: the key is missing"));
  folder.write("qas/train/train_qa.pkl", pickle);
  std::filesystem::remove(folder / "images/train/train_0001.jpg");
  CHECK(contains(input_error([&] { load_data(folder.path()); }),
                 file + ": record 3: image: the image "));
}
