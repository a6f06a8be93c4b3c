#include "tasks/metrics/yes_no_accuracy.h"

#include <cmath>

#include "catch.h"

using namespace strata::tasks;

TEST_CASE("questions answered yes or no count by which of the two is the likelier") {
  const std::vector<std::int64_t> none;
  const auto outcome = [&](std::optional<bool> likelier) {
    // What was said is wrong throughout.
    return Outcome{.truth = none, .chosen = none, .logits = {}, .right_is_likelier = likelier};
  };
  Tally tally;
  const Metric metric = yes_no_accuracy();
  metric.add(outcome(std::nullopt), tally);
  CHECK(std::isnan(metric.value(tally)));
  for (const bool likelier : {true, false, true, true}) metric.add(outcome(likelier), tally);
  CHECK(metric.value(tally) == 0.75);
}
