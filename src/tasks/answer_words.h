#pragma once
/// \file
/// Answers in words, compared as question answering does.

#include <string>
#include <vector>

namespace strata::tasks {

/// In small letters (ASCII), without punctuation, the articles a, an and the, and more than one
/// space between words: as SQuAD's evaluation has it (Rajpurkar et al. 2016).
std::vector<std::string> answer_words(const std::string& text);
/// Whether the words of both are the same.
bool same_answer(const std::string& a, const std::string& b);

/// How many of the words of each are in the other, as often.
struct WordOverlap {
  double recall = 0;  ///< of `truth`
  double f1 = 0;
};
/// With no words on either side all of it is found.
WordOverlap word_overlap(const std::string& truth, const std::string& found);

}  // namespace strata::tasks
