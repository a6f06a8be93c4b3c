#include "fedrunner/privacy_table.h"

#include <algorithm>

#include "core/csv.h"
#include "fedrunner/private_gradient.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"
#include "strata/core/rdp_accountant.h"

namespace strata::fedrunner {
double training_epsilon(const experiment::PrivateTraining& privacy, std::int64_t batch_size,
                        std::int64_t samples, std::int64_t steps) {
  RdpAccountant accountant;
  accountant.add_sampled(sampling_rate(samples, batch_size), privacy.noise, steps);
  return accountant.epsilon(privacy.delta);
}

void PrivacyTable::resume(const std::filesystem::path& file, int round) {
  rows_.clear();
  if (!std::filesystem::exists(file)) return;
  const auto rows = read_csv(file);
  for (std::size_t r = 1; r < rows.size(); ++r) {
    const auto& fields = rows[r].fields;
    ClientPrivacy row;
    std::int64_t number = 0;
    if (fields.size() != 5 || !parse_integer(fields[0], number) ||
        !parse_integer(fields[2], row.steps) || !parse_double(fields[3], row.epsilon) ||
        !parse_double(fields[4], row.delta))
      throw InputError(file.string() + ":" + std::to_string(rows[r].line) +
                       ": expected round, client, steps, epsilon and delta");
    row.round = static_cast<int>(number);
    row.client = fields[1];
    if (row.round <= round) rows_.push_back(row);
  }
}

void PrivacyTable::add(int round, const std::vector<Order>& orders,
                       const std::vector<std::int64_t>& samples) {
  for (std::size_t i = 0; i < orders.size(); ++i) {
    const auto& work = std::get<TrainWork>(orders[i].work);
    const LocalConfig& local = work.local;
    const auto last = std::find_if(rows_.rbegin(), rows_.rend(), [&](const ClientPrivacy& row) {
      return row.client == orders[i].client;
    });
    ClientPrivacy row{round, orders[i].client, last == rows_.rend() ? 0 : last->steps};
    if (!orders[i].units.empty()) row.steps += work.steps(samples[i]);
    row.delta = local.privacy->delta;
    row.epsilon =
        training_epsilon(*local.privacy, local.training.batch_size, samples[i], row.steps);
    rows_.push_back(row);
  }
}

void PrivacyTable::write(const std::filesystem::path& file) const {
  std::string text = "round,client,steps,epsilon,delta\n";
  for (const ClientPrivacy& row : rows_)
    text += std::to_string(row.round) + "," + csv_field(row.client) + "," +
            std::to_string(row.steps) + "," + format_double(row.epsilon) + "," +
            format_double(row.delta) + "\n";
  write_file(file, text);
}

}  // namespace strata::fedrunner
