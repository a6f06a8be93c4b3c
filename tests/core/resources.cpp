#include "core/resources.h"

#include "catch.h"
#include "core/amount.h"
#include "strata/core/error.h"

using namespace strata;

TEST_CASE("units come first among what budgets count, and are no resource") {
  CHECK(budget_kinds() == std::vector<std::string>{"units", "bytes", "flops", "memory"});
  CHECK(resource_names() == std::vector<std::string>{"bytes", "flops", "memory"});
  CHECK(resource(kOfUnits).cost == nullptr);
}

TEST_CASE("a unit costs its bytes, three forward passes, or its weights' state and activations") {
  Unit unit;
  unit.parameter_count = 25;
  unit.bytes = 200;  // of which statistics are half
  unit.forward_flops = 7;
  unit.activation_bytes = 50;
  CHECK(cost_of(unit, "bytes") == 200);
  CHECK(cost_of(unit, "flops") == 21);
  CHECK(cost_of(unit, "memory") == 350);
  CHECK_THROWS_AS(cost_of(unit, "units"), std::logic_error);
}

TEST_CASE("a pair costs in proportion to its rank, but for its activations") {
  Unit unit;
  unit.parameter_count = 50;
  unit.bytes = 200;
  unit.forward_flops = 7;
  unit.activation_bytes = 90;
  const auto is = [](const RankCosts& costs, std::int64_t first, std::int64_t further) {
    return costs.first == first && costs.further == further;
  };
  CHECK(is(rank_costs_of(unit, "bytes", 4), 50, 50));
  CHECK(is(rank_costs_of(unit, "flops", 4), 6, 6));  // 21 / 4, rounded up
  // 12 bytes of each of 50 weights at rank 4.
  CHECK(is(rank_costs_of(unit, "memory", 4), 90 + 150, 150));
  CHECK(has_fixed_costs("memory"));
  CHECK_FALSE(has_fixed_costs("bytes"));
}

TEST_CASE("every unit's cost of a resource is listed, and none of units") {
  const std::vector<Unit> units = {{.name = "a", .bytes = 10, .forward_flops = 7},
                                   {.name = "b", .bytes = 30, .forward_flops = 9}};
  CHECK(costs_of(units, "units").empty());
  CHECK(costs_of(units, "bytes") == std::vector<std::int64_t>{10, 30});
  CHECK(costs_of(units, "flops") == std::vector<std::int64_t>{21, 27});
}

TEST_CASE("every row's amounts are read back as they are shown, and say what they count") {
  for (const Resource& each : resources()) {
    CAPTURE(each.name);
    const std::string text = amount_text(269, each.name);
    std::int64_t value = 0;
    CHECK(parse_amount(text, each.name, value));
    CHECK(value == 269);
    CHECK(counted_by(text) == (each.cost ? each.measure->resource : ""));
    // What an amount means is a resource of the same measure.
    CHECK(resource(each.measure->resource).measure == each.measure);
    CHECK(allowed_amount(each.name) == each.measure->allowed);
  }
}

TEST_CASE("a resource that is not in the table is named with the nearest one") {
  CHECK_THROWS_WITH(resource("flop"),
                    "resource: unknown name \"flop\" (did you mean \"flops\"?); allowed: "
                    "\"units\", \"bytes\", \"flops\", \"memory\"");
  CHECK_THROWS_AS(resource(""), InputError);
}
