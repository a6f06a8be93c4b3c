#include "experiment/rank_choice.h"

#include "core/name_index.h"
#include "strata/core/error.h"

namespace strata::experiment {
namespace {

const std::string kPlanned = "plan";

RankChoice read_rank_choice(ObjectReader& reader, const std::string& key,
                            const std::optional<RankChoice>& fallback) {
  if (reader.raw(key).is_null() && fallback) return *fallback;
  RankChoice choice;
  choice.where = reader.where(key);
  if (reader.raw(key) == kPlanned) {
    choice.planned = true;
    return choice;
  }
  if (!reader.raw(key).is_object()) {
    choice.each = reader.integer(key, 1, kMostCount);
    return choice;
  }
  ObjectReader mapping = reader.object(key);
  const bool structured = mapping.has("each") || mapping.has("clients");
  ObjectReader clients = structured ? mapping.object("clients") : mapping;
  if (structured && mapping.has("each")) choice.each = mapping.integer("each", 1, kMostCount);
  for (const auto& name : clients.keys())
    choice.clients.push_back({name, clients.integer(name, 1, kMostCount), clients.where(name)});
  if (structured) mapping.finish();  // otherwise every key is a client
  if (!choice.given()) reader.fail(key, "no client has a rank");
  return choice;
}

/// A number where there is one for all, otherwise the mapping in full.
Json rank_choice_json(const RankChoice& choice) {
  if (!choice.given()) return {};
  if (choice.planned) return kPlanned;
  if (choice.clients.empty()) return *choice.each;
  Json clients = Json::object();
  for (const auto& client : choice.clients) clients[client.name] = client.rank;
  Json json{{"clients", clients}};
  if (choice.each) json["each"] = *choice.each;
  return json;
}

}  // namespace

std::vector<std::int64_t> RankChoice::values(const std::vector<std::string>& names,
                                             std::int64_t largest) const {
  if (!given() || planned) return {};
  std::vector<std::int64_t> ranks(names.size(), each.value_or(0));
  std::vector<std::string> places(names.size(), where);
  const NameIndex index(names);
  for (const Client& client : clients) {
    const auto place = index.find(client.name);
    if (!place)
      throw InputError(client.where + ": there is no client \"" + client.name + "\"" +
                       did_you_mean(client.name, names) + "; there are " + quoted_list(names));
    ranks[*place] = client.rank;
    places[*place] = client.where;
  }
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (ranks[i] == 0) throw InputError(where + ": no rank for the client \"" + names[i] + "\"");
    if (ranks[i] > largest)
      throw InputError(places[i] + ": client \"" + names[i] + "\": a rank of " +
                       std::to_string(ranks[i]) + ", but the model's LoRA pairs have " +
                       std::to_string(largest) + "; allowed is 1 to " + std::to_string(largest));
  }
  return ranks;
}

Kind<RankChoice> ranks_of_clients() {
  return {read_rank_choice, rank_choice_json, Form::kText,
          "≥ 1, a mapping of all clients, `{each: 8, clients: {ct: 2}}`, or `plan`"};
}

}  // namespace strata::experiment
