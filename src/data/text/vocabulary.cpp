#include "data/text/vocabulary.h"

#include <algorithm>
#include <numeric>

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
    if (token.size() > kLongestToken)
      refuse(token, id, " and more than " + std::to_string(kLongestToken) + " bytes");
    end = std::max(end, id.get<std::int64_t>() + 1);
  }
  places_.resize(static_cast<std::size_t>(end), -1);
  tokens_.reserve(map.size());
  ids_.reserve(map.size());
  for (const auto& [token, value] : map.items()) {
    std::int32_t& place = places_[value.get<std::size_t>()];
    if (place >= 0)
      refuse(token, value,
             ", which " + excerpt(Json(tokens_[static_cast<std::size_t>(place)])) + " has, too");
    place = static_cast<std::int32_t>(tokens_.size());
    tokens_.push_back(token);
    ids_.emplace(tokens_.back(), value.get<std::int64_t>());
  }
}

Vocabulary::Vocabulary(std::vector<std::string> tokens)
    : tokens_(std::move(tokens)), places_(tokens_.size()) {
  std::iota(places_.begin(), places_.end(), 0);
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
  const std::int32_t place = id < 0 || id >= end() ? -1 : places_[static_cast<std::size_t>(id)];
  return place < 0 ? nullptr : &tokens_[static_cast<std::size_t>(place)];
}

}  // namespace strata::data
