#include "core/budget.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <unordered_set>

#include "core/amount.h"
#include "core/name_index.h"
#include "core/table_file.h"
#include "core/text.h"
#include "strata/core/error.h"

namespace strata {
namespace {

std::string at(const std::string& file, const CsvRow& row) {
  return file + ":" + std::to_string(row.line);
}

/// What the column or the amounts in it say; "" for numbers under the heading budget.
std::string counted_in(const std::vector<CsvRow>& rows, const std::string& file) {
  const auto& header = rows[0].fields;
  std::vector<std::string> columns = budget_kinds();
  columns.insert(columns.begin(), "budget");
  const bool two = header.size() == 2 && is_index_header(header[0], "client");
  const auto found = std::find_if(columns.begin(), columns.end(), [&](const std::string& column) {
    return two && is_header(header[1], column);
  });
  if (found == columns.end())
    throw InputError(at(file, rows[0]) +
                     ": the header must be client,budget, or client and one of " +
                     joined(budget_kinds()));
  if (*found != "budget") return *found;
  std::string of;
  for (std::size_t r = 1; r < rows.size(); ++r) {
    const std::string here = counted_by(rows[r].fields[1]);
    if (here.empty() || here == of) continue;
    if (!of.empty())
      throw InputError(at(file, rows[r]) + ": client \"" + rows[r].fields[0] + "\": \"" +
                       rows[r].fields[1] + "\" counts " + here + ", but an earlier budget " + of);
    of = here;
  }
  return of;
}

Budget read_table_of_budgets(const std::string& file, const std::string& of) {
  const auto rows = read_table(file);
  const std::string name = text_name(file);
  const std::string counted = counted_in(rows, name);
  Budget budget;
  budget.of = !of.empty() ? of : !counted.empty() ? counted : kOfUnits;
  budget.where = name;
  // Memory is counted in bytes.
  const bool agree =
      counted.empty() || counted == budget.of || counted == resource(budget.of).measure->resource;
  if (!agree)
    throw InputError(at(name, rows[0]) + ": the file's budgets count " + counted + ", but " +
                     budget.of + " were asked for");
  std::unordered_set<std::string> known;
  for (std::size_t r = 1; r < rows.size(); ++r) {
    const std::string &client = rows[r].fields[0], &text = rows[r].fields[1];
    if (!known.insert(client).second)
      throw InputError(at(name, rows[r]) + ": the client \"" + client + "\" stands twice");
    std::int64_t value = 0;
    if (!parse_amount(text, budget.of, value))
      throw InputError(at(name, rows[r]) + ": client \"" + client + "\": " +
                       allowed_amount(budget.of) + " was expected, found \"" + text + "\"");
    budget.clients.push_back({client, value, at(name, rows[r])});
  }
  return budget;
}

/// What the amounts of a mapping count by their units; "" for numbers alone.
std::string counted_in(ObjectReader& reader, const std::vector<std::string>& keys) {
  for (const auto& key : keys) {
    if (!reader.raw(key).is_string()) continue;
    const std::string said = counted_by(reader.text(key));
    if (!said.empty()) return said;
  }
  return "";
}

Budget read_mapping(ObjectReader budget, const std::string& of) {
  Budget result;
  const bool structured = budget.has("of") || budget.has("each") || budget.has("clients");
  ObjectReader clients = structured ? budget.object("clients") : budget;
  const auto names = clients.keys();
  std::string said = of;
  if (structured && said.empty()) said = counted_in(budget, {"each"});
  if (said.empty()) said = counted_in(clients, names);
  if (said.empty()) said = kOfUnits;
  result.of = structured ? budget.choice("of", budget_kinds(), said) : said;
  if (structured && budget.has("each")) result.each = read_amount(budget, "each", result.of);
  for (const auto& name : names)
    result.clients.push_back({name, read_amount(clients, name, result.of), clients.where(name)});
  if (structured) budget.finish();  // otherwise every key is a client
  return result;
}

}  // namespace

Budget parse_budget(const std::string& budget, const std::string& of, const std::string& option) {
  std::error_code unknown;
  const bool is_file = budget == "-" || std::filesystem::exists(budget, unknown);
  const std::string said = counted_by(budget);
  Budget result;
  if (!of.empty() || !said.empty()) result.of = of.empty() ? said : of;
  std::int64_t value = 0;
  if (!parse_amount(budget, result.of, value)) {
    if (is_file) return read_table_of_budgets(budget, of);
    throw InputError(option + " " + budget + ": neither " + allowed_amount(result.of) +
                     " nor the name of a CSV file that is there");
  }
  result.each = value;
  result.where = option + " " + budget;
  return result;
}

Budget read_budget(ObjectReader& reader, const std::string& key, const std::string& of,
                   const std::function<std::string()>& named_file) {
  Budget budget;
  if (reader.raw(key).is_object()) {
    budget = read_mapping(reader.object(key), of);
  } else if (!reader.raw(key).is_string()) {
    if (!of.empty()) budget.of = of;
    budget.each = read_amount(reader, key, budget.of);
  } else {
    const std::string text = reader.text(key), counted = of.empty() ? counted_by(text) : of;
    if (!counted.empty()) budget.of = counted;
    std::int64_t value = 0;
    if (!counted.empty() && parse_amount(text, counted, value)) {
      budget.each = value;
    } else {
      const std::string path = named_file();
      std::error_code unknown;
      if (!std::filesystem::exists(path, unknown))
        reader.fail(key,
                    "a whole number, an amount such as 400kB, a mapping or the name of a CSV file "
                    "that is there was expected, found \"" +
                        text + "\"");
      return parse_budget(path, of, key);
    }
  }
  budget.where = reader.where(key);
  return budget;
}

std::vector<std::int64_t> Budget::values(const std::vector<std::string>& names, int units,
                                         int ranks) const {
  const std::int64_t most = std::int64_t{units} * ranks;
  std::vector<std::int64_t> result(names.size(), each.value_or(-1));
  std::vector<const Client*> said(names.size(), nullptr);
  const NameIndex index(names);
  for (const Client& client : clients) {
    const auto place = index.find(client.name);
    if (!place)
      throw InputError(client.where + ": there is no client \"" + client.name + "\"" +
                       did_you_mean(client.name, names) + "; there are " + quoted_list(names));
    result[*place] = client.value;
    said[*place] = &client;
  }
  for (std::size_t i = 0; i < names.size(); ++i) {
    const std::string& here = said[i] ? said[i]->where : where;
    if (result[i] < 0) throw InputError(here + ": no budget for the client \"" + names[i] + "\"");
    if (counts_units() && result[i] > most)
      throw InputError(here + ": client \"" + names[i] + "\": a budget of " +
                       std::to_string(result[i]) + (ranks > 1 ? " ranks" : " units") +
                       ", but there are " + std::to_string(most) + "; allowed is 0 to " +
                       std::to_string(most));
  }
  return result;
}

Json to_json(const Budget& budget) {
  if (budget.counts_units() && budget.clients.empty()) return budget.each.value_or(0);
  Json clients = Json::object();
  for (const auto& client : budget.clients) clients[client.name] = client.value;
  // As it was written before budgets counted anything else.
  const bool plain = budget.counts_units() && !budget.each && !clients.contains("of") &&
                     !clients.contains("each") && !clients.contains("clients");
  if (plain) return clients;
  Json json{{"of", budget.of}};
  if (budget.each) json["each"] = *budget.each;
  if (!clients.empty()) json["clients"] = clients;
  return json;
}

std::int64_t read_amount(ObjectReader& reader, const std::string& key, const std::string& of) {
  constexpr double kMost = 9007199254740992.0;  // 2⁵³, what a JSON number holds exactly
  std::int64_t value = 0;
  if (reader.raw(key).is_string()) {
    if (!parse_amount(reader.text(key), of, value))
      reader.fail(key, allowed_amount(of) + " was expected, found \"" + reader.text(key) + "\"");
    return value;
  }
  const double number = reader.number(key, 0, kMost);
  if (number != std::floor(number))
    reader.fail(key, allowed_amount(of) + " was expected, found " + format_double(number));
  return static_cast<std::int64_t>(number);
}

void set_budgets(PlanningProblem& problem, const std::string& of,
                 const std::vector<std::int64_t>& values,
                 const std::vector<std::int64_t>& unit_costs) {
  const bool counts_units = Budget{.of = of}.counts_units();
  problem.resource = counts_units ? "" : of;
  problem.budgets.clear();
  if (counts_units) problem.budgets.assign(values.begin(), values.end());
  problem.capacities = counts_units ? std::vector<std::int64_t>() : values;
  problem.unit_costs = counts_units ? std::vector<std::int64_t>() : unit_costs;
  problem.rank_costs.clear();
}

void set_rank_budgets(PlanningProblem& problem, const std::string& of,
                      const std::vector<std::int64_t>& values,
                      const std::vector<RankCosts>& costs) {
  std::vector<std::int64_t> first;
  for (const RankCosts& cost : costs) first.push_back(cost.first);
  set_budgets(problem, of, values, first);
  if (problem.counts_units()) return;
  for (const RankCosts& cost : costs) problem.rank_costs.push_back(cost.further);
}

}  // namespace strata
