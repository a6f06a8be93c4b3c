#pragma once
/// \file
/// Budgets as people write them, the same on a command line, in a problem file and in an
/// experiment: a number or amount for everyone, a table of clients, or a mapping.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/document.h"
#include "core/resources.h"
#include "strata/core/planning_problem.h"

namespace strata {

/// What a client may train, as it was written.
struct Budget {
  struct Client {
    std::string name;
    std::int64_t value = 0;
    std::string where;  ///< file and line or key, to begin messages with
  };
  std::string of = kOfUnits;              ///< one of budget_kinds()
  std::optional<std::int64_t> each = {};  ///< of every client that is not named
  std::vector<Client> clients = {};       ///< those that are named
  std::string where = {};                 ///< of the whole

  bool counts_units() const { return of == kOfUnits; }
  /// One a client, in order. O(clients). @throws InputError for a client that is unknown (with the
  /// nearest) or has no budget, and for more than `units` units, or so many ranks of each.
  std::vector<std::int64_t> values(const std::vector<std::string>& clients, int units,
                                   int ranks = 1) const;
};

/// A budget of the command line: an amount (amount.h), or the file of a table (table_file.h) with
/// the columns client and budget, or client and what is counted (budget_kinds()). `of`
/// says what is counted; where it is empty the column does, or the amounts' units (400kB, 2GFLOP),
/// and otherwise it is units. `option` begins messages about the amount itself.
/// @throws InputError with file, line and client.
Budget parse_budget(const std::string& budget, const std::string& of, const std::string& option);

/// The same under `key` of a document, where it may also be a mapping:
/// {of: bytes, each: 4MB, clients: {a: 8000000}}, any of the three, or the clients alone,
/// {a: 4MB, b: 8MB}. `named_file` is asked where the key's text is no amount but names a file; it
/// gives the path. @throws InputError with file, line and key.
Budget read_budget(ObjectReader& reader, const std::string& key, const std::string& of,
                   const std::function<std::string()>& named_file);

/// What read_budget reads back: a number for budgets of units that are alike, otherwise a mapping.
Json to_json(const Budget& budget);

/// An amount under a key. 4e6 is a whole number to whoever writes it, and "4MB" the same.
/// @throws InputError
std::int64_t read_amount(ObjectReader& reader, const std::string& key, const std::string& of);

/// Makes these the problem's budgets, one a client (Budget::values): of units, or of the resource
/// `of`, of which each unit then costs what `unit_costs` has, or of ranks what `costs` has. What
/// the problem had of the other kind goes.
void set_budgets(PlanningProblem& problem, const std::string& of,
                 const std::vector<std::int64_t>& values,
                 const std::vector<std::int64_t>& unit_costs = {});
void set_rank_budgets(PlanningProblem& problem, const std::string& of,
                      const std::vector<std::int64_t>& values, const std::vector<RankCosts>& costs);

}  // namespace strata
