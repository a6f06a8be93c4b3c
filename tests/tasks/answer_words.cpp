#include "tasks/answer_words.h"

#include "catch.h"

using namespace strata::tasks;

TEST_CASE("answers are compared by their words, without case, punctuation and articles") {
  CHECK(answer_words("The  Left lung, of\na patient.") ==
        std::vector<std::string>{"left", "lung", "of", "patient"});
  CHECK(same_answer("Yes.", "yes"));
  CHECK(same_answer("an X-ray", "the xray"));
  CHECK_FALSE(same_answer("left lung", "right lung"));
  CHECK_FALSE(same_answer("yes", ""));
  // What is nothing but articles is an answer of its own.
  CHECK(same_answer("A", "a."));
  CHECK_FALSE(same_answer("A", "the"));
}

TEST_CASE("words are found as often as they are there") {
  const WordOverlap half = word_overlap("left upper lobe lung", "the lung, left");
  CHECK(half.recall == 0.5);
  CHECK(half.f1 == Approx(2 * 0.5 * 1 / 1.5));
  CHECK(word_overlap("left left", "left").recall == 0.5);
  CHECK(word_overlap("left", "left left").recall == 1);
  CHECK(word_overlap("left", "left left").f1 == Approx(2.0 / 3));
  CHECK(word_overlap("left", "right").f1 == 0);
  CHECK(word_overlap("left", "").recall == 0);
  CHECK(word_overlap("", "").f1 == 1);
}
