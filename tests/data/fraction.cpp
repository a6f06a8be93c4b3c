#include "data/fraction.h"

#include <algorithm>
#include <map>
#include <numeric>

#include "catch.h"

using namespace strata::data;

namespace {

/// The first 100 of class "a", then 10 of "b" and 2 of "c".
Manifest uneven_classes() {
  Manifest manifest;
  manifest.classes = {"a", "b", "c"};
  for (int i = 0; i < 112; ++i) {
    Example example;
    example.labels = {manifest.classes[i < 100 ? 0 : i < 110 ? 1 : 2]};
    manifest.examples.push_back(example);
  }
  return manifest;
}

std::vector<int> all_of(const Manifest& manifest) {
  std::vector<int> all(manifest.examples.size());
  std::iota(all.begin(), all.end(), 0);
  return all;
}

std::map<std::string, int> class_counts(const Manifest& manifest, const std::vector<int>& share) {
  std::map<std::string, int> counts;
  for (const int i : share) ++counts[manifest.examples[i].labels[0]];
  return counts;
}

using Counts = std::map<std::string, int>;

}  // namespace

TEST_CASE("a share has every class's share, and the commonest first where it is small") {
  const Manifest manifest = uneven_classes();
  const auto counts = [&](double fraction) {
    return class_counts(manifest, nested_share(manifest, all_of(manifest), fraction, 7));
  };
  CHECK(counts(1) == Counts{{"a", 100}, {"b", 10}, {"c", 2}});
  CHECK(counts(0.5) == Counts{{"a", 50}, {"b", 5}, {"c", 1}});
  CHECK(counts(0.1) == Counts{{"a", 10}, {"b", 1}});
  CHECK(counts(0.02) == Counts{{"a", 2}});
}

TEST_CASE("a smaller share is part of every larger one, and none is empty") {
  const Manifest manifest = uneven_classes();
  std::vector<int> before;
  for (const double fraction : {1e-6, 0.01, 0.1, 0.25, 0.5, 0.9, 1.0}) {
    const auto share = nested_share(manifest, all_of(manifest), fraction, 7);
    CHECK(share.size() >= std::max<std::size_t>(before.size(), 1));
    CHECK(std::is_sorted(share.begin(), share.end()));
    CHECK(std::includes(share.begin(), share.end(), before.begin(), before.end()));
    before = share;
  }
  CHECK(before == all_of(manifest));
  CHECK(nested_share(manifest, {}, 0.5, 7).empty());
}

TEST_CASE("a share is of the examples that it is given, drawn by the seed") {
  const Manifest manifest = uneven_classes();
  const std::vector<int> some = {3, 5, 8, 13, 21, 34, 55, 89, 101, 105};
  const auto half = nested_share(manifest, some, 0.5, 7);
  CHECK(half.size() == 5);
  CHECK(std::includes(some.begin(), some.end(), half.begin(), half.end()));
  CHECK(class_counts(manifest, half) == Counts{{"a", 4}, {"b", 1}});
  CHECK(nested_share(manifest, some, 0.5, 7) == half);
  const auto tenth = nested_share(manifest, all_of(manifest), 0.1, 7);
  CHECK(nested_share(manifest, all_of(manifest), 0.1, 8) != tenth);
  // Not the first of every class.
  CHECK(tenth != std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 100});
}

TEST_CASE("what is held out are whole images, of every class its share, and never all or none") {
  Manifest manifest = uneven_classes();
  for (std::size_t i = 0; i < manifest.examples.size(); ++i)
    manifest.examples[i].image = std::to_string(i / 2);  // two examples on each image
  const auto parts = hold_out(manifest, all_of(manifest), 0.2, 7);
  CHECK(class_counts(manifest, parts.held) == Counts{{"a", 20}, {"b", 2}});
  CHECK(parts.kept.size() + parts.held.size() == 112);
  CHECK(std::is_sorted(parts.kept.begin(), parts.kept.end()));
  for (const int i : parts.held)
    CHECK(std::count(parts.held.begin(), parts.held.end(), i ^ 1) == 1);
  CHECK(hold_out(manifest, all_of(manifest), 0.2, 7).held == parts.held);
  CHECK(hold_out(manifest, all_of(manifest), 0.2, 8).held != parts.held);

  const auto sizes = [&](const std::vector<int>& examples, double share) {
    const auto two = hold_out(manifest, examples, share, 7);
    return std::pair(two.kept.size(), two.held.size());
  };
  CHECK(sizes({0, 1}, 0.5) == std::pair<std::size_t, std::size_t>(2, 0));
  CHECK(sizes({0, 1, 2}, 0.01).second > 0);
  CHECK(sizes({0, 1, 2}, 0.99).first > 0);
  CHECK(sizes({}, 0.5) == std::pair<std::size_t, std::size_t>(0, 0));
}

TEST_CASE("what is held out are whole patients, or whole lesions where no patient is known") {
  Manifest manifest = uneven_classes();
  for (std::size_t i = 0; i < manifest.examples.size(); ++i) {
    Example& example = manifest.examples[i];
    example.image = std::to_string(i);
    // Two images each: patients of the even class "a", lesions of the others. Every patient has two
    // lesions, and every lesion has the name of a patient who is not concerned.
    if (i < 100) example.patient = std::to_string(i / 2);
    example.lesion = i < 100 ? "l" + std::to_string(i) : std::to_string((i - 100) / 2);
  }
  const auto parts = hold_out(manifest, all_of(manifest), 0.2, 7);
  CHECK(class_counts(manifest, parts.held) == Counts{{"a", 20}, {"b", 2}});
  CHECK(parts.kept.size() + parts.held.size() == 112);
  for (const int i : parts.held)
    CHECK(std::count(parts.held.begin(), parts.held.end(), i ^ 1) == 1);
  // A client of one patient cannot hold anything out.
  CHECK(hold_out(manifest, {0, 1}, 0.5, 7).held.empty());
  CHECK(hold_out(manifest, {0, 1, 100, 101}, 0.5, 7).held.size() == 2);
}

TEST_CASE("an image is of the patient that any of its examples names") {
  Manifest manifest = uneven_classes();
  for (std::size_t i = 0; i < 4; ++i) manifest.examples[i].image = i < 2 ? "one" : "two";
  manifest.examples[1].patient = manifest.examples[3].patient = "p";
  CHECK(hold_out(manifest, {0, 1, 2, 3}, 0.5, 7).held.empty());
}
