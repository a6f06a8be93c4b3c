#include "fedrunner/scoring.h"

#include <variant>

#include "strata/core/error.h"

namespace strata::fedrunner {

ScoreTable score_table(const std::vector<Order>& orders,
                       const std::vector<std::optional<Reply>>& replies,
                       const std::vector<Unit>& units, const std::string& fingerprint) {
  ScoreTable table;
  table.model_fingerprint = fingerprint;
  table.units = names_of(units);
  for (const auto& unit : units) table.roles.push_back(unit.role);
  for (std::size_t i = 0; i < orders.size(); ++i)
    if (replies[i]) table.clients.push_back(orders[i].client);
  if (table.clients.empty())
    throw WorkError("round " + std::to_string(orders.front().round) + ": no client scored");
  table.raw.resize(static_cast<Eigen::Index>(table.clients.size()), table.unit_count());
  Eigen::Index row = 0;
  for (std::size_t i = 0; i < orders.size(); ++i) {
    if (!replies[i]) continue;
    const auto& work = std::get<ScoreWork>(orders[i].work);
    table.metric = work.metric;
    table.samples = work.samples;
    const auto& values = std::get<ScoreResult>(replies[i]->result).values;
    table.raw.row(row++) = Eigen::Map<const Eigen::RowVectorXd>(values.data(), table.unit_count());
  }
  table.scores = table.raw;
  normalise_rows(table.scores);
  return table;
}

}  // namespace strata::fedrunner
