#include "data/datasets/own_split.h"

#include <algorithm>
#include <map>
#include <set>

#include "catch.h"

using namespace strata::data;

namespace {

struct Set {
  Manifest manifest;
  std::vector<std::string> groups;

  void add(const std::string& group, const std::string& label, const std::string& client) {
    Example example;
    example.image = group + "-" + std::to_string(groups.size());
    example.labels = {label};
    example.client = client;
    manifest.examples.push_back(example);
    groups.push_back(group);
  }
  std::set<std::string> tested() {
    split_stratified(manifest, groups);
    std::set<std::string> names;
    for (std::size_t i = 0; i < groups.size(); ++i)
      if (manifest.examples[i].tests()) names.insert(groups[i]);
    return names;
  }
  /// Groups for testing of every class and client, "nv/vienna".
  std::map<std::string, int> counts() {
    const auto names = tested();
    std::map<std::string, std::string> owner;
    for (std::size_t i = 0; i < groups.size(); ++i)
      owner[groups[i]] = manifest.examples[i].labels[0] + "/" + manifest.examples[i].client;
    std::map<std::string, int> out;
    for (const auto& name : names) ++out[owner[name]];
    return out;
  }
};

Set two_classes() {
  Set set;
  for (int i = 0; i < 40; ++i)
    for (int copy = 0; copy <= i % 3; ++copy)
      set.add("n" + std::to_string(i), "nv", i % 4 ? "vienna" : "rosendahl");
  for (int i = 0; i < 10; ++i) set.add("m" + std::to_string(i), "mel", "vienna");
  return set;
}

}  // namespace

TEST_CASE("one group in five of every class and client is for testing, and groups stay together") {
  Set set = two_classes();
  CHECK(set.counts() ==
        std::map<std::string, int>{{"mel/vienna", 2}, {"nv/rosendahl", 2}, {"nv/vienna", 6}});
  const auto tested = set.tested();
  for (std::size_t i = 0; i < set.groups.size(); ++i) {
    const Example& example = set.manifest.examples[i];
    CHECK(example.tests() == (tested.count(set.groups[i]) > 0));
    CHECK(example.trains() == !example.tests());
  }
}

TEST_CASE("the split does not depend on the order of the examples") {
  Set set = two_classes();
  const auto tested = set.tested();
  std::reverse(set.manifest.examples.begin(), set.manifest.examples.end());
  std::reverse(set.groups.begin(), set.groups.end());
  CHECK(set.tested() == tested);
  // It is drawn, not the first or the last by name.
  CHECK(tested.count("m0") + tested.count("m1") < 2);
  CHECK(tested.count("m8") + tested.count("m9") < 2);
}

TEST_CASE("a group of several classes or clients is whole, and counts for the first of them") {
  Set set;
  for (int i = 0; i < 4; ++i) {
    set.add("g" + std::to_string(i), i % 2 ? "nv" : "mel", "vienna");
    set.add("g" + std::to_string(i), i % 2 ? "mel" : "nv", "vienna");
  }
  // Two and two groups would have none in the test.
  CHECK(set.tested().size() == 1);
}

TEST_CASE("a class has its share of the test though every client has too little for one") {
  Set set;
  for (int i = 0; i < 20; ++i)
    set.add("g" + std::to_string(i), "nv", "client " + std::to_string(i / 2));
  CHECK(set.tested().size() == 4);
}

TEST_CASE("a client keeps a group for training") {
  Set set;
  for (int i = 0; i < 20; ++i) set.add("g" + std::to_string(i), "nv", "c" + std::to_string(i));
  CHECK(set.tested().empty());
  Set pairs;
  for (int i = 0; i < 6; ++i)
    for (const char* label : {"nv", "mel"})
      pairs.add(label + std::to_string(i), label, "c" + std::to_string(i));
  // Both classes would take the third client's and the fifth's only image of theirs otherwise.
  const auto tested = pairs.tested();
  CHECK(tested == std::set<std::string>{"mel2", "nv3"});
}
