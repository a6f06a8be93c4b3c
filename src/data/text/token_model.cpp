#include "data/text/token_model.h"

#include <algorithm>
#include <cstdio>

#include "data/text/bpe.h"
#include "data/text/part_table.h"
#include "data/text/unigram.h"
#include "data/text/wordpiece_model.h"

namespace strata::data {
namespace {

const PartType<TokenModelPointer> kTokenModels[] = {
    {"BPE", read_bpe},
    {"Unigram", read_unigram},
    {"WordPiece", read_wordpiece_model},
};

/// What a file of the first versions holds, which say no type.
std::string untyped_model(ObjectReader& reader) {
  if (reader.has("merges")) return "BPE";
  return reader.raw("vocab").is_array() ? "Unigram" : "WordPiece";
}

}  // namespace

std::vector<std::int64_t> TokenModel::byte_ids(std::string_view text) const {
  std::vector<std::int64_t> ids;
  for (const char byte : text) {
    char name[8];
    std::snprintf(name, sizeof name, "<0x%02X>", static_cast<unsigned char>(byte));
    const auto id = vocabulary_.id(name);
    if (!id) return {};
    ids.push_back(*id);
  }
  return ids;
}

TokenModelPointer read_token_model(ObjectReader& reader) {
  return read_part<TokenModelPointer>(reader, kTokenModels, untyped_model(reader));
}

std::size_t character_size(std::string_view text, std::size_t begin) {
  const auto first = static_cast<unsigned char>(text[begin]);
  const std::size_t size = first < 0xC0 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  return std::min(size, text.size() - begin);
}

std::string read_character(ObjectReader& reader, const std::string& key) {
  const std::string text = reader.filled_text(key);
  if (character_size(text, 0) != text.size())
    reader.fail(key, "one character was expected, found " + excerpt(Json(text)));
  return text;
}

}  // namespace strata::data
