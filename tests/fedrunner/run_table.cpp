#include "fedrunner/run_table.h"

#include <cmath>

#include "catch.h"
#include "tasks/answer_classification.h"

using namespace strata;
using namespace strata::fedrunner;

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kMebibyte = 1024 * 1024;

const std::vector<ClientSize> kClients = {{"ct", 30, 4}, {"mri", 10, 2}, {"oct", 20, 0}};

EvaluateResult measured(double correct, double open, double of_open, double loss, double samples) {
  return {{{"accuracy", {correct, samples}},
           {"open_accuracy", {open, of_open}},
           {"closed_accuracy", {correct - open, samples - of_open}},
           {"loss", {loss, samples}}},
          {},
          {}};
}

const tasks::Task& answering() {
  return *tasks::answer_classification();
}

const std::vector<EvaluateResult> kResults = {measured(3, 1, 1, 2, 4), measured(1, 0, 0, 4, 2), {}};

}  // namespace

TEST_CASE("a round's rows are the clients', all together and their mean") {
  TrainingRows training(3);
  for (std::size_t i = 0; i < 3; ++i) {
    const auto k = static_cast<double>(i + 1);
    training[i].train_loss = i == 2 ? kNaN : k;
    training[i].up_mbit = k;
    training[i].down_mbit = 10 * k;
    training[i].seconds = 100 * k;
    training[i].peak_memory_mib = i == 1 ? kNaN : k;
  }
  RunTable table(kClients, answering());
  table.add(4, training, kResults, {0.75, 0.5});
  REQUIRE(table.get().rows.size() == 5);
  CHECK(table.get().metrics ==
        std::vector<std::string>{"accuracy", "open_accuracy", "closed_accuracy"});
  const auto& ct = table.get().rows[0];
  CHECK(ct.round == 4);
  CHECK(ct.client == "ct");
  CHECK(ct.train_samples == 30);
  CHECK(ct.test_samples == 4);
  CHECK(ct.values[0] == 0.75);
  CHECK(ct.test_loss == 0.5);
  CHECK(std::isnan(ct.importance));
  CHECK(std::isnan(table.get().rows[1].values[1]));
  CHECK(std::isnan(table.get().rows[2].values[0]));
  const auto& all = table.get().rows[3];
  CHECK(all.client == "all");
  CHECK(all.train_samples == 60);
  CHECK(all.test_samples == 6);
  CHECK(all.values[0] == 4.0 / 6);
  CHECK(all.values[1] == 1);
  CHECK(all.values[2] == 3.0 / 5);
  CHECK(all.test_loss == 1);
  CHECK(all.train_loss == (30.0 * 1 + 10 * 2) / 40);
  CHECK(all.up_mbit == 6);
  CHECK(all.down_mbit == 60);
  CHECK(all.seconds == 600);
  CHECK(all.peak_memory_mib == 3);
  CHECK(all.importance == 0.75);
  CHECK(all.usage_variance == 0.5);
  const auto& mean = table.get().rows[4];
  CHECK(mean.client == "mean");
  CHECK(mean.train_samples == 20);
  CHECK(mean.test_samples == 2);
  CHECK(mean.values[0] == (0.75 + 0.5) / 2);
  CHECK(mean.values[1] == 1);
  CHECK(mean.test_loss == 1.25);
  CHECK(mean.train_loss == 1.5);
  CHECK(mean.up_mbit == 2);
  CHECK(mean.seconds == 200);
  CHECK(mean.peak_memory_mib == 2);
  CHECK(std::isnan(mean.importance));
  CHECK(table.summary() ==
        "round 4: accuracy 0.6667 (mean over clients 0.6250), loss 1.0000, 6.00 MBit up, 600.0 s "
        "of training");
}

