#include "data/text/vocabulary.h"

#include <algorithm>

namespace strata::data {

Vocabulary::Vocabulary(ObjectReader& reader, const std::string& key) {
  const Json& map = reader.raw(key);
  if (!map.is_object() || map.empty())
    reader.fail(key, "a mapping from tokens to their ids was expected, found " + excerpt(map));
  const auto refuse = [&](const std::string& token, const Json& id, const std::string& why) {
    reader.fail(key, "the token " + excerpt(Json(token)) + " has the id " + excerpt(id) + why);
  };
  std::int64_t end = 0;
  for (const auto& [token, id] : map.items()) {
    if (!id.is_number_unsigned() || id.get<std::uint64_t>() >= std::uint64_t{kMostIds})
      refuse(token, id, ", but ids are whole numbers from 0 to " + std::to_string(kMostIds - 1));
    end = std::max(end, id.get<std::int64_t>() + 1);
  }
  tokens_.resize(static_cast<std::size_t>(end));
  present_.resize(tokens_.size());
  ids_.reserve(map.size());
  for (const auto& [token, value] : map.items()) {
    const auto id = value.get<std::size_t>();
    if (present_[id]) refuse(token, value, ", which " + excerpt(Json(tokens_[id])) + " has, too");
    present_[id] = true;
    tokens_[id] = token;
    ids_.emplace(tokens_[id], static_cast<std::int64_t>(id));
  }
  count_ = static_cast<std::int64_t>(map.size());
}

Vocabulary::Vocabulary(std::vector<std::string> tokens)
    : tokens_(std::move(tokens)),
      present_(tokens_.size(), true),
      count_(static_cast<std::int64_t>(tokens_.size())) {
  ids_.reserve(tokens_.size());
  for (std::size_t id = 0; id < tokens_.size(); ++id)
    ids_[tokens_[id]] = static_cast<std::int64_t>(id);
}

std::optional<std::int64_t> Vocabulary::id(std::string_view token) const {
  const auto found = ids_.find(token);
  if (found == ids_.end()) return {};
  return found->second;
}

const std::string* Vocabulary::token(std::int64_t id) const {
  if (id < 0 || id >= end() || !present_[static_cast<std::size_t>(id)]) return nullptr;
  return &tokens_[static_cast<std::size_t>(id)];
}

}  // namespace strata::data
