#include "ntk/stage_plan.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "catch.h"
#include "ntk/jacobian.h"

using namespace strata;
using namespace strata::ntk;

namespace {

/// Four units of a linear layer with a bias and a norm, as a block has them.
struct Block {
  std::vector<OpShape> ops;
  std::vector<Unit> units;

  Block(double tokens, double width, int linears) {
    for (int i = 0; i < linears; ++i) {
      const std::string name = std::to_string(i);
      ops.push_back({.weight = "weight " + name,
                     .bias = "bias " + name,
                     .output = static_cast<std::size_t>(i),
                     .tokens = tokens,
                     .in = width,
                     .out = width * (1 + i % 2),
                     .factored = true});
      Unit unit;
      unit.name = name;
      unit.parameters = {"weight " + name, "bias " + name};
      units.push_back(unit);
    }
  }

  StageSizes sizes(double samples, double outputs) const {
    StageSizes stage{ops, units, {}, {}};
    for (std::size_t u = 0; u < units.size(); ++u) stage.here.insert(u), stage.whole.insert(u);
    stage.samples = samples;
    stage.outputs = outputs;
    stage.element_bytes = 4;
    stage.fixed_bytes = 1000;
    return stage;
  }
};

LntkOptions with_memory(double bytes, NtkMethod method) {
  LntkOptions options;
  options.memory_bytes = static_cast<std::int64_t>(bytes);
  options.method = method;
  return options;
}

double delta_bytes(const StagePlan& plan, const Group& group) {
  double bytes = 0;
  for (const Part& part : group)
    bytes += static_cast<double>(part.size) * plan.clusters[part.cluster].column_bytes;
  return bytes;
}

}  // namespace

TEST_CASE("whatever the memory, every column is differentiated once and within it") {
  const Block block(9, 16, 4);
  const StageSizes stage = block.sizes(3, 5);
  const double least = plan_stage(stage, with_memory(1e12, NtkMethod::kGram)).least_bytes;
  std::size_t fewest = 1000, most = 0;
  for (const double factor : {1.0, 1.1, 1.5, 2.0, 4.0, 8.0, 20.0, 100.0, 1e6}) {
    const LntkOptions options = with_memory(std::ceil(least * factor), NtkMethod::kGram);
    const StagePlan plan = plan_stage(stage, options);
    CAPTURE(factor, plan.groups.size());
    REQUIRE_FALSE(plan.groups.empty());
    std::map<std::size_t, std::int64_t> next;  // column of a cluster
    double largest = 0;
    for (const Group& group : plan.groups) {
      largest = std::max(largest, delta_bytes(plan, group));
      for (const Part& part : group) {
        CHECK(part.begin == next[part.cluster]);
        CHECK(part.size > 0);
        next[part.cluster] += part.size;
      }
    }
    for (std::size_t c = 0; c < plan.clusters.size(); ++c)
      CHECK(next[c] == plan.clusters[c].columns);
    CHECK(plan.bytes == Approx(1000 + static_cast<double>(plan.chunk_bytes) + largest));
    CHECK(plan.bytes <= static_cast<double>(options.memory_bytes));
    fewest = std::min(fewest, plan.groups.size());
    most = std::max(most, plan.groups.size());
  }
  CHECK(fewest == 1);
  CHECK(most > 4);
}

TEST_CASE("a column of δ's is of all samples, outputs and tokens") {
  const Block block(9, 16, 4);
  const StagePlan plan = plan_stage(block.sizes(3, 5), with_memory(1e9, NtkMethod::kGram));
  REQUIRE(plan.clusters.size() == 4);
  for (std::size_t c = 0; c < 4; ++c) {
    CHECK(plan.clusters[c].columns == (c % 2 ? 32 : 16));
    CHECK(plan.clusters[c].column_bytes == 3 * 5 * 9 * 4);
  }
}

TEST_CASE("below the least memory there is no plan, and it says what the least is") {
  const Block block(9, 16, 4);
  const StageSizes stage = block.sizes(3, 5);
  const double least = plan_stage(stage, with_memory(1e9, NtkMethod::kGram)).least_bytes;
  // What is fixed, a column of δ's and a column of J.
  CHECK(least == 1000 + 3 * 5 * 9 * 4 + 3 * 5 * 16 * 4);
  const StagePlan plan = plan_stage(stage, with_memory(least - 1, NtkMethod::kGram));
  CHECK(plan.groups.empty());
  CHECK(plan.least_bytes == least);
}

