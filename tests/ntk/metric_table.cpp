#include "strata/ntk/metric_table.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "catch.h"
#include "strata/core/error.h"
#include "strata/core/random.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::ntk;
using Catch::Contains;

namespace {

const std::string kHeader = "metric,client,unit,value,residual,status\n";

MetricTable random_table() {
  MetricTable table{{"lntk", "grasp"}, {"ct", "a \"quoted\", name", "größe"}, {"head", "b.0"}, {}};
  table.allocate();
  Random random(7);
  for (MetricValue& value : table.values) {
    value.value = random.normal() * 1e-7;
    value.residual = random.uniform() * 1e-12;
  }
  table.at(0, 1, 1).status = "stopped, not converged";
  return table;
}

/// Spearman's coefficient by the textbook formula with correction for ties (Siegel, Nonparametric
/// Statistics, 1956): (Σx² + Σy² − Σd²) / (2 √(Σx² Σy²)), Σx² = (n³ − n)/12 − Σ (t³ − t)/12 over
/// the groups of t tied values. Ranks by counting.
double by_ties(const std::vector<double>& x, const std::vector<double>& y) {
  const auto n = static_cast<double>(x.size());
  const auto rank = [](const std::vector<double>& values, double value) {
    const auto less =
        std::count_if(values.begin(), values.end(), [&](double v) { return v < value; });
    const auto equal = std::count(values.begin(), values.end(), value);
    return static_cast<double>(less) + (static_cast<double>(equal) + 1) / 2;
  };
  const auto squares = [&](const std::vector<double>& values) {
    double sum = (n * n * n - n) / 12;
    for (const double value : values) {
      // Each of the t tied values takes its share of the group's correction.
      const auto t = static_cast<double>(std::count(values.begin(), values.end(), value));
      sum -= (t * t - 1) / 12;
    }
    return sum;
  };
  double differences = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    differences += std::pow(rank(x, x[i]) - rank(y, y[i]), 2);
  }
  return (squares(x) + squares(y) - differences) / (2 * std::sqrt(squares(x) * squares(y)));
}

}  // namespace

TEST_CASE("a table is read back with the same bits") {
  const test::TempDir dir;
  const MetricTable table = random_table();
  write_metric_table(table, dir / "metrics.csv");
  const MetricTable read = read_metric_table(dir / "metrics.csv");
  CHECK(read.metrics == table.metrics);
  CHECK(read.clients == table.clients);
  CHECK(read.units == table.units);
  REQUIRE(read.values.size() == table.values.size());
  for (std::size_t i = 0; i < table.values.size(); ++i) {
    CHECK(read.values[i].value == table.values[i].value);
    CHECK(read.values[i].residual == table.values[i].residual);
    CHECK(read.values[i].status == table.values[i].status);
  }
}

TEST_CASE("the file, to the byte") {
  const test::TempDir dir;
  MetricTable table{{"lntk"}, {"a,b"}, {"head", "x"}, {}};
  table.allocate();
  table.at(0, 0, 0) = {0.1, 1e-9, "ok"};
  table.at(0, 0, 1) = {-1234567, 0, "ok"};
  write_metric_table(table, dir / "metrics.csv");
  CHECK(test::slurp(dir / "metrics.csv") ==
        kHeader + "lntk,\"a,b\",head,0.1,1e-09,ok\nlntk,\"a,b\",x,-1234567,0,ok\n");
}

TEST_CASE("rows may come in any order") {
  const test::TempDir dir;
  const MetricTable table = read_metric_table(
      dir.write("m.csv", kHeader + "m,a,y,2,0,ok\nm,b,x,3,0,ok\nm,a,x,1,0.5,late\nm,b,y,4,0,ok\n"));
  CHECK(table.units == std::vector<std::string>{"y", "x"});
  CHECK(table.at(0, 0, 0).value == 2);
  CHECK(table.at(0, 0, 1).value == 1);
  CHECK(table.at(0, 0, 1).residual == 0.5);
  CHECK(table.at(0, 0, 1).status == "late");
  CHECK(table.at(0, 1, 1).value == 3);
}

TEST_CASE("wrong files are named by line, metric, client and unit") {
  const test::TempDir dir;
  const auto read = [&](const std::string& rows) {
    return read_metric_table(dir.write("m.csv", kHeader + rows));
  };
  CHECK_THROWS_WITH(read("m,c,u,nan,0,ok\n"),
                    Contains("m.csv:2: metric \"m\", client \"c\", unit \"u\": the value is nan"));
  CHECK_THROWS_WITH(read("m,c,u,inf,0,ok\n"), Contains("the value is inf; it must be finite"));
  CHECK_THROWS_WITH(read("m,c,u,x,0,ok\n"), Contains("the value must be a number, found \"x\""));
  CHECK_THROWS_WITH(read("m,c,u,1,,ok\n"), Contains("the residual must be a number, found \"\""));
  CHECK_THROWS_WITH(read("m,c,u,1,-1,ok\n"), Contains("the residual is -1"));
  CHECK_THROWS_WITH(read("m,c,u,1,nan,ok\n"), Contains("the residual is nan"));
  CHECK_THROWS_WITH(read("m,c,u,1,0,\n"), Contains("m.csv:2") && Contains("the status is empty"));
  CHECK_THROWS_WITH(read("m,,u,1,0,ok\n"), Contains("m.csv:2: a client has no name"));
  CHECK_THROWS_WITH(
      read("m,c,u,1,0,ok\nm,d,u,1,0,ok\nm,c,u,1,0,ok\n"),
      Contains("m.csv:4: metric \"m\", client \"c\", unit \"u\" stands twice, first on line 2"));
  CHECK_THROWS_WITH(read("m,c,u,1,0,ok\nm,c,v,1,0,ok\nm,d,v,1,0,ok\n"),
                    Contains("m.csv:4: metric \"m\", client \"d\", unit \"u\": there is no row"));
  CHECK_THROWS_WITH(read("m,c,u,1,0,ok\nn,c,v,1,0,ok\n"),
                    Contains("metric \"m\", client \"c\", unit \"v\": there is no row"));
  CHECK_THROWS_WITH(read("m,c,u,1\n"), Contains("m.csv:2: 4 fields"));
  CHECK_THROWS_WITH(read(""), Contains("a header but no value"));
  CHECK_THROWS_WITH(read_metric_table(dir.write("m.csv", "client,a\nct,1\n")),
                    Contains("m.csv:1: the header must be metric,client,unit"));
  CHECK_THROWS_AS(read_metric_table(dir / "absent.csv"), InputError);
}

