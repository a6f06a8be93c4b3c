#include "core/resources.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "strata/core/error.h"

namespace strata {
namespace {

constexpr double kStateBytes = 12;  // gradient and AdamW's two moments, in float32
constexpr double kFloatBytes = 4;

std::int64_t bytes_of(const Unit& unit) {
  return unit.bytes;
}

std::int64_t flops_of(const Unit& unit) {
  return std::llround(3 * unit.forward_flops);
}

std::int64_t memory_of(const Unit& unit) {
  return std::llround(kStateBytes * static_cast<double>(unit.parameter_count) +
                      unit.activation_bytes);
}

std::int64_t activations_of(std::int64_t memory, std::int64_t bytes) {
  const double state = kStateBytes / kFloatBytes * static_cast<double>(bytes);
  return std::max<std::int64_t>(0, memory - std::llround(state));
}

std::vector<std::string> names_where(bool (*wanted)(const Resource&)) {
  std::vector<std::string> names;
  for (const Resource& each : resources())
    if (wanted(each)) names.emplace_back(each.name);
  return names;
}

}  // namespace

const std::vector<Resource>& resources() {
  static const Measure whole = {kOfUnits, "", {}, "a whole number of units"};
  static const Measure bytes = {
      "bytes", "B", {"b"}, "a whole number of bytes, such as 400kB, 4MiB or 1.5GB"};
  static const Measure flops = {"flops",
                                "FLOP",
                                {"flops", "flop"},
                                "a whole number of FLOPs, such as 5e9, 400MFLOP or 2GFLOP"};
  static const std::vector<Resource> table = {
      {kOfUnits, &whole, nullptr},
      {"bytes", &bytes, bytes_of},
      {"flops", &flops, flops_of},
      {"memory", &bytes, memory_of, activations_of},
  };
  return table;
}

const Resource& resource(const std::string& name) {
  const auto& table = resources();
  const auto found = std::find_if(table.begin(), table.end(),
                                  [&](const Resource& each) { return each.name == name; });
  if (found == table.end()) require_name("resource", name, budget_kinds());
  return *found;
}

const std::vector<std::string>& budget_kinds() {
  static const std::vector<std::string> names = names_where([](const Resource&) { return true; });
  return names;
}

const std::vector<std::string>& resource_names() {
  static const std::vector<std::string> names =
      names_where([](const Resource& each) { return each.cost != nullptr; });
  return names;
}

std::int64_t cost_of(const Unit& unit, const std::string& name) {
  const Resource& of = resource(name);
  if (!of.cost) throw std::logic_error("units cost nothing of \"" + name + "\"");
  return of.cost(unit);
}

std::vector<std::int64_t> costs_of(const std::vector<Unit>& units, const std::string& of) {
  std::vector<std::int64_t> costs;
  const auto cost = resource(of).cost;
  if (!cost) return costs;
  for (const Unit& unit : units) costs.push_back(cost(unit));
  return costs;
}

RankCosts rank_costs(const std::string& of, std::int64_t cost, std::int64_t bytes, int ranks) {
  const auto fixed_part = resource(of).whatever_the_rank;
  const std::int64_t fixed = fixed_part ? fixed_part(cost, bytes) : 0;
  const std::int64_t further = (cost - fixed + ranks - 1) / ranks;
  return {fixed + further, further};
}

RankCosts rank_costs_of(const Unit& unit, const std::string& of, int ranks) {
  return rank_costs(of, cost_of(unit, of), unit.bytes, ranks);
}

bool has_fixed_costs(const std::string& of) {
  return resource(of).whatever_the_rank != nullptr;
}

}  // namespace strata
