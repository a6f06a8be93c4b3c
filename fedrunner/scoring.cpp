#include "fedrunner/scoring.h"

#include <variant>

namespace strata::fedrunner {

ScoreTable score_table(const std::vector<Order>& orders, const std::vector<Reply>& replies,
                       const std::vector<Unit>& units, const std::string& fingerprint) {
  ScoreTable table;
  table.model_fingerprint = fingerprint;
  table.units = names_of(units);
  for (const auto& unit : units) table.roles.push_back(unit.role);
  table.raw.resize(static_cast<Eigen::Index>(orders.size()), table.unit_count());
  for (std::size_t i = 0; i < orders.size(); ++i) {
    const auto& work = std::get<ScoreWork>(orders[i].work);
    table.metric = work.metric;
    table.samples = work.samples;
    table.clients.push_back(orders[i].client);
    const auto& values = std::get<ScoreResult>(replies[i].result).values;
    table.raw.row(static_cast<Eigen::Index>(i)) =
        Eigen::Map<const Eigen::RowVectorXd>(values.data(), table.unit_count());
  }
  table.scores = table.raw;
  normalise_rows(table.scores);
  return table;
}

}  // namespace strata::fedrunner