TEST_CASE("wrong tables are not written") {
  const test::TempDir dir;
  const auto write = [&](const MetricTable& table) { write_metric_table(table, dir / "m.csv"); };
  MetricTable table = random_table();
  table.at(1, 2, 0).value = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS_WITH(
      write(table),
      Contains("metric \"grasp\", client \"größe\", unit \"head\": the value is nan"));
  table = random_table();
  table.metrics[1] = "lntk";
  CHECK_THROWS_WITH(write(table), Contains("the metric \"lntk\" stands twice"));
  table = random_table();
  table.values.pop_back();
  CHECK_THROWS_WITH(write(table), Contains("11 values, but there are 12 combinations"));
  table = random_table();
  table.units.clear();
  CHECK_THROWS_WITH(write(table), Contains("no units"));
  CHECK(!std::filesystem::exists(dir / "m.csv"));
}

TEST_CASE("Spearman's correlation: published values") {
  // The example of scipy.stats.spearmanr's documentation, with a tie.
  CHECK(spearman({1, 2, 3, 4, 5}, {5, 6, 7, 8, 7}) == Approx(0.82078268166812329).epsilon(1e-15));
  // IQ and hours of television (Wikipedia, Spearman's rank correlation coefficient): −29/165.
  CHECK(spearman({106, 100, 86, 101, 99, 103, 97, 113, 112, 110},
                 {7, 27, 2, 50, 28, 29, 20, 12, 6, 17}) == Approx(-29.0 / 165).epsilon(1e-15));
}

TEST_CASE("Spearman's correlation with ties is that of the formula with correction") {
  Random random(3);
  for (int trial = 0; trial < 200; ++trial) {
    std::vector<double> x = {0, 1}, y = {1, 0};  // so that neither is constant
    const int size = 3 + static_cast<int>(random.below(20));
    while (static_cast<int>(x.size()) < size) {
      x.push_back(static_cast<double>(random.below(5)));
      y.push_back(static_cast<double>(random.below(7)));
    }
    CHECK(spearman(x, y) == Approx(by_ties(x, y)).margin(1e-14));
    CHECK(spearman(x, y) == spearman(y, x));
  }
}

TEST_CASE("Spearman's correlation: monotone, constant and wrong values") {
  std::vector<double> x, up, down;
  for (int i = 1; i <= 37; ++i) {
    x.push_back(i);
    up.push_back(std::exp(0.3 * i));
    down.push_back(-std::sqrt(i));
  }
  CHECK(spearman(x, up) == 1);
  CHECK(spearman(x, down) == -1);
  const std::vector<double> constant(37, 4);
  CHECK(spearman(x, constant) == 0);
  CHECK(spearman(constant, constant) == 0);
  CHECK(spearman({2}, {3}) == 0);
  CHECK_THROWS_WITH(spearman({1, 2}, {1}), Contains("found 2 and 1 values"));
  CHECK_THROWS_WITH(spearman({}, {}), Contains("found 0 and 0 values"));
  CHECK_THROWS_WITH(spearman({1, std::nan("")}, {1, 2}), Contains("a value is nan"));
}

TEST_CASE("agreement over clients") {
  MetricTable table{{"a", "b", "flat"}, {"one", "two"}, {"x", "y", "z"}, {}};
  table.allocate();
  for (int unit = 0; unit < 3; ++unit) {
    for (int client = 0; client < 2; ++client) table.at(0, client, unit).value = unit;
    table.at(1, 0, unit).value = unit * unit;     // the same order
    table.at(1, 1, unit).value = (unit + 2) % 3;  // 2 0 1: Σd² = 6, so 1 − 36/24
  }
  const std::vector<RankAgreement> agreements = rank_agreement(table);
  REQUIRE(agreements.size() == 3);
  CHECK(agreements[0].first == "a");
  CHECK(agreements[0].second == "b");
  CHECK(agreements[0].least == -0.5);
  CHECK(agreements[0].greatest == 1);
  CHECK(agreements[0].mean == 0.25);
  CHECK(agreements[0].constant == 0);
  CHECK(agreements[2].first == "b");
  CHECK(agreements[2].second == "flat");
  CHECK(agreements[2].mean == 0);
  CHECK(agreements[2].constant == 2);
  CHECK(rank_agreement_text(agreements) ==
        "metrics  mean  least  greatest  constant\n"
        "a, b     0.25  -0.50      1.00         0\n"
        "a, flat  0.00   0.00      0.00         2\n"
        "b, flat  0.00   0.00      0.00         2\n");
  table.values[4].value = std::nan("");
  CHECK_THROWS_WITH(rank_agreement(table), Contains("the value is nan"));
}
