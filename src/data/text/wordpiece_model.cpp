#include "data/text/wordpiece_model.h"

#include <algorithm>

namespace strata::data {
namespace {

PrefixIndex<char> wordpiece_index(const Vocabulary& vocabulary) {
  std::vector<PrefixIndex<char>::Entry> entries;
  vocabulary.for_each([&](const std::string& piece, std::int64_t id) {
    entries.push_back({piece, id});
  });
  return PrefixIndex<char>(std::move(entries));
}

class WordPieceModel final : public TokenModel {
 public:
  WordPieceModel(Vocabulary vocabulary, std::int64_t unknown, std::string prefix,
                 std::int64_t longest_word)
      : TokenModel(std::move(vocabulary)),
        unknown_(unknown),
        prefix_(std::move(prefix)),
        longest_word_(longest_word),
        pieces_(wordpiece_index(this->vocabulary())) {}

  void encode(const std::string& word, std::vector<std::int64_t>& ids) const override {
    const auto found = character_count(word) > longest_word_
                           ? std::nullopt
                           : longest_pieces(pieces_, prefix_, word);
    if (found)
      ids.insert(ids.end(), found->begin(), found->end());
    else
      ids.push_back(unknown_);
  }

 private:
  std::int64_t unknown_;
  std::string prefix_;
  std::int64_t longest_word_;
  PrefixIndex<char> pieces_;
};

}  // namespace

std::optional<std::vector<std::int64_t>> longest_pieces(const PrefixIndex<char>& pieces,
                                                        const std::string& prefix,
                                                        const std::string& word) {
  std::vector<std::int64_t> ids;
  const auto continuing = pieces.after(pieces.all(), prefix);
  for (std::size_t begin = 0, longest = 0; begin < word.size(); begin += longest) {
    longest = 0;
    std::int64_t id = 0;
    pieces.for_each_prefix(word, begin, begin > 0 ? continuing : pieces.all(),
                           [&](std::size_t length, std::int64_t piece) {
                             longest = length;
                             id = piece;
                           });
    if (longest == 0) return {};
    ids.push_back(id);
  }
  return ids;
}

std::int64_t character_count(const std::string& text) {
  return std::count_if(text.begin(), text.end(),
                       [](char byte) { return (static_cast<unsigned char>(byte) & 0xC0) != 0x80; });
}

TokenModelPointer read_wordpiece_model(ObjectReader& reader) {
  const std::string unknown = reader.text("unk_token", "[UNK]");
  const std::string prefix = reader.text("continuing_subword_prefix", "##");
  const std::int64_t longest = reader.integer("max_input_chars_per_word", 1, 1 << 20, 100);
  Vocabulary vocabulary(reader, "vocab");
  const auto id = vocabulary.id(unknown);
  if (!id) reader.fail("unk_token", excerpt(Json(unknown)) + " is not in the vocabulary");
  return std::make_unique<const WordPieceModel>(std::move(vocabulary), *id, prefix, longest);
}

}  // namespace strata::data
