#include "strata/core/front_file.h"

#include <algorithm>

#include "core/csv.h"
#include "core/document.h"
#include "core/plan.h"

namespace strata {
namespace {

std::string csv(const Plan& plan, bool assignments) {
  const std::string objectives = front_csv(plan.front);
  std::string out;
  std::size_t line = 0;
  auto archived = plan.archive.begin();
  for (std::size_t at = 0; at < objectives.size(); ++line) {
    const std::size_t end = objectives.find('\n', at);
    out += line == 0 ? "row,chosen" : std::to_string(line) + (line == plan.row ? ",1" : ",0");
    out += ",";
    out.append(objectives, at, end - at);
    at = end + 1;
    for (std::size_t i = 0; assignments && i < plan.clients.size(); ++i) {
      out += ",";
      if (line == 0) {
        out += csv_field(plan.clients[i]);
        continue;
      }
      std::string names;
      each_unit(plan, *archived, i, [&](const std::string& unit, int rank) {
        names += (names.empty() ? "" : " ") + unit;
        if (plan.has_ranks()) names += ":" + std::to_string(rank);
      });
      out += csv_field(names);
    }
    if (assignments && line > 0) ++archived;
    out += "\n";
  }
  return out;
}

std::string json(const Plan& plan, bool assignments) {
  std::string out = "{\n \"version\": 1,\n \"chosen\": " + std::to_string(plan.row) +
                    ",\n \"clients\": " + Json(plan.clients).dump() +
                    ",\n \"units\": " + Json(plan.units).dump() + ",\n \"points\": [";
  auto archived = plan.archive.begin();
  for (std::size_t k = 0; k < plan.front.size(); ++k) {
    Json::object_t point;
    point.emplace_back("row", k + 1);
    const Json objectives = objectives_json(plan.front[k]);
    for (const auto& [key, value] : objectives.items()) point.emplace_back(key, value);
    if (assignments) {
      Json::object_t clients;
      clients.reserve(plan.clients.size());
      for (std::size_t i = 0; i < plan.clients.size(); ++i) {
        Json units = Json::array();
        each_unit(plan, *archived, i, [&](const std::string& unit, int) { units.push_back(unit); });
        clients.emplace_back(plan.clients[i],
                             plan.has_ranks() ? ranks_json(plan, *archived, i) : std::move(units));
      }
      point.emplace_back("assignment", std::move(clients));
      ++archived;
    }
    out += (k > 0 ? ",\n  " : "\n  ") + Json(std::move(point)).dump();
  }
  return out + "\n ]\n}\n";
}

}  // namespace

std::string front_text(const Plan& plan, const std::filesystem::path& file) {
  const bool assignments = plan.archive.size() == plan.front.size();
  return file.extension() == ".json" ? json(plan, assignments) : csv(plan, assignments);
}

}  // namespace strata
