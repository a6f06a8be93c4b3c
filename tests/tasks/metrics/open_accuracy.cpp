#include "tasks/metrics/open_accuracy.h"

#include <cmath>

#include "catch.h"
#include "tasks/metrics/judged.h"

using namespace strata;
using namespace strata::tasks;

TEST_CASE("open and closed questions are counted apart") {
  std::vector<test::Judged> examples = test::three_classes();  // wrong: the second and the last
  examples[0].closed = examples[1].closed = true;
  CHECK(test::value_of(open_accuracy(), examples) == 0.75);
  CHECK(test::value_of(closed_accuracy(), examples) == 0.5);
  examples.resize(2);
  CHECK(std::isnan(test::value_of(open_accuracy(), examples)));
}
