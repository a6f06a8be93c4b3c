#include "strata/fedrunner/benchmark_results.h"

#include <cmath>

#include "catch.h"
#include "strata/core/error.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::fedrunner;
using namespace strata::test;

namespace {

BenchmarkCell cell_of(const std::string& method, double fraction,
                      const std::vector<double>& scores) {
  BenchmarkCell cell{"vit", method, fraction, "cells/vit/" + method, "abc", 100, 0.01};
  for (const double score : scores) {
    BenchmarkRun run{cell.runs.size() + 1, score, 0.25, 2.5, 1.5, 7};
    cell.runs.push_back(run);
  }
  if (scores.empty()) cell.failure = "no client's training stayed finite";
  return cell;
}

BenchmarkResults three_methods() {
  BenchmarkResults results{"tiny",  "macro_f1", true, {"vit", "resnet"}, {"full", "head", "lora"},
                           {1, 0.1}};
  results.cells = {cell_of("full", 1, {0.5, 0.7}), cell_of("full", 0.1, {0.2, 0.2}),
                   cell_of("head", 1, {0.6, 0.6}), cell_of("head", 0.1, {0.4, 0.5}),
                   cell_of("lora", 1, {0.8, 0.9}), cell_of("lora", 0.1, {})};
  return results;
}

}  // namespace

TEST_CASE("rows have means, deviations and mean places, equals sharing theirs") {
  const auto rows = benchmark_rows(three_methods());
  REQUIRE(rows.size() == 3);
  CHECK(rows[0].means[0] == Approx(0.6));
  CHECK(rows[0].deviations[0] == Approx(0.1 * std::sqrt(2)));
  CHECK(rows[0].mean == Approx(0.4));
  // With all the data 0.6, 0.6 and 0.85: places 2.5, 2.5 and 1; with a tenth 2, 1 and, failed, 3.
  CHECK(rows[0].rank == (2.5 + 2) / 2);
  CHECK(rows[1].rank == (2.5 + 1) / 2);
  CHECK(rows[2].rank == 2);
  CHECK(std::isnan(rows[2].means[1]));
  CHECK(std::isnan(rows[2].mean));
  CHECK(std::isnan(rows[2].learning_rates[1]));
  CHECK(rows[2].learning_rates[0] == 0.01);
  CHECK(rows[0].up_mbit == 2.5);
}

TEST_CASE("a row that is not complete yet has no mean and no rank") {
  auto results = three_methods();
  results.cells.pop_back();
  const auto rows = benchmark_rows(results);
  CHECK(std::isnan(rows[2].rank));
  CHECK(std::isnan(rows[2].mean));
  CHECK(rows[1].rank == (2.5 + 1) / 2);
}

TEST_CASE("benchmark.json is read back as it was written") {
  const TempDir dir;
  auto results = three_methods();
  results.cells[0].runs[0].start = std::numeric_limits<double>::quiet_NaN();
  results.cells[0].runs[1].seed = std::numeric_limits<std::uint64_t>::max();
  write_benchmark(results, dir / ".");
  CHECK(holds_benchmark(dir / "."));
  const auto again = read_benchmark(dir / ".");
  CHECK(again.name == "tiny");
  CHECK(again.synthetic);
  CHECK(again.backbones == results.backbones);
  CHECK(again.fractions == results.fractions);
  REQUIRE(again.cells.size() == 6);
  const BenchmarkRun& run = again.cells[0].runs[1];
  CHECK(run.seed == std::numeric_limits<std::uint64_t>::max());
  CHECK(run.score == 0.7);
  CHECK(run.seconds == 7);
  CHECK(run.down_mbit == 1.5);
  CHECK(std::isnan(again.cells[0].runs[0].start));
  CHECK(again.cells[5].failure == results.cells[5].failure);
  CHECK(again.cells[3].fingerprint == "abc");
  CHECK(again.find("vit", "head", 0.1)->runs[1].score == 0.5);
  CHECK(again.find("vit", "head", 0.2) == nullptr);
  const std::string csv = slurp(dir / "benchmark.csv");
  CHECK(csv.substr(0, csv.find('\n')) ==
        "backbone,method,fraction,seed,learning_rate,trained_parameters,start,macro_f1,up_mbit,"
        "down_mbit,seconds");
  CHECK(csv.find("\nvit,head,0.1,2,0.01,100,0.25,0.5,2.5,1.5,7\n") != std::string::npos);
  BenchmarkResults named = results;
  named.cells[0].method = "lora, \"wide\"";
  write_benchmark(named, dir / "named");
  CHECK(slurp(dir / "named/benchmark.csv").find(",\"lora, \"\"wide\"\"\",") != std::string::npos);
}

TEST_CASE("a damaged benchmark.json names the key") {
  const TempDir dir;
  write_benchmark(three_methods(), dir / ".");
  std::string text = slurp(dir / "benchmark.json");
  const std::string from = "\"fraction\": 0.1";
  dir.write("benchmark.json", text.replace(text.find(from), from.size(), "\"fraction\": 3"));
  CHECK_THROWS_WITH(read_benchmark(dir / "."), Catch::Matchers::Contains("cells[1].fraction"));
}

TEST_CASE("a benchmark's table is in percent") {
  const auto results = three_methods();
  CHECK(benchmark_header(results) ==
        std::vector<std::string>{"backbone", "method", "of 100 %", "of 10 %", "mean", "rank",
                                 "trained parameters", "MBit up/round"});
  const auto lines = benchmark_text(results);
  CHECK(lines[0] == std::vector<std::string>{"vit", "full", "60.0 ± 14.1", "20.0 ± 0.0", "40.0",
                                             "2.2", "100", "2.50"});
  CHECK(lines[2][3] == "–");
  CHECK(fraction_name(0.005) == "0.5 %");
}
