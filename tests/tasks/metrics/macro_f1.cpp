#include "tasks/metrics/macro_f1.h"

#include <cmath>

#include "catch.h"
#include "tasks/metrics/judged.h"

using namespace strata;
using namespace strata::tasks;

// Numbers of scikit-learn 1.9.1 on the examples of judged.h.
TEST_CASE("macro F1 is scikit-learn's") {
  CHECK(test::value_of(macro_f1(), test::three_classes()) == Approx(0.6555555555555556));
  CHECK(test::value_of(macro_f1(), test::several_labels(), true) == Approx(0.7666666666666666));
  CHECK(std::isnan(macro_f1().value({})));
}

TEST_CASE(
    "classes that are neither there nor predicted are left out, labels that never occur are 0") {
  const std::vector<test::Judged> one = {{{0}, {1, 0, 0}}, {{0}, {1, 0, 0}}};
  CHECK(test::value_of(macro_f1(), one) == 1);
  CHECK(test::value_of(macro_f1(), {{{0}, {1, -1, -1}}}, true) == Approx(1.0 / 3));
  // A class that is predicted wrongly counts.
  CHECK(test::value_of(macro_f1(), {{{0}, {1, 0, 0}}, {{0}, {0, 1, 0}}}) == Approx(1.0 / 3));
}

TEST_CASE("a label that the model does not have is missed by no class") {
  CHECK(test::value_of(macro_f1(), {{{0, -1}, {1, -1}}}, true) == 0.5);
  CHECK(test::value_of(macro_f1(), {{{}, {1, 0}}}) == 0);
}

TEST_CASE("macro F1 over clients is that of all their examples") {
  auto all = test::three_classes();
  const std::vector<test::Judged> first(all.begin(), all.begin() + 4),
      rest(all.begin() + 4, all.end());
  Tally sum = test::tally_of(macro_f1(), first);
  sum += test::tally_of(macro_f1(), rest);
  CHECK(macro_f1().value(sum) == test::value_of(macro_f1(), all));
}
