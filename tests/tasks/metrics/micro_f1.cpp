#include "tasks/metrics/micro_f1.h"

#include <cmath>

#include "catch.h"
#include "tasks/metrics/judged.h"

using namespace strata;
using namespace strata::tasks;

TEST_CASE("micro F1 counts hits over all classes") {
  // One label an example: four of six are right.
  CHECK(test::value_of(micro_f1(), test::three_classes()) == Approx(4.0 / 6));
  // Four hits, two labels too many, one missed.
  CHECK(test::value_of(micro_f1(), test::several_labels(), true) == Approx(8.0 / 11));
  CHECK(std::isnan(micro_f1().value({})));
}

TEST_CASE("a label that the model does not have is missed, and of accepted ones one is enough") {
  CHECK(test::value_of(micro_f1(), {{{0, -1}, {1, -1}}}, true) == Approx(2.0 / 3));
  CHECK(test::value_of(micro_f1(), {{{0, 1}, {1, 0}}}) == 1);
  CHECK(test::value_of(micro_f1(), {{{}, {1, 0}}}) == 0);
}

TEST_CASE("micro F1 over clients is that of all their examples") {
  const auto all = test::several_labels();
  Tally sum = test::tally_of(micro_f1(), {all[0]}, true);
  sum += test::tally_of(micro_f1(), {all[1], all[2], all[3]}, true);
  CHECK(micro_f1().value(sum) == test::value_of(micro_f1(), all, true));
}
