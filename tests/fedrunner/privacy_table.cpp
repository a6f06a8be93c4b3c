#include "fedrunner/privacy_table.h"

#include <cmath>

#include "catch.h"
#include "core/csv.h"
#include "strata/core/error.h"
#include "strata/core/rdp_accountant.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::fedrunner;
using Catch::Matchers::Contains;
using strata::test::slurp;
using strata::test::TempDir;

namespace {

const std::vector<std::string> kNames = {"st. mary", "ct"};
const std::vector<std::int64_t> kSamples = {100, 50};

/// To train `units`, ten steps of ten rows each.
std::vector<Order> orders_of(int round, const std::vector<std::string>& units) {
  TrainWork work;
  work.local.steps = 10;
  work.local.training.batch_size = 10;
  work.local.privacy = experiment::PrivateTraining{.noise = 2, .clip = 1};
  std::vector<Order> orders;
  for (const auto& name : kNames) orders.push_back({"run", round, name, units, "base", {}, work});
  return orders;
}

/// The fields of a round's row of a client.
std::vector<std::string> row_of(const std::filesystem::path& file, int round,
                                const std::string& client) {
  for (const auto& row : read_csv(file))
    if (row.fields[0] == std::to_string(round) && row.fields[1] == client) return row.fields;
  return {};
}

}  // namespace

TEST_CASE("released scores cost what their noise says, alone and beside training") {
  const TempDir dir;
  const auto file = dir / "privacy.csv";
  PrivacyTable table;
  table.release("st. mary", 4);
  table.release("st. mary", 4);
  table.add(1, orders_of(1, {}), kSamples);
  table.release("st. mary", 3);
  table.add(2, orders_of(2, {"head"}), kSamples);
  table.write(file);

  // The least of α (1/4² + 1/4²) / 2 + log(1 − 1/α) − log(α 10⁻⁵) / (α − 1) over the orders α.
  auto row = row_of(file, 1, "st. mary");
  REQUIRE(row.size() == 8);
  CHECK(row[2] == "0");
  CHECK(std::stod(row[3]) == 0);
  CHECK(row[4] == "2");
  CHECK(std::stod(row[5]) == Approx(4 / std::sqrt(2.0)));
  CHECK(std::stod(row[6]) == Approx(1.478121967952188).epsilon(1e-12));
  CHECK(std::stod(row[7]) == 1e-5);

  RdpAccountant training, all;
  training.add_sampled(0.1, 2, 10);
  all.add_sampled(0.1, 2, 10);
  all.add_gaussian(4, 2);
  all.add_gaussian(3, 1);
  row = row_of(file, 2, "st. mary");
  REQUIRE(row.size() == 8);
  CHECK(row[2] == "10");
  CHECK(row[3] == format_double(training.epsilon(1e-5)));
  CHECK(row[4] == "3");
  CHECK(std::stod(row[6]) == Approx(all.epsilon(1e-5)).epsilon(1e-12));

  // Who sends no scores pays for training alone.
  row = row_of(file, 2, "ct");
  REQUIRE(row.size() == 8);
  CHECK(row[4] == "0");
  CHECK(row[5] == "inf");
  CHECK(row[6] == row[3]);
}

TEST_CASE("scores without noise have no bound, whatever noise others have") {
  const TempDir dir;
  const auto file = dir / "privacy.csv";
  PrivacyTable table;
  table.release("ct", 4);
  table.release("ct", {});
  table.add(1, orders_of(1, {"head"}), kSamples);
  table.release("ct", 4);
  table.add(2, orders_of(2, {"head"}), kSamples);
  table.write(file);
  for (const int round : {1, 2}) {
    const auto row = row_of(file, round, "ct");
    REQUIRE(row.size() == 8);
    CHECK(row[5] == "0");
    CHECK(row[6] == "inf");
    CHECK(std::stod(row[3]) > 0);
    CHECK(row_of(file, round, "st. mary")[6] == row_of(file, round, "st. mary")[3]);
  }
}

TEST_CASE(
    "the noise of a single release is the one that was asked for, however many rounds go by") {
  const TempDir dir;
  const auto file = dir / "privacy.csv";
  PrivacyTable table;
  table.release("ct", 0.9);
  for (const int round : {1, 2}) table.add(round, orders_of(round, {"head"}), kSamples);
  table.write(file);
  for (const int round : {1, 2}) {
    const auto row = row_of(file, round, "ct");
    REQUIRE(row.size() == 8);
    CHECK(row[5] == "0.9");
  }
}

TEST_CASE("a privacy table that is taken up goes on to the same bytes") {
  const TempDir dir;
  const auto count = [](PrivacyTable& table, int round) {
    table.release("ct", 0.1 + round);
    if (round == 2) table.release("st. mary", {});
    table.add(round, orders_of(round, {"head"}), kSamples);
  };
  PrivacyTable whole;
  for (const int round : {1, 2, 3}) count(whole, round);
  whole.write(dir / "whole.csv");
  PrivacyTable resumed;
  resumed.resume(dir / "whole.csv", 2);
  count(resumed, 3);
  resumed.write(dir / "resumed.csv");
  CHECK(slurp(dir / "resumed.csv") == slurp(dir / "whole.csv"));
  CHECK(row_of(dir / "resumed.csv", 3, "st. mary")[6] == "inf");

  dir.write("old.csv", "round,client,steps,epsilon,delta\n1,ct,2,0.5,1e-5\n");
  CHECK_THROWS_WITH(resumed.resume(dir / "old.csv", 1),
                    Contains("old.csv:2: expected round,client,steps,training_epsilon"));
}
