#include "tasks/metrics/accuracy.h"

#include <cmath>

#include "catch.h"
#include "tasks/metrics/judged.h"

using namespace strata;
using namespace strata::tasks;

// Numbers of scikit-learn 1.9.1 on the examples of judged.h.
TEST_CASE("accuracy is the share of examples that are right, of several labels all of them") {
  CHECK(test::value_of(accuracy(), test::three_classes()) == Approx(0.6666666666666666));
  CHECK(test::value_of(accuracy(), test::several_labels(), true) == 0.25);
  CHECK(std::isnan(accuracy().value({})));
}
