#include "tasks/answer_words.h"

#include <cctype>
#include <map>

#include "core/text.h"

namespace strata::tasks {

std::vector<std::string> answer_words(const std::string& text) {
  std::vector<std::string> words, with_articles;
  std::string word;
  const auto end = [&] {
    if (!word.empty()) with_articles.push_back(word);
    if (!word.empty() && word != "a" && word != "an" && word != "the") words.push_back(word);
    word.clear();
  };
  for (const char c : lower_case(text)) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isspace(byte)) {
      end();
    } else if (!std::ispunct(byte)) {
      word += c;
    }
  }
  end();
  return words.empty() ? with_articles : words;  // option "A" is an answer
}

bool same_answer(const std::string& a, const std::string& b) {
  return answer_words(a) == answer_words(b);
}

WordOverlap word_overlap(const std::string& truth, const std::string& found) {
  const std::vector<std::string> wanted = answer_words(truth), given = answer_words(found);
  if (wanted.empty() || given.empty()) {
    const double all = wanted.empty() && given.empty() ? 1 : 0;
    return {all, all};
  }
  std::map<std::string, int> left;
  for (const std::string& word : wanted) ++left[word];
  double shared = 0;
  for (const std::string& word : given) {
    const auto at = left.find(word);
    if (at != left.end() && at->second-- > 0) ++shared;
  }
  const double recall = shared / static_cast<double>(wanted.size());
  const double precision = shared / static_cast<double>(given.size());
  return {recall, shared > 0 ? 2 * precision * recall / (precision + recall) : 0};
}

}  // namespace strata::tasks
