#include "tasks/metrics/token_overlap.h"

#include <cmath>

#include "catch.h"

using namespace strata::tasks;

TEST_CASE("open questions count the words of the accepted answer that fits best") {
  const std::vector<std::string> answers = {"left lung", "lung"};
  const std::vector<std::int64_t> none;
  const auto outcome = [&](const std::string& text, bool closed) {
    return Outcome{.truth = none,
                   .chosen = none,
                   .logits = {},
                   .closed = closed,
                   .answers = &answers,
                   .text = text};
  };
  Tally tally;
  for (const Metric& metric : {token_recall(), token_f1()}) {
    metric.add(outcome("the lung", false), tally);
    metric.add(outcome("left heart", false), tally);
    metric.add(outcome("heart", true), tally);  // closed: not of this metric
  }
  CHECK(token_recall().value(tally) == 0.75);
  CHECK(token_f1().value(tally) == 0.75);
  CHECK(std::isnan(token_f1().value({})));
}
