#include "data/text/learnt_tokenizer.h"

#include <map>
#include <queue>
#include <set>
#include <utility>

#include "core/document.h"
#include "data/text/byte_level.h"
#include "data/text/pre_tokenizers.h"
#include "data/text/segment.h"

namespace strata::data {
namespace {

const char* const kFileName = "a learnt tokenizer.json";

Json byte_level_part() {
  return {{"type", "ByteLevel"},
          {"add_prefix_space", false},
          {"trim_offsets", true},
          {"use_regex", true}};
}

/// The text's stretches between special tokens.
std::vector<Segment> without_special_tokens(const std::string& text) {
  std::vector<std::string> parts = {text};
  for (const std::string& token : kLearntTokens) {
    std::vector<std::string> finer;
    for (const std::string& part : parts) {
      std::size_t begin = 0, at;
      for (; (at = part.find(token, begin)) != std::string::npos; begin = at + token.size())
        finer.push_back(part.substr(begin, at - begin));
      finer.push_back(part.substr(begin));
    }
    parts = std::move(finer);
  }
  std::vector<Segment> segments;
  for (const std::string& part : parts)
    if (!part.empty()) segments.push_back(whole_text(icu::UnicodeString::fromUTF8(part)));
  return segments;
}

/// How often the texts have each word, in bytes' characters.
std::map<std::string, std::int64_t> count_words(const std::vector<std::string>& texts) {
  const Document part{kFileName, byte_level_part(), {}, {}};
  ObjectReader reader(part);
  const PreTokenizer split = read_pre_tokenizer(reader);
  std::map<std::string, std::int64_t> counts;
  for (const std::string& text : texts) {
    std::vector<Segment> words = without_special_tokens(text);
    split(words);
    for (const Segment& word : words) ++counts[utf8_of(word.text)];
  }
  return counts;
}

using TokenPair = std::pair<std::int64_t, std::int64_t>;

class Learning {
 public:
  explicit Learning(const std::map<std::string, std::int64_t>& words) : tokens_(kLearntTokens) {
    for_each_character(byte_characters(), [&](UChar32 c) { add(utf8_of(icu::UnicodeString(c))); });
    std::set<TokenPair> seen;
    for (const auto& [word, count] : words) {
      std::vector<std::int64_t> ids;
      for_each_character(icu::UnicodeString::fromUTF8(word), [&](UChar32 c) {
        ids.push_back(ids_.at(utf8_of(icu::UnicodeString(c))));
      });
      words_.push_back({std::move(ids), count});
      add_pairs(words_.size() - 1, 1, seen);
    }
    propose(seen);
  }

  void merge_until(std::int64_t size) {
    while (static_cast<std::int64_t>(tokens_.size()) < size && !candidates_.empty()) {
      const Candidate best = candidates_.top();
      candidates_.pop();
      if (best.count == pairs_.at(best.pair).count) merge(best.pair);
    }
  }

  const std::vector<std::string>& tokens() const { return tokens_; }
  /// "a b", in their order.
  const std::vector<std::string>& merges() const { return merges_; }

 private:
  struct Word {
    std::vector<std::int64_t> ids;
    std::int64_t count;
  };
  struct Places {
    std::int64_t count = 0;
    std::set<std::size_t> words;  // that have or had it
  };
  struct Candidate {
    std::int64_t count;
    TokenPair pair;
    bool operator<(const Candidate& other) const {
      return count != other.count ? count < other.count : pair > other.pair;
    }
  };

  std::int64_t add(const std::string& token) {
    const auto [entry, fresh] = ids_.emplace(token, static_cast<std::int64_t>(tokens_.size()));
    if (fresh) tokens_.push_back(token);
    return entry->second;
  }

  /// Adds the pairs of a word to the counts, or with `sign` -1 takes them away.
  void add_pairs(std::size_t place, std::int64_t sign, std::set<TokenPair>& changed) {
    const Word& word = words_[place];
    for (std::size_t i = 1; i < word.ids.size(); ++i) {
      const TokenPair pair{word.ids[i - 1], word.ids[i]};
      Places& places = pairs_[pair];
      places.count += sign * word.count;
      if (sign > 0) places.words.insert(place);
      changed.insert(pair);
    }
  }

