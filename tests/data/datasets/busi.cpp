#include <map>

#include "data/manifest.h"
#include "support/error_text.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::data;
using namespace strata::test;

namespace {

/// Ten benign, five malignant and five normal images with their outlines.
struct Ultrasound {
  TempDir folder;

  explicit Ultrasound(const std::string& inside = "Dataset_BUSI_with_GT/") {
    for (const auto& [name, count] :
         std::map<std::string, int>{{"benign", 10}, {"malignant", 5}, {"normal", 5}})
      for (int i = 1; i <= count; ++i) {
        const std::string image = inside + name + "/" + name + " (" + std::to_string(i) + ")";
        folder.write(image + ".png", "");
        folder.write(image + "_mask.png", "");
        if (i == 1) folder.write(image + "_mask_1.png", "");
      }
  }
  Manifest read() const {
    LoadOptions options;
    options.reading = Reading::kLabels;
    return load_data(folder.path(), options);
  }
};

/// How many examples have this label and split, "benign test".
std::map<std::string, int> split_counts(const Manifest& manifest) {
  std::map<std::string, int> counts;
  for (const Example& example : manifest.examples)
    ++counts[example.labels[0] + " " + example.split];
  return counts;
}

}  // namespace

TEST_CASE_METHOD(Ultrasound, "BUSI's images without their outlines, split by classes") {
  const Manifest manifest = read();
  CHECK(manifest.name == "busi");
  CHECK(manifest.classes == std::vector<std::string>{"benign", "malignant", "normal"});
  CHECK(manifest.clients() == std::vector<std::string>{"busi"});
  REQUIRE(manifest.examples.size() == 20);
  CHECK(manifest.examples[0].image == "Dataset_BUSI_with_GT/benign/benign (1).png");
  CHECK(manifest.examples[19].image == "Dataset_BUSI_with_GT/normal/normal (5).png");
  for (const Example& example : manifest.examples) CHECK(!contains(example.image, "_mask"));
  CHECK(split_counts(manifest) == std::map<std::string, int>{{"benign test", 2},
                                                             {"benign train", 8},
                                                             {"malignant test", 1},
                                                             {"malignant train", 4},
                                                             {"normal test", 1},
                                                             {"normal train", 4}});
}

TEST_CASE("BUSI's three folders in the set's own are read with the same split") {
  const Ultrasound outer, inner("");
  const Manifest expected = outer.read(), manifest = inner.read();
  REQUIRE(manifest.examples.size() == expected.examples.size());
  for (std::size_t i = 0; i < manifest.examples.size(); ++i) {
    CHECK("Dataset_BUSI_with_GT/" + manifest.examples[i].image == expected.examples[i].image);
    CHECK(manifest.examples[i].split == expected.examples[i].split);
  }
}

TEST_CASE_METHOD(Ultrasound, "a class of BUSI that is missing or empty is an error") {
  const auto normal = folder / "Dataset_BUSI_with_GT/normal";
  for (int i = 1; i <= 5; ++i)
    std::filesystem::remove(normal / ("normal (" + std::to_string(i) + ").png"));
  CHECK(input_error([&] { read(); }) ==
        normal.string() +
            ": no image of this class; they are .png files without \"_mask\" in their names");
  std::filesystem::remove_all(normal);
  CHECK(input_error([&] { read(); }) ==
        normal.string() +
            ": no such folder; BUSI has the classes \"benign\", \"malignant\", \"normal\"");
}
