#include "strata/fedrunner/metrics.h"

#include <cmath>
#include <limits>

#include "catch.h"
#include "strata/core/error.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::fedrunner;
using Catch::Matchers::Contains;

namespace {

const std::vector<std::string> kAnswers = {"accuracy", "open_accuracy", "closed_accuracy"};

}  // namespace

TEST_CASE("the rows of all clients together and of their mean are aggregates, a client's is not") {
  const auto aggregate = [](const std::string& client) {
    RoundMetrics row;
    row.client = client;
    return row.is_aggregate();
  };
  CHECK(aggregate("all"));
  CHECK(aggregate("mean"));
  CHECK_FALSE(aggregate("ct"));
  CHECK_FALSE(aggregate(""));
}

TEST_CASE("metrics.csv keeps every bit and writes NaN as an empty field") {
  const test::TempDir dir;
  RoundMetrics row;
  row.round = 3;
  row.client = "ct, thorax";
  row.train_samples = 120;
  row.test_samples = 30;
  row.train_loss = 1.0 / 3.0;
  row.values = {0.1 + 0.2, std::numeric_limits<double>::quiet_NaN(), 0};
  row.up_mbit = 1e-300;
  row.peak_memory_mib = 512;
  write_metrics({kAnswers, {row, row}}, dir / "metrics.csv");
  const auto text = test::slurp(dir / "metrics.csv");
  CHECK(text ==
        "round,client,train_samples,test_samples,train_loss,test_loss,accuracy,open_accuracy,"
        "closed_accuracy,up_mbit,down_mbit,importance,usage_variance,seconds,peak_memory_mib\n"
        "3,\"ct, thorax\",120,30,0.3333333333333333,0,0.30000000000000004,,0,1e-300,0,0,0,0,512\n"
        "3,\"ct, thorax\",120,30,0.3333333333333333,0,0.30000000000000004,,0,1e-300,0,0,0,0,512\n");
  const RoundTable table = read_metrics(dir / "metrics.csv");
  CHECK(table.metrics == kAnswers);
  CHECK(table.column("closed_accuracy") == 2);
  const auto& rows = table.rows;
  REQUIRE(rows.size() == 2);
  CHECK(rows[1].round == 3);
  CHECK(rows[1].client == "ct, thorax");
  CHECK(rows[1].train_samples == 120);
  CHECK(rows[1].test_samples == 30);
  CHECK(rows[1].train_loss == 1.0 / 3.0);
  CHECK(rows[1].values[0] == 0.1 + 0.2);
  CHECK(std::isnan(rows[1].values[1]));
  CHECK(rows[1].up_mbit == 1e-300);
  write_metrics(table, dir / "again.csv");
  CHECK(test::slurp(dir / "again.csv") == text);
}

TEST_CASE("damaged metrics.csv files are named with their line and column") {
  const test::TempDir dir;
  RoundMetrics empty;
  empty.values.assign(3, 0);
  write_metrics({kAnswers, {empty}}, dir / "metrics.csv");
  const auto good = test::slurp(dir / "metrics.csv");
  const auto header = good.substr(0, good.find('\n') + 1);

  dir.write("a.csv", "round,client\n1,ct\n");
  CHECK_THROWS_WITH(read_metrics(dir / "a.csv"),
                    Contains("a.csv:1: the header is \"round,client\""));
  dir.write("d.csv", "x" + good);
  CHECK_THROWS_WITH(read_metrics(dir / "d.csv"),
                    Contains("d.csv:1: the header is \"xround,") &&
                        Contains("not \"round,client,train_samples,test_samples,train_loss,"
                                 "test_loss,(metrics of the task),up_mbit"));
  dir.write("e.csv", good.substr(0, good.find("_mib")) + good.substr(good.find("_mib") + 4));
  CHECK_THROWS_WITH(read_metrics(dir / "e.csv"), Contains("e.csv:1: the header is"));
  dir.write("b.csv", header + "1,ct,1,1,x,0,0,0,0,0,0,0,0,0,0\n");
  CHECK_THROWS_WITH(read_metrics(dir / "b.csv"),
                    Contains("b.csv:2: train_loss: \"x\" is not a number"));
  dir.write("c.csv", header + "-1,ct,1,1,0,0,0,0,0,0,0,0,0,0,0\n");
  CHECK_THROWS_WITH(read_metrics(dir / "c.csv"),
                    Contains("c.csv:2: round: \"-1\" is not a whole number ≥ 0"));
  CHECK_THROWS_AS(read_metrics(dir / "absent.csv"), InputError);
}

TEST_CASE("questions.csv is read back as it was written, and damage is named") {
  const test::TempDir dir;
  write_questions({{3, "ct, thorax", 0, true, false}, {3, "mri", 7, false, true}}, dir / "q.csv");
  const auto text = test::slurp(dir / "q.csv");
  CHECK(text ==
        "round,client,question,correct,majority_correct\n3,\"ct, thorax\",0,1,0\n3,mri,7,0,1\n");
  const auto rows = read_questions(dir / "q.csv");
  REQUIRE(rows.size() == 2);
  CHECK(rows[0].client == "ct, thorax");
  CHECK(rows[0].correct);
  CHECK_FALSE(rows[0].majority_correct);
  CHECK(rows[1].round == 3);
  CHECK(rows[1].question == 7);
  CHECK_FALSE(rows[1].correct);
  CHECK(rows[1].majority_correct);
  dir.write("a.csv", "round,client\n");
  CHECK_THROWS_WITH(read_questions(dir / "a.csv"), Contains("a.csv:1: the header is"));
  dir.write("b.csv", text + "3,mri,8,2,0\n");
  CHECK_THROWS_WITH(read_questions(dir / "b.csv"),
                    Contains("b.csv:4: correct: \"2\" is not 0 or 1"));
  dir.write("c.csv", text + "3,mri,x,1,0\n");
  CHECK_THROWS_WITH(read_questions(dir / "c.csv"),
                    Contains("c.csv:4: question: \"x\" is not a whole number ≥ 0"));
}