  /// An earlier candidate for the same pair is stale, as its count is another.
  void propose(const std::set<TokenPair>& changed) {
    for (const TokenPair& pair : changed)
      if (const std::int64_t count = pairs_.at(pair).count; count > 0)
        candidates_.push({count, pair});
  }

  void merge(const TokenPair& pair) {
    const std::string& left = tokens_[static_cast<std::size_t>(pair.first)];
    const std::string& right = tokens_[static_cast<std::size_t>(pair.second)];
    merges_.push_back(left + " " + right);
    const std::int64_t merged = add(left + right);
    std::set<TokenPair> changed;
    const std::set<std::size_t> places = pairs_.at(pair).words;
    for (const std::size_t place : places) {
      add_pairs(place, -1, changed);
      replace(words_[place].ids, pair, merged);
      add_pairs(place, 1, changed);
    }
    propose(changed);
  }

  static void replace(std::vector<std::int64_t>& ids, const TokenPair& pair, std::int64_t merged) {
    std::size_t end = 0;
    for (std::size_t i = 0; i < ids.size(); ++i) {
      const bool found = i + 1 < ids.size() && TokenPair(ids[i], ids[i + 1]) == pair;
      ids[end++] = found ? merged : ids[i];
      if (found) ++i;
    }
    ids.resize(end);
  }

  std::vector<std::string> tokens_, merges_;
  std::map<std::string, std::int64_t> ids_;
  std::vector<Word> words_;
  std::map<TokenPair, Places> pairs_;
  std::priority_queue<Candidate> candidates_;
};

Json added_tokens() {
  Json added = Json::array();
  for (std::size_t id = 0; id < kLearntTokens.size(); ++id)
    added.push_back({{"id", id},
                     {"content", kLearntTokens[id]},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", true}});
  return added;
}

/// <s> before a text, and before the first of two.
Json begin_before() {
  const std::string& begin = kLearntTokens[kLearntBegin];
  const Json special = {{"SpecialToken", {{"id", begin}, {"type_id", 0}}}};
  const auto text = [](const char* id, int type) {
    return Json{{"Sequence", {{"id", id}, {"type_id", type}}}};
  };
  const Json ids = Json::array({static_cast<std::int64_t>(kLearntBegin)});
  return {{"type", "TemplateProcessing"},
          {"single", Json::array({special, text("A", 0)})},
          {"pair", Json::array({special, text("A", 0), text("B", 1)})},
          {"special_tokens",
           {{begin, {{"id", begin}, {"ids", ids}, {"tokens", Json::array({begin})}}}}}};
}

}  // namespace

std::string learn_tokenizer(const std::vector<std::string>& texts, std::int64_t size) {
  Learning learning(count_words(texts));
  learning.merge_until(size);
  Json vocabulary = Json::object();
  std::int64_t id = 0;
  for (const std::string& token : learning.tokens()) vocabulary[token] = id++;
  const Json root = {{"version", "1.0"},
                     {"truncation", nullptr},
                     {"padding", nullptr},
                     {"added_tokens", added_tokens()},
                     {"normalizer", nullptr},
                     {"pre_tokenizer", byte_level_part()},
                     {"post_processor", begin_before()},
                     {"decoder", byte_level_part()},
                     {"model",
                      {{"type", "BPE"},
                       {"dropout", nullptr},
                       {"unk_token", nullptr},
                       {"continuing_subword_prefix", nullptr},
                       {"end_of_word_suffix", nullptr},
                       {"fuse_unk", false},
                       {"byte_fallback", false},
                       {"ignore_merges", false},
                       {"vocab", std::move(vocabulary)},
                       {"merges", learning.merges()}}}};
  return root.dump(1) + "\n";
}

}  // namespace strata::data