TEST_CASE("operations that share a weight or an output are differentiated together") {
  Block block(9, 16, 4);
  block.ops[2].weight = block.ops[0].weight;
  block.ops[3].output = block.ops[1].output;
  const StagePlan plan = plan_stage(block.sizes(3, 5), with_memory(1e9, NtkMethod::kGram));
  REQUIRE(plan.clusters.size() == 2);
  CHECK(plan.clusters[0].ops == std::vector<std::size_t>{0, 2});
  CHECK(plan.clusters[1].ops == std::vector<std::size_t>{1, 3});
  // Two δ's beside each other for the weight used twice, one for the output that is shared.
  CHECK(plan.clusters[0].column_bytes == 2 * plan.clusters[1].column_bytes);
  // Uses of a weight are copied beside each other even where their output is one.
  block.ops[2].output = block.ops[0].output;
  CHECK(
      plan_stage(block.sizes(3, 5), with_memory(1e9, NtkMethod::kGram)).clusters[0].column_bytes ==
      plan.clusters[0].column_bytes);
}

TEST_CASE("Lanczos keeps all δ's of its units in the first group, or leaves them to the kernel") {
  const Block block(9, 16, 4);
  const StageSizes stage = block.sizes(30, 5);
  const double least = plan_stage(stage, with_memory(1e9, NtkMethod::kLanczos)).least_bytes;
  std::set<std::size_t> seen;  // how many units went by Lanczos
  for (double memory = least; memory < 1e9; memory *= 1.05) {
    const LntkOptions options = with_memory(std::ceil(memory), NtkMethod::kLanczos);
    const StagePlan plan = plan_stage(stage, options);
    CAPTURE(options.memory_bytes, plan.by_lanczos.size());
    REQUIRE_FALSE(plan.groups.empty());
    CHECK(plan.bytes <= static_cast<double>(options.memory_bytes));
    for (const std::size_t unit : plan.by_lanczos) {
      const Group& first = plan.groups.front();
      CHECK(std::any_of(first.begin(), first.end(), [&](const Part& at) {
        return at.cluster == unit && at.size == plan.clusters[unit].columns;
      }));
    }
    if (!seen.empty()) CHECK(plan.by_lanczos.size() >= *seen.rbegin());
    seen.insert(plan.by_lanczos.size());
  }
  CHECK(seen.count(0) == 1);
  CHECK(seen.count(4) == 1);
  CHECK(seen.size() > 2);
}

TEST_CASE("a unit with weights in other stages, or with few rows, has its kernel formed") {
  const Block block(9, 16, 4);
  StageSizes stage = block.sizes(30, 5);
  stage.whole.erase(2);
  CHECK(plan_stage(stage, with_memory(1e9, NtkMethod::kLanczos)).by_lanczos ==
        std::set<std::size_t>{0, 1, 3});
  // 8 rows are no more than four times the two columns of a block.
  CHECK(plan_stage(block.sizes(8, 1), with_memory(1e9, NtkMethod::kLanczos)).by_lanczos.empty());
  CHECK(plan_stage(block.sizes(9, 1), with_memory(1e9, NtkMethod::kLanczos)).by_lanczos.size() ==
        4);
}

TEST_CASE("automatically, a unit goes by what costs less, which its multiply-adds say") {
  const Block block(9, 16, 4);
  for (const double samples : {4.0, 20.0, 100.0, 600.0}) {
    const StageSizes stage = block.sizes(samples, 5);
    const StagePlan gram = plan_stage(stage, with_memory(1e12, NtkMethod::kGram));
    const StagePlan lanczos = plan_stage(stage, with_memory(1e12, NtkMethod::kLanczos));
    const StagePlan chosen = plan_stage(stage, with_memory(1e12, NtkMethod::kAutomatic));
    CAPTURE(samples, chosen.by_lanczos.size());
    CHECK(chosen.kernel_multiply_adds <= gram.kernel_multiply_adds);
    CHECK(chosen.kernel_multiply_adds <= lanczos.kernel_multiply_adds);
    if (!chosen.by_lanczos.empty()) CHECK(chosen.kernel_multiply_adds < gram.kernel_multiply_adds);
  }
  CHECK(plan_stage(block.sizes(4, 5), with_memory(1e12, NtkMethod::kAutomatic)).by_lanczos.empty());
  CHECK(
      plan_stage(block.sizes(600, 5), with_memory(1e12, NtkMethod::kAutomatic)).by_lanczos.size() ==
      4);
}
