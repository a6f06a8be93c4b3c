#include "data/text/bpe.h"

#include <queue>
#include <unordered_map>

#include "data/text/part_table.h"
#include "strata/core/error.h"

namespace strata::data {
namespace {

struct Merge {
  std::int64_t rank, result;
};
/// By the two ids, which are below 2^32.
using Merges = std::unordered_map<std::uint64_t, Merge>;

std::uint64_t pair_key(std::int64_t left, std::int64_t right) {
  return static_cast<std::uint64_t>(left) << 32 | static_cast<std::uint64_t>(right);
}

/// A piece of a word between its neighbours.
struct Symbol {
  std::int64_t id;
  int previous, next;   ///< -1: none
  bool merged = false;  ///< into the one before it
};

/// Two neighbours that may be merged: the lowest rank first, then the leftmost.
struct Candidate {
  std::int64_t rank, result;
  int position;
  bool operator<(const Candidate& other) const {
    return rank != other.rank ? rank > other.rank : position > other.position;
  }
};

class MergingWord {
 public:
  MergingWord(const std::vector<std::int64_t>& ids, const Merges& merges) : merges_(merges) {
    const int size = static_cast<int>(ids.size());
    for (int i = 0; i < size; ++i)
      symbols_.push_back({ids[static_cast<std::size_t>(i)], i - 1, i + 1 < size ? i + 1 : -1});
    for (int i = 0; i < size; ++i) consider(i);
  }

  void merge_all() {
    while (!candidates_.empty()) {
      const Candidate best = candidates_.top();
      candidates_.pop();
      Symbol& left = symbols_[static_cast<std::size_t>(best.position)];
      if (left.merged || left.next < 0) continue;
      Symbol& right = symbols_[static_cast<std::size_t>(left.next)];
      // One of the two may have become another piece since.
      const auto merge = merges_.find(pair_key(left.id, right.id));
      if (merge == merges_.end() || merge->second.result != best.result) continue;
      left.id = best.result;
      left.next = right.next;
      right.merged = true;
      if (left.next >= 0) symbols_[static_cast<std::size_t>(left.next)].previous = best.position;
      consider(left.previous);
      consider(best.position);
    }
  }

  void append_to(std::vector<std::int64_t>& ids) const {
    for (const Symbol& symbol : symbols_)
      if (!symbol.merged) ids.push_back(symbol.id);
  }

 private:
  /// The symbol there and the one behind it.
  void consider(int position) {
    if (position < 0) return;
    const Symbol& left = symbols_[static_cast<std::size_t>(position)];
    if (left.next < 0) return;
    const auto merge =
        merges_.find(pair_key(left.id, symbols_[static_cast<std::size_t>(left.next)].id));
    if (merge != merges_.end())
      candidates_.push({merge->second.rank, merge->second.result, position});
  }

  const Merges& merges_;
  std::vector<Symbol> symbols_;
  std::priority_queue<Candidate> candidates_;
};

struct BpeOptions {
  std::string unknown;  ///< the token; "": unknown characters are left out
  bool fuse_unknown = false, byte_fallback = false, ignore_merges = false;
  std::string where;  ///< what errors about `unknown` begin with
};

class Bpe final : public TokenModel {
 public:
  Bpe(Vocabulary vocabulary, Merges merges, BpeOptions options)
      : TokenModel(std::move(vocabulary)),
        merges_(std::move(merges)),
        options_(std::move(options)) {}

  void encode(const std::string& word, std::vector<std::int64_t>& ids) const override {
    if (options_.ignore_merges) {
      if (const auto whole = vocabulary().id(word)) {
        ids.push_back(*whole);
        return;
      }
    }
    MergingWord symbols(character_ids(word), merges_);
    symbols.merge_all();
    symbols.append_to(ids);
  }

