#include "tasks/metrics/token_overlap.h"

#include "tasks/answer_words.h"

namespace strata::tasks {
namespace {

double best_overlap(const Outcome& outcome, double WordOverlap::*share) {
  double best = 0;
  for (const std::string& answer : *outcome.answers)
    best = std::max(best, word_overlap(answer, outcome.text).*share);
  return best;
}

}  // namespace

Metric token_recall() {
  return {"token_recall", "share of the words of open questions' answers that are said",
          [](const Outcome& outcome, Tally& tally) {
            if (!outcome.closed)
              tally["token_recall"].add(best_overlap(outcome, &WordOverlap::recall));
          },
          [](const Tally& tally) { return tally.of("token_recall").mean(); }};
}

Metric token_f1() {
  return {"token_f1", "harmonic mean of recall and precision of open questions' answers' words",
          [](const Outcome& outcome, Tally& tally) {
            if (!outcome.closed) tally["token_f1"].add(best_overlap(outcome, &WordOverlap::f1));
          },
          [](const Tally& tally) { return tally.of("token_f1").mean(); }};
}

}  // namespace strata::tasks
