#include "fedrunner/privacy_table.h"

#include <algorithm>
#include <cmath>

#include "core/csv.h"
#include "fedrunner/private_gradient.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"
#include "strata/core/rdp_accountant.h"

namespace strata::fedrunner {
namespace {

constexpr const char* kColumns =
    "round,client,steps,training_epsilon,releases,score_noise,epsilon,delta";

/// Gaussian mechanisms add up by 1/noise², whatever their number. What has released nothing leaves
/// the other as it is, to the bit: of 0.9 alone the sum would make 0.8999999999999999.
double noise_of_both(double one, double other) {
  if (std::isinf(other)) return one;
  if (std::isinf(one)) return other;
  return 1 / std::sqrt(1 / (one * one) + 1 / (other * other));
}

bool parse_bound(const std::string& text, double& value) {
  if (text != "inf") return parse_double(text, value);
  value = kInfinity;
  return true;
}

bool parse_row(const std::vector<std::string>& fields, ClientPrivacy& row) {
  std::int64_t round = 0;
  if (fields.size() != 8 || !parse_integer(fields[0], round) ||
      !parse_integer(fields[2], row.steps) || !parse_double(fields[3], row.training_epsilon) ||
      !parse_integer(fields[4], row.releases) || !parse_bound(fields[5], row.score_noise) ||
      !parse_bound(fields[6], row.epsilon) || !parse_double(fields[7], row.delta))
    return false;
  row.round = static_cast<int>(round);
  row.client = fields[1];
  return true;
}

}  // namespace

void PrivacyTable::resume(const std::filesystem::path& file, int round) {
  rows_.clear();
  if (!std::filesystem::exists(file)) return;
  const auto rows = read_csv(file);
  for (std::size_t r = 1; r < rows.size(); ++r) {
    ClientPrivacy row;
    if (!parse_row(rows[r].fields, row))
      throw InputError(file.string() + ":" + std::to_string(rows[r].line) + ": expected " +
                       kColumns);
    if (row.round <= round) rows_.push_back(row);
  }
}

void PrivacyTable::release(const std::string& client, std::optional<double> noise) {
  Releases& released = released_[client];
  ++released.count;
  released.noise = noise_of_both(released.noise, noise.value_or(0));
}

void PrivacyTable::add(int round, const std::vector<Order>& orders,
                       const std::vector<std::int64_t>& samples) {
  for (std::size_t i = 0; i < orders.size(); ++i) {
    const auto& work = std::get<TrainWork>(orders[i].work);
    const LocalConfig& local = work.local;
    const auto last = std::find_if(rows_.rbegin(), rows_.rend(), [&](const ClientPrivacy& row) {
      return row.client == orders[i].client;
    });
    ClientPrivacy row;
    if (last != rows_.rend()) row = *last;
    row.round = round;
    row.client = orders[i].client;
    if (!orders[i].units.empty()) row.steps += work.steps(samples[i]);
    row.delta = local.privacy->delta;
    const Releases released = released_[row.client];
    row.releases += released.count;
    row.score_noise = noise_of_both(row.score_noise, released.noise);
    RdpAccountant accountant;
    accountant.add_sampled(sampling_rate(samples[i], local.training.batch_size),
                           local.privacy->noise, row.steps);
    row.training_epsilon = accountant.epsilon(row.delta);
    if (row.score_noise > 0 && row.releases > 0) accountant.add_gaussian(row.score_noise, 1);
    row.epsilon = row.score_noise > 0 ? accountant.epsilon(row.delta) : kInfinity;
    rows_.push_back(row);
  }
  released_.clear();
}

void PrivacyTable::write(const std::filesystem::path& file) const {
  std::string text = std::string(kColumns) + "\n";
  for (const ClientPrivacy& row : rows_)
    text += std::to_string(row.round) + "," + csv_field(row.client) + "," +
            std::to_string(row.steps) + "," + format_double(row.training_epsilon) + "," +
            std::to_string(row.releases) + "," + format_double(row.score_noise) + "," +
            format_double(row.epsilon) + "," + format_double(row.delta) + "\n";
  write_file(file, text);
}

}  // namespace strata::fedrunner