TEST_CASE("round 0 has no training, and a round without evaluation no accuracy") {
  RunTable table(kClients, answering());
  table.add(0, {}, kResults, {kNaN, kNaN});
  CHECK(std::isnan(table.get().rows[0].train_loss));
  CHECK(table.get().rows[3].up_mbit == 0);
  CHECK(table.summary() ==
        "round 0: accuracy 0.6667 (mean over clients 0.6250), loss 1.0000, the foundation as it "
        "is");
  table.add(1, TrainingRows(3), std::vector<EvaluateResult>(3), {1, 1});
  REQUIRE(table.get().rows.size() == 10);
  for (std::size_t i = 5; i < 10; ++i) {
    CHECK(std::isnan(table.get().rows[i].values[0]));
    CHECK(std::isnan(table.get().rows[i].test_loss));
  }
}

TEST_CASE("a table that is taken up loses later rounds, and what the run would not have measured") {
  RunTable before(kClients, answering());
  for (const int round : {0, 1, 2, 3}) before.add(round, {}, kResults, {1, 1});
  RunTable table(kClients, answering());
  table.resume(before.get(), 2, [](int round) { return round != 1; });
  REQUIRE(table.get().rows.size() == 15);
  CHECK(table.get().rows.back().round == 2);
  CHECK(table.get().rows[0].values[0] == 0.75);
  CHECK(table.get().rows[10].values[0] == 0.75);
  for (std::size_t i = 5; i < 10; ++i) {
    CHECK(std::isnan(table.get().rows[i].values[0]));
    CHECK(std::isnan(table.get().rows[i].values[2]));
  }
}

TEST_CASE("every bit of a round's training is counted, up and down") {
  std::vector<Unit> units(3);
  units[0].name = "block.0", units[0].bytes = 1000000;
  units[1].name = "block.1", units[1].bytes = 500000;
  units[2].name = "head", units[2].bytes = 250000;
  auto received = units;
  received[2].bytes = 125000;
  ClientUpdate update;
  update.client = "mri";
  update.units = {"block.1", "head"};
  update.train_loss = 0.5;
  update.seconds = 3;
  update.peak_memory = static_cast<std::int64_t>(2 * kMebibyte);
  const auto rows = training_rows(kClients, {{units, received}, {"head"}, 1000}, {update});
  REQUIRE(rows.size() == 3);
  for (const auto& row : rows) CHECK(row.down_mbit == 1);
  CHECK(rows[0].up_mbit == 0.064);
  CHECK(std::isnan(rows[0].train_loss));
  CHECK(rows[0].seconds == 0);
  CHECK(rows[1].up_mbit == 0.064 + 6);
  CHECK(rows[1].train_loss == 0.5);
  CHECK(rows[1].seconds == 3);
  CHECK(rows[1].peak_memory_mib == 2);
  // The client mri sends and receives a half of everything.
  auto half = units;
  for (auto& unit : half) unit.bytes /= 2;
  const auto own = [&](std::size_t client) -> std::optional<UnitTraffic> {
    return client == 1 ? std::optional(UnitTraffic{half, half}) : std::nullopt;
  };
  const auto uneven = training_rows(kClients, {{units, received}, {"head"}, 1000, own}, {update});
  CHECK(uneven[0].down_mbit == 1);
  CHECK(uneven[1].down_mbit == 1);
  CHECK(uneven[1].up_mbit == 0.064 + 3);
  update.peak_memory.reset();
  const auto unmeasured = training_rows(kClients, {{units, received}, {}, 0}, {update});
  CHECK(std::isnan(unmeasured[1].peak_memory_mib));
  CHECK(unmeasured[0].up_mbit == 0);
  CHECK(unmeasured[0].down_mbit == 0);
}

TEST_CASE("questions are numbered for each client that has any") {
  std::vector<EvaluateResult> results(3);
  results[0].right = {true, false};
  results[0].majority = {false, false};
  results[2].right = {true};
  results[2].majority = {true};
  const auto questions = question_results(5, kClients, results);
  REQUIRE(questions.size() == 3);
  CHECK(questions[1].round == 5);
  CHECK(questions[1].client == "ct");
  CHECK(questions[1].question == 1);
  CHECK_FALSE(questions[1].correct);
  CHECK(questions[0].correct);
  CHECK_FALSE(questions[0].majority_correct);
  CHECK(questions[2].client == "oct");
  CHECK(questions[2].question == 0);
  CHECK(questions[2].majority_correct);
}
