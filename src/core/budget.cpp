#include "core/budget.h"

#include <algorithm>
#include <cctype>
#include <filesystem>

#include "core/amount.h"
#include "core/name_index.h"
#include "core/table_file.h"
#include "strata/core/error.h"

namespace strata {
namespace {

std::string at(const std::string& file, const CsvRow& row) {
  return file + ":" + std::to_string(row.line);
}

/// What the column or the amounts in it say; "" for numbers under the heading budget.
std::string counted_in(const std::vector<CsvRow>& rows, const std::string& file) {
  const auto& header = rows[0].fields;
  std::vector<std::string> columns = resource_names();
  columns.insert(columns.begin(), {"budget", "units"});
  const bool two = header.size() == 2 && is_index_header(header[0], "client");
  const auto found = std::find_if(columns.begin(), columns.end(), [&](const std::string& column) {
    return two && is_header(header[1], column);
  });
  if (found == columns.end())
    throw InputError(
        at(file, rows[0]) +
        ": the header must be client,budget, or client and one of units, bytes, flops, "
        "memory");
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

Budgets read_table_of_budgets(const std::string& file, const std::string& of,
                              const std::vector<std::string>& clients, int units) {
  const auto rows = read_table(file);
  const std::string name = text_name(file);
  const std::string counted = counted_in(rows, name);
  Budgets budgets{!of.empty() ? of : !counted.empty() ? counted : "units", {}};
  // Memory is counted in bytes.
  const bool agree =
      counted.empty() || counted == budgets.of || (counted == "bytes" && budgets.of == "memory");
  if (!agree)
    throw InputError(at(name, rows[0]) + ": the file's budgets count " + counted + ", but " +
                     budgets.of + " were asked for");
  budgets.values.assign(clients.size(), -1);
  const NameIndex index(clients);
  for (std::size_t r = 1; r < rows.size(); ++r) {
    const std::string &client = rows[r].fields[0], &text = rows[r].fields[1];
    const auto place = index.find(client);
    if (!place)
      throw InputError(at(name, rows[r]) + ": the scores have no client \"" + client + "\"" +
                       did_you_mean(client, clients));
    if (budgets.values[*place] >= 0)
      throw InputError(at(name, rows[r]) + ": the client \"" + client + "\" stands twice");
    const std::string where = at(name, rows[r]) + ": client \"" + client + "\": ";
    std::int64_t value = 0;
    if (!parse_amount(text, budgets.of, value))
      throw InputError(where + allowed_amount(budgets.of) + " was expected, found \"" + text +
                       "\"");
    if (budgets.of == "units" && value > units)
      throw InputError(where + "a budget of " + std::to_string(value) + " units, but there are " +
                       std::to_string(units) + "; allowed is 0 to " + std::to_string(units));
    budgets.values[*place] = value;
  }
  for (std::size_t i = 0; i < clients.size(); ++i)
    if (budgets.values[i] < 0)
      throw InputError(name + ": no budget for the client \"" + clients[i] + "\"");
  return budgets;
}

}  // namespace

const std::vector<std::string>& resource_names() {
  static const std::vector<std::string> names = {"bytes", "flops", "memory"};
  return names;
}

std::string counted_by(const std::string& amount) {
  std::int64_t value = 0;
  if (parse_amount(amount, "units", value)) return "";
  const auto ends_in = [&](const std::string& unit) {
    return amount.size() >= unit.size() &&
           std::equal(unit.rbegin(), unit.rend(), amount.rbegin(), [](char a, char b) {
             return a == std::tolower(static_cast<unsigned char>(b));
           });
  };
  if (ends_in("b") && parse_amount(amount, "bytes", value)) return "bytes";
  if ((ends_in("flop") || ends_in("flops")) && parse_amount(amount, "flops", value)) return "flops";
  return "";
}

Budgets read_budgets(const std::string& budget, const std::string& of,
                     const std::vector<std::string>& clients, int units,
                     const std::string& option) {
  std::error_code unknown;
  const bool is_file = budget == "-" || std::filesystem::exists(budget, unknown);
  const std::string said = counted_by(budget);
  const std::string counted = !of.empty() ? of : said.empty() ? "units" : said;
  std::int64_t value = 0;
  if (!parse_amount(budget, counted, value)) {
    if (is_file) return read_table_of_budgets(budget, of, clients, units);
    throw InputError(option + " " + budget + ": neither " + allowed_amount(counted) +
                     " nor the name of a CSV file that is there");
  }
  if (counted == "units" && value > units && !clients.empty())
    throw InputError(option + " " + budget + ": client \"" + clients.front() + "\": a budget of " +
                     std::to_string(value) + " units, but there are " + std::to_string(units) +
                     "; allowed is 0 to " + std::to_string(units));
  return {counted, std::vector<std::int64_t>(clients.size(), value)};
}

}  // namespace strata
