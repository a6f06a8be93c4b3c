#include "strata/core/plan_archive.h"

#include <algorithm>
#include <map>
#include <set>

#include "core/document.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"

namespace strata {
namespace {

constexpr std::size_t kMostAssignments = 1000;
constexpr std::size_t kMostEntries = std::size_t{1} << 24;
constexpr char kDigits[] = "0123456789abcdef";

std::string row_text(const Assignment& assignment, Eigen::Index client) {
  std::string text;
  for (Eigen::Index first = 0; first < assignment.cols(); first += 4) {
    int digit = 0;
    for (Eigen::Index unit = first; unit < first + 4; ++unit)
      digit = 2 * digit + (unit < assignment.cols() && assignment(client, unit) ? 1 : 0);
    text += kDigits[digit];
  }
  return text;
}

/// Sets the client's row; says what is wrong with the text, "" if nothing is.
std::string read_row(const std::string& text, Eigen::Index client, Assignment& assignment) {
  const Eigen::Index units = assignment.cols();
  const auto digits = static_cast<std::size_t>((units + 3) / 4);
  if (text.size() != digits) {
    return std::to_string(digits) + " hexadecimal digits were expected for " +
           std::to_string(units) + " units, found " + std::to_string(text.size());
  }
  for (std::size_t k = 0; k < digits; ++k) {
    const char* found = std::find(kDigits, kDigits + 16, text[k]);
    if (found == kDigits + 16)
      return "hexadecimal digits 0-9 and a-f were expected, found \"" + text + "\"";
    for (int bit = 0; bit < 4; ++bit) {
      if (!((found - kDigits) >> (3 - bit) & 1)) continue;
      const auto unit = static_cast<Eigen::Index>(4 * k) + bit;
      if (unit >= units)
        return "\"" + text + "\" sets a unit beyond the last of " + std::to_string(units);
      assignment(client, unit) = 1;
    }
  }
  return {};
}

std::vector<std::string> read_names(ObjectReader& reader, const std::string& key) {
  std::vector<std::string> names = reader.texts(key);
  std::set<std::string> seen;
  for (const std::string& name : names) {
    if (!seen.insert(name).second) reader.fail(key, "\"" + name + "\" stands twice");
  }
  return names;
}

/// Every name's place in `names`, or −1; `missing` gets those without one.
std::vector<int> places(const std::vector<std::string>& wanted,
                        const std::vector<std::string>& names, std::vector<std::string>& missing) {
  std::map<std::string, int> index;
  for (std::size_t i = 0; i < names.size(); ++i) index[names[i]] = static_cast<int>(i);
  std::vector<int> found;
  for (const std::string& name : wanted) {
    const auto at = index.find(name);
    found.push_back(at == index.end() ? -1 : at->second);
    if (at == index.end()) missing.push_back(name);
  }
  return found;
}

void require_common(const std::string& source, const std::string& kind,
                    const std::vector<std::string>& of_archive,
                    const std::vector<std::string>& dropped,
                    const std::vector<std::string>& of_problem) {
  if (dropped.size() < of_archive.size()) return;
  std::string found = "there is none";
  if (!dropped.empty()) {
    found = "found " + quoted_list(dropped, 3) + did_you_mean(dropped.front(), of_problem) +
            ", the problem has " + quoted_list(of_problem, 3);
  }
  throw InputError(source + ": " + kind + "s: none is of the problem: " + found);
}

}  // namespace

std::vector<std::size_t> evenly_spread(std::size_t count, std::size_t most) {
  const std::size_t kept = std::min(count, most);
  std::vector<std::size_t> indices;
  for (std::size_t i = 0; i < kept; ++i)
    indices.push_back(kept > 1 ? i * (count - 1) / (kept - 1) : 0);
  return indices;
}

PlanArchive archive_of(const Plan& plan) {
  if (plan.has_ranks())
    throw InputError("a plan of ranks is no archive: searches, which begin with one, plan units");
  PlanArchive archive{plan.clients, plan.units, {}};
  if (plan.archive.empty()) {
    archive.assignments = {plan.assignment};
    return archive;
  }
  const std::size_t entries = std::max<std::size_t>(1, plan.clients.size() * plan.units.size());
  const std::size_t most = std::clamp<std::size_t>(kMostEntries / entries, 2, kMostAssignments);
  for (const std::size_t i : evenly_spread(plan.archive.size(), most))
    archive.assignments.push_back(plan.archive[i]);
  return archive;
}

std::string archive_json(const PlanArchive& archive) {
  std::string text = "{\n \"version\": 1,\n \"clients\": " + Json(archive.clients).dump() +
                     ",\n \"units\": " + Json(archive.units).dump() + ",\n \"assignments\": [";
  for (std::size_t k = 0; k < archive.assignments.size(); ++k) {
    Json rows = Json::array();
    for (Eigen::Index i = 0; i < archive.assignments[k].rows(); ++i)
      rows.push_back(row_text(archive.assignments[k], i));
    text += (k > 0 ? ",\n  " : "\n  ") + rows.dump();
  }
  return text + "\n ]\n}\n";
}

void write_archive(const PlanArchive& archive, const std::filesystem::path& path) {
  write_file(path, archive_json(archive));
}

PlanArchive read_archive(const std::filesystem::path& path) {
  const Document document = load_json(path);
  ObjectReader reader(document);
  if (reader.has("algorithm")) return archive_of(read_plan(path));
  reader.version(1);
  PlanArchive archive;
  archive.clients = read_names(reader, "clients");
  archive.units = read_names(reader, "units");
  const Json& assignments = reader.raw("assignments");
  if (!assignments.is_array()) reader.fail("assignments", "a list of assignments was expected");
  for (std::size_t k = 0; k < assignments.size(); ++k) {
    const std::string key = "assignments[" + std::to_string(k) + "]";
    const Json& rows = assignments[k];
    if (!rows.is_array() || rows.size() != archive.clients.size()) {
      reader.fail(key, "a list of " + std::to_string(archive.clients.size()) +
                           " texts was expected, one a client" +
                           (rows.is_array() ? ", found " + std::to_string(rows.size()) : ""));
    }
    Assignment assignment = Assignment::Zero(static_cast<Eigen::Index>(archive.clients.size()),
                                             static_cast<Eigen::Index>(archive.units.size()));
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const std::string wrong =
          rows[i].is_string()
              ? read_row(rows[i].get<std::string>(), static_cast<Eigen::Index>(i), assignment)
              : "a text of hexadecimal digits was expected, found " +
                    std::string(rows[i].type_name());
      if (!wrong.empty()) reader.fail(key, "client \"" + archive.clients[i] + "\": " + wrong);
    }
    archive.assignments.push_back(std::move(assignment));
  }
  reader.finish();
  return archive;
}

MatchedArchive match_archive(const PlanArchive& archive, const PlanningProblem& problem,
                             const std::string& source) {
  MatchedArchive matched;
  places(archive.clients, problem.clients, matched.dropped_clients);
  places(archive.units, problem.units, matched.dropped_units);
  require_common(source, "client", archive.clients, matched.dropped_clients, problem.clients);
  require_common(source, "unit", archive.units, matched.dropped_units, problem.units);
  const auto clients = places(problem.clients, archive.clients, matched.new_clients);
  const auto units = places(problem.units, archive.units, matched.new_units);
  for (const Assignment& earlier : archive.assignments) {
    Assignment assignment = Assignment::Zero(problem.client_count(), problem.unit_count());
    for (int i = 0; i < problem.client_count(); ++i) {
      for (int l = 0; l < problem.unit_count(); ++l)
        if (clients[i] >= 0 && units[l] >= 0) assignment(i, l) = earlier(clients[i], units[l]);
    }
    matched.assignments.push_back(std::move(assignment));
  }
  return matched;
}

}  // namespace strata
