#include "data/text/unigram.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "data/text/prefix_index.h"
#include "strata/core/error.h"

namespace strata::data {
namespace {

constexpr double kUnknownPenalty = 10;

PrefixIndex<char> index_of(const Vocabulary& vocabulary) {
  std::vector<PrefixIndex<char>::Entry> entries;
  entries.reserve(static_cast<std::size_t>(vocabulary.count()));
  vocabulary.for_each([&](const std::string& piece, std::int64_t id) {
    entries.push_back({piece, id});
  });
  return PrefixIndex<char>(std::move(entries));
}

class Unigram final : public TokenModel {
 public:
  Unigram(Vocabulary vocabulary, std::vector<double> scores, std::optional<std::int64_t> unknown,
          bool byte_fallback, std::string where)
      : TokenModel(std::move(vocabulary)),
        scores_(std::move(scores)),
        unknown_score_(*std::min_element(scores_.begin(), scores_.end()) - kUnknownPenalty),
        unknown_(unknown),
        byte_fallback_(byte_fallback),
        where_(std::move(where)),
        pieces_(index_of(this->vocabulary())) {}

  void encode(const std::string& word, std::vector<std::int64_t>& ids) const override {
    for (const auto& [begin, end] : best_path(word)) {
      const std::string_view piece(word.data() + begin, end - begin);
      // Also of neighbouring unknowns, which together may be a piece.
      if (const auto id = vocabulary().id(piece)) {
        ids.push_back(*id);
        continue;
      }
      const auto bytes = byte_fallback_ ? byte_ids(piece) : std::vector<std::int64_t>();
      ids.insert(ids.end(), bytes.begin(), bytes.end());
      if (bytes.empty()) ids.push_back(unknown_id(word));
    }
  }

 private:
  struct Node {
    double score = 0;
    std::size_t begin = kUnreached;  ///< of the last piece
    std::int64_t id = 0;
  };
  static constexpr std::size_t kUnreached = static_cast<std::size_t>(-1);
  struct Extent {
    std::size_t begin, end;
  };

  std::int64_t unknown_id(const std::string& word) const {
    if (!unknown_)
      throw InputError(where_ + ": there is no unknown piece, but " + excerpt(Json(word)) +
                       " has a character that no piece has");
    return *unknown_;
  }

  /// The best way to each byte of the word that ends a character.
  std::vector<Node> best_ways(const std::string& word) const {
    std::vector<Node> best(word.size() + 1);
    const auto offer = [&](std::size_t begin, std::size_t end, double score, std::int64_t id) {
      Node& node = best[end];
      score += best[begin].score;
      if (node.begin == kUnreached || score > node.score) node = {score, begin, id};
    };
    for (std::size_t begin = 0, size = 0; begin < word.size(); begin += size) {
      size = character_size(word, begin);
      bool single = false;
      pieces_.for_each_prefix(word, begin, pieces_.all(), [&](std::size_t length, std::int64_t id) {
        offer(begin, begin + length, scores_[static_cast<std::size_t>(id)], id);
        single = single || length == size;
      });
      if (!single) offer(begin, begin + size, unknown_score_, unknown_id(word));
    }
    return best;
  }

  std::vector<Extent> best_path(const std::string& word) const {
    const std::vector<Node> best = best_ways(word);
    std::vector<Extent> path;
    bool unknown_before = false;
    for (std::size_t end = word.size(); end > 0; end = best[end].begin) {
      const Node& node = best[end];
      const bool unknown = unknown_ && node.id == *unknown_;
      if (unknown && unknown_before)
        path.back().begin = node.begin;
      else
        path.push_back({node.begin, end});
      unknown_before = unknown;
    }
    std::reverse(path.begin(), path.end());
    return path;
  }

  std::vector<double> scores_;
  double unknown_score_;
  std::optional<std::int64_t> unknown_;
  bool byte_fallback_;
  std::string where_;
  PrefixIndex<char> pieces_;
};

}  // namespace

TokenModelPointer read_unigram(ObjectReader& reader) {
  const Json& list = reader.raw("vocab");
  if (!list.is_array() || list.empty())
    reader.fail("vocab", "a list of pieces and their scores was expected, found " + excerpt(list));
  if (list.size() > std::size_t{Vocabulary::kMostIds})
    reader.fail("vocab", "more than " + std::to_string(Vocabulary::kMostIds) + " pieces");
  std::vector<std::string> pieces;
  std::vector<double> scores;
  for (const Json& entry : list) {
    const bool pair = entry.is_array() && entry.size() == 2 && entry[0].is_string() &&
                      entry[1].is_number() && std::isfinite(entry[1].get<double>());
    if (!pair)
      reader.fail("vocab", "piece " + std::to_string(pieces.size()) + " (from 0) is " +
                               excerpt(entry) + ", but a pair of a text and a score was expected");
    pieces.push_back(entry[0].get<std::string>());
    if (pieces.back().size() > Vocabulary::kLongestToken)
      reader.fail("vocab", "the piece " + excerpt(entry[0]) + " has more than " +
                               std::to_string(Vocabulary::kLongestToken) + " bytes");
    scores.push_back(entry[1].get<double>());
  }
  std::optional<std::int64_t> unknown;
  if (!reader.raw("unk_id").is_null())
    unknown = reader.integer("unk_id", 0, static_cast<std::int64_t>(pieces.size()) - 1);
  const bool byte_fallback = reader.boolean("byte_fallback", false);
  return std::make_unique<const Unigram>(Vocabulary(std::move(pieces)), std::move(scores), unknown,
                                         byte_fallback, reader.where("unk_id"));
}

}  // namespace strata::data