 private:
  std::vector<std::int64_t> character_ids(const std::string& word) const {
    std::vector<std::int64_t> ids;
    bool unknown = false;  // one is to be added before the next that is known
    const auto add_unknown = [&] {
      if (unknown) ids.push_back(unknown_id(word));
      unknown = false;
    };
    for (std::size_t i = 0, size = 0; i < word.size(); i += size) {
      size = character_size(word, i);
      const std::string_view character(word.data() + i, size);
      if (const auto id = vocabulary().id(character)) {
        add_unknown();
        ids.push_back(*id);
        continue;
      }
      if (options_.byte_fallback) {
        const auto bytes = byte_ids(character);
        ids.insert(ids.end(), bytes.begin(), bytes.end());
        if (!bytes.empty()) continue;
      }
      if (options_.unknown.empty()) continue;
      if (!options_.fuse_unknown) add_unknown();
      unknown = true;
    }
    add_unknown();
    return ids;
  }

  std::int64_t unknown_id(const std::string& word) const {
    const auto id = vocabulary().id(options_.unknown);
    if (!id)
      throw InputError(options_.where + ": " + excerpt(Json(options_.unknown)) +
                       " is not in the vocabulary, but " + excerpt(Json(word)) +
                       " has a character that is not there, either");
    return *id;
  }

  Merges merges_;
  BpeOptions options_;
};

/// The two parts of "a b" or ["a", "b"]; false where it is neither.
bool merge_parts(const Json& merge, std::string& left, std::string& right) {
  if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
    left = merge[0].get_ref<const std::string&>();
    right = merge[1].get_ref<const std::string&>();
    return true;
  }
  if (!merge.is_string()) return false;
  const auto& text = merge.get_ref<const std::string&>();
  const std::size_t space = text.find(' ');
  if (space == std::string::npos || text.find(' ', space + 1) != std::string::npos) return false;
  left = text.substr(0, space);
  right = text.substr(space + 1);
  return true;
}

Merges read_merges(ObjectReader& reader, const Vocabulary& vocabulary) {
  const Json& list = reader.raw("merges");
  if (!list.is_array()) reader.fail("merges", "a list of merges was expected");
  Merges merges;
  merges.reserve(list.size());
  std::int64_t rank = 0;
  std::string left, right;
  for (const Json& merge : list) {
    const auto refuse = [&](const std::string& why) {
      reader.fail("merges",
                  "merge " + std::to_string(rank) + " (from 0), " + excerpt(merge) + ", " + why);
    };
    // The first line of a merges.txt.
    if (merge.is_string() && merge.get_ref<const std::string&>().rfind("#version", 0) == 0)
      continue;
    if (!merge_parts(merge, left, right)) refuse("is no pair of tokens");
    const auto id = [&](const std::string& token) {
      const auto found = vocabulary.id(token);
      if (!found)
        refuse("needs the token " + excerpt(Json(token)) + ", which the vocabulary lacks");
      return *found;
    };
    const std::int64_t left_id = id(left), right_id = id(right);
    // Of two equal merges the last one counts, as in the tokenizers library.
    merges[pair_key(left_id, right_id)] = {rank++, id(left + right)};
  }
  return merges;
}

void refuse_unread_fields(ObjectReader& reader) {
  const Json& dropout = reader.raw("dropout");
  if (!dropout.is_null() && dropout != 0)
    reader.fail("dropout", "found " + excerpt(dropout) +
                               ", but merges that are left out at random are not read");
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    const Json& mark = reader.raw(key);
    if (!mark.is_null() && mark != "")
      reader.fail(key, "found " + excerpt(mark) + ", but BPE with marks of its own is not read");
  }
}

}  // namespace

TokenModelPointer read_bpe(ObjectReader& reader) {
  refuse_unread_fields(reader);
  BpeOptions options;
  if (!reader.raw("unk_token").is_null()) options.unknown = reader.text("unk_token");
  options.fuse_unknown = read_switch(reader, "fuse_unk", false);
  options.byte_fallback = read_switch(reader, "byte_fallback", false);
  options.ignore_merges = read_switch(reader, "ignore_merges", false);
  options.where = reader.where("unk_token");
  Vocabulary vocabulary(reader, "vocab");
  Merges merges = read_merges(reader, vocabulary);
  return std::make_unique<const Bpe>(std::move(vocabulary), std::move(merges), std::move(options));
}

}  // namespace strata::data
