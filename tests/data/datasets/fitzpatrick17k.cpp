#include <map>

#include "data/manifest.h"
#include "support/error_text.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::data;
using namespace strata::test;

namespace {

std::string hash_of(int number) {
  const std::string digits = std::to_string(number);
  return std::string(32 - digits.size(), 'a') + digits;
}

/// Twenty images, ten of them benign; an address with a comma, as some have.
struct Skin {
  TempDir folder;
  std::string table =
      ",md5hash,fitzpatrick_scale,fitzpatrick_centaur,label,nine_partition_label,"
      "three_partition_label,qc,url,url_alphanum\n";

  Skin() {
    for (int i = 0; i < 20; ++i) {
      table += std::to_string(i) + "," + hash_of(i) + ",-1,3,naevus,benign epidermal," +
               (i < 10   ? "benign"
                : i < 15 ? "malignant"
                         : "non-neoplastic") +
               ",,\"http://a/b,c\",abc\n";
      folder.write("images/" + hash_of(i) + ".jpg", "");
    }
    folder.write("fitzpatrick17k.csv", table);
  }
  Manifest read() const {
    LoadOptions options;
    options.reading = Reading::kLabels;
    return load_data(folder.path(), options);
  }
  std::string error(const std::string& from, const std::string& to) const {
    std::string text = table;
    const auto at = text.find(from);
    REQUIRE(at != std::string::npos);
    folder.write("fitzpatrick17k.csv", text.replace(at, from.size(), to));
    return input_error([&] { read(); });
  }
};

}  // namespace

TEST_CASE_METHOD(Skin, "Fitzpatrick17k's images, three classes and a split by classes") {
  const Manifest manifest = read();
  CHECK(manifest.name == "fitzpatrick17k");
  CHECK(manifest.classes == std::vector<std::string>{"benign", "malignant", "non-neoplastic"});
  CHECK(manifest.clients() == std::vector<std::string>{"fitzpatrick17k"});
  CHECK(manifest.notes.empty());
  REQUIRE(manifest.examples.size() == 20);
  CHECK(manifest.examples[1].image == "images/" + hash_of(1) + ".jpg");
  CHECK(manifest.examples[1].labels == std::vector<std::string>{"benign"});
  CHECK(manifest.examples[19].labels == std::vector<std::string>{"non-neoplastic"});
  std::map<std::string, int> tests;
  for (const Example& example : manifest.examples)
    if (example.tests()) ++tests[example.labels[0]];
  CHECK(tests ==
        std::map<std::string, int>{{"benign", 2}, {"malignant", 1}, {"non-neoplastic", 1}});
}

TEST_CASE_METHOD(Skin,
                 "images of Fitzpatrick17k that are not there are said, and change no split") {
  std::map<std::string, std::string> splits;
  for (const Example& example : read().examples) splits[example.image] = example.split;
  for (int i = 3; i < 12; ++i) std::filesystem::remove(folder / ("images/" + hash_of(i) + ".jpg"));
  const Manifest manifest = read();
  CHECK(manifest.examples.size() == 11);
  CHECK(manifest.notes ==
        std::vector<std::string>{"9 records left out: the image is not there (first: " +
                                 (folder / "fitzpatrick17k.csv").string() + ":5)"});
  for (const Example& example : manifest.examples) CHECK(example.split == splits[example.image]);
  std::filesystem::rename(folder / "images", folder / "pictures");
  CHECK(contains(input_error([&] { read(); }),
                 "none of the images that fitzpatrick17k.csv names is there"));
}

TEST_CASE_METHOD(Skin, "what is not as Fitzpatrick17k has it is an error with line and column") {
  CHECK(contains(error("md5hash", "md5"), "fitzpatrick17k.csv: the column \"md5hash\" is missing"));
  CHECK(contains(error("three_partition", "two_partition"),
                 "the column \"three_partition_label\" is missing"));
  CHECK(contains(error(hash_of(1), hash_of(0)),
                 "fitzpatrick17k.csv:3: md5hash: the image " + hash_of(0) + " stands twice"));
  CHECK(contains(error(hash_of(1), "../../../../../../../../../a.png"),
                 "fitzpatrick17k.csv:3: md5hash: \"../../../../../../../../../a.png\" is no MD5 "
                 "hash"));
  CHECK(contains(error(hash_of(1), "abc"), "\"abc\" is no MD5 hash"));
  CHECK(contains(error("epidermal,benign", "epidermal,bening"),
                 "fitzpatrick17k.csv:2: three_partition_label: \"bening\" is not one of "
                 "\"benign\", \"malignant\", \"non-neoplastic\" (did you mean \"benign\"?)"));
}
