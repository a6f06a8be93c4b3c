#include "tasks/metrics/auroc.h"

#include <cmath>

#include "catch.h"
#include "strata/core/random.h"
#include "tasks/metrics/judged.h"

using namespace strata;
using namespace strata::tasks;

// Numbers of scikit-learn 1.9.1 on the examples of judged.h: multi_class="ovr", average="macro".
TEST_CASE("AUROC is scikit-learn's") {
  CHECK(test::value_of(auroc(), test::three_classes()) == Approx(0.7916666666666666));
  CHECK(test::value_of(auroc(), test::several_labels(), true) == Approx(0.9166666666666666));
  CHECK(std::isnan(auroc().value({})));
}

TEST_CASE("of two classes either one gives the same, in steps of half for equal scores") {
  // Scores of the second class: 1, 1 and 3, 0; the positives are the middle two. Of the four pairs
  // of a positive and a negative three are in order and one is equal.
  const std::vector<test::Judged> two = {
      {{0}, {0, 1}}, {{1}, {0, 1}}, {{1}, {0, 3}}, {{0}, {0, 0}}};
  CHECK(test::value_of(auroc(), two) == 3.5 / 4);
  std::vector<test::Judged> swapped = two;
  for (auto& example : swapped) {
    std::swap(example.logits[0], example.logits[1]);
    example.truth[0] = 1 - example.truth[0];
  }
  CHECK(test::value_of(auroc(), swapped) == 3.5 / 4);
}

TEST_CASE("probabilities near 1 are told apart") {
  CHECK(test::value_of(auroc(), {{{1}, {0, 60}}, {{0}, {0, 59}}, {{0}, {0, 58}}}) == 1);
}

TEST_CASE("classes without examples of both kinds are left out") {
  CHECK(std::isnan(test::value_of(auroc(), {{{1}, {0, 1}}, {{1}, {1, 0}}})));
  CHECK(test::value_of(auroc(), {{{0, 1}, {1, 1}}, {{0}, {1, 0}}}, true) == 1);
}

TEST_CASE("AUROC over clients is that of all their examples: the pairs that are in order") {
  Random random(3);
  std::vector<test::Judged> examples;
  for (int i = 0; i < 60; ++i) {
    const std::int64_t truth = static_cast<std::int64_t>(random.below(2));
    examples.push_back(
        {{truth}, {0, static_cast<float>(random.below(9)) + static_cast<float>(truth)}});
  }
  double ordered = 0, pairs = 0;
  for (const auto& a : examples) {
    for (const auto& b : examples) {
      if (a.truth[0] != 1 || b.truth[0] != 0) continue;
      ++pairs;
      ordered += a.logits[1] > b.logits[1] ? 1 : a.logits[1] == b.logits[1] ? 0.5 : 0;
    }
  }
  Tally sum;
  for (std::size_t begin = 0; begin < 60; begin += 15) {
    sum += test::tally_of(auroc(), {examples.begin() + static_cast<std::ptrdiff_t>(begin),
                                    examples.begin() + static_cast<std::ptrdiff_t>(begin) + 15});
  }
  CHECK(auroc().value(sum) == Approx(ordered / pairs).epsilon(1e-12));
}
