#include "tasks/metrics/balanced_accuracy.h"

#include <cmath>

#include "catch.h"
#include "tasks/metrics/judged.h"

using namespace strata;
using namespace strata::tasks;

// Numbers of scikit-learn 1.9.1 on the examples of judged.h; with several labels the mean of
// balanced_accuracy_score over the labels.
TEST_CASE("balanced accuracy is scikit-learn's") {
  CHECK(test::value_of(balanced_accuracy(), test::three_classes()) == Approx(0.6666666666666666));
  CHECK(test::value_of(balanced_accuracy(), test::several_labels(), true) == Approx(0.75));
  CHECK(std::isnan(balanced_accuracy().value({})));
}

TEST_CASE("rare classes count as frequent ones, absent ones not at all") {
  // Three of class 0 are right, the one of class 2 is wrong: (1 + 0) / 2, where accuracy is 3/4.
  const std::vector<float> says_0 = {1, 0, 0};
  CHECK(test::value_of(balanced_accuracy(),
                       {{{0}, says_0}, {{0}, says_0}, {{0}, says_0}, {{2}, says_0}}) == 0.5);
  // Labels that every image has, or none, have no recall or no specificity.
  CHECK(test::value_of(balanced_accuracy(), {{{0, 1}, {1, 1, -1}}, {{0}, {1, 1, -1}}}, true) ==
        0.5);
}

TEST_CASE("balanced accuracy over clients is that of all their examples") {
  auto all = test::three_classes();
  const std::vector<test::Judged> first(all.begin(), all.begin() + 2),
      rest(all.begin() + 2, all.end());
  Tally sum = test::tally_of(balanced_accuracy(), first);
  sum += test::tally_of(balanced_accuracy(), rest);
  CHECK(balanced_accuracy().value(sum) == test::value_of(balanced_accuracy(), all));
}

TEST_CASE("a kept example without a target has no class to be found") {
  CHECK(test::value_of(balanced_accuracy(), {{{0}, {1, 0}}, {{}, {1, 0}}}) == 1);
}
