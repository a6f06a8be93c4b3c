#pragma once
/// \file
/// Budgets as people write them: a number or amount for everyone, or a table of clients.

#include <cstdint>
#include <string>
#include <vector>

namespace strata {

/// What budgets count, besides units: bytes, flops, memory.
const std::vector<std::string>& resource_names();

struct Budgets {
  std::string of;                    ///< units, bytes, flops or memory
  std::vector<std::int64_t> values;  ///< one a client
};

/// `budget` is an amount (amount.h), or the file of a table (table_file.h) with the columns client
/// and budget, or client and what is counted (units, bytes, flops, memory), which names every
/// client once. `of` says what is counted; where it is empty the column does, or the amounts' units
/// (400kB, 2GFLOP), and otherwise it is units. Budgets of units are at most `units`. `option`
/// begins messages about the amount itself. O(clients). @throws InputError with file, line and
/// client.
Budgets read_budgets(const std::string& budget, const std::string& of,
                     const std::vector<std::string>& clients, int units, const std::string& option);

/// What an amount of this text counts by its unit, "" for a number alone: bytes, flops.
std::string counted_by(const std::string& amount);

}  // namespace strata
