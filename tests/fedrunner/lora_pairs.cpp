#include "fedrunner/lora_pairs.h"

#include <set>

#include "catch.h"
#include "fedrunner/tiny.h"
#include "peft/methods.h"

using namespace strata;
using namespace strata::fedrunner;

namespace {

using Names = std::vector<std::string>;

/// Three blocks with pairs of rank 2 beside query and value, both 16 × 16: A has 32 numbers, and so
/// has B.
struct Fixture {
  models::Blueprint blueprint = [] {
    auto shape = test::tiny_config();
    shape.peft.lora_rank = 2;
    return shape.blueprint();
  }();
  std::vector<Unit> units =
      peft::scheme_units(blueprint, "lora+layernorm", models::Buffers::kFrozen);

  std::vector<Unit> fitted(LoraAverage rule) const {
    auto fitted = units;
    fit_units(lora_rule(rule), blueprint, fitted);
    return fitted;
  }
  /// Bytes of the first unit of blocks with what `pairs` makes of them.
  static std::int64_t bytes(const std::vector<Unit>& units) {
    for (const Unit& unit : units)
      if (unit.name == "lora+layernorm.0") return unit.bytes;
    throw std::runtime_error("no such unit");
  }
  static const Unit& first(const std::vector<Unit>& units) {
    for (const Unit& unit : units)
      if (unit.name == "lora+layernorm.0") return unit;
    throw std::runtime_error("no such unit");
  }
  static int ending(const Names& names, const std::string& end) {
    return static_cast<int>(std::count_if(
        names.begin(), names.end(), [&](const std::string& name) { return name.ends_with(end); }));
  }
};

// Two pairs of 64 numbers, and two LayerNorms of 2 · 16.
constexpr std::int64_t kPair = 4 * 64, kAll = 2 * kPair + 4 * 64;

}  // namespace

TEST_CASE_METHOD(Fixture, "a rule leaves in units what it trains, and says what clients keep") {
  const Unit whole = first(units);
  CHECK(whole.bytes == kAll);
  for (const LoraAverage rule :
       {LoraAverage::kFactors, LoraAverage::kProduct, LoraAverage::kRolora, LoraAverage::kFair,
        LoraAverage::kFedex, LoraAverage::kFlora, LoraAverage::kHetlora}) {
    const Unit same = first(fitted(rule));
    CHECK(same.parameters == whole.parameters);
    CHECK(same.bytes == kAll);
    CHECK(same.local.empty());
  }
  const Unit ffa = first(fitted(LoraAverage::kFfa));
  CHECK(ending(ffa.parameters, ".lora_A.weight") == 0);
  CHECK(ending(ffa.parameters, ".lora_B.weight") == 2);
  CHECK(ffa.parameters.size() == whole.parameters.size() - 2);
  CHECK(ffa.bytes == kAll - kPair);
  CHECK(ffa.parameter_count == whole.parameter_count - 64);
  CHECK(ffa.local.empty());
  CHECK(ffa.forward_flops == whole.forward_flops);

  const Unit fedsa = first(fitted(LoraAverage::kFedsa));
  CHECK(fedsa.parameters == whole.parameters);
  CHECK(ending(fedsa.local, ".lora_B.weight") == 2);
  CHECK(fedsa.local.size() == 2);
  CHECK(fedsa.bytes == kAll - kPair);
  CHECK(fedsa.parameter_count == whole.parameter_count);
}

TEST_CASE("a bias of a pair's B stays at the client with B, and with nothing else") {
  const models::Blueprint plain = test::tiny_config().blueprint();
  const auto biased =
      peft::with_methods(plain, {peft::parse_method("lora:rank=2,bias=true", "--peft")}, "model");
  const auto fitted = [&](LoraAverage rule) {
    auto units = peft::scheme_units(biased, "lora", models::Buffers::kFrozen);
    fit_units(lora_rule(rule), biased, units);
    for (const Unit& unit : units)
      if (unit.name == "lora.0") return unit;
    throw std::runtime_error("no such unit");
  };
  const auto kept = [&](const Unit& unit) { return Fixture::ending(unit.local, ".lora_B.bias"); };
  const Unit factors = fitted(LoraAverage::kFactors), fedsa = fitted(LoraAverage::kFedsa);
  CHECK(factors.local.empty());
  // Query and value: 2 · 64 numbers of pairs and 2 · 16 of biases.
  CHECK(factors.bytes == 4 * (128 + 32));
  CHECK(kept(fedsa) == 2);
  CHECK(fedsa.local.size() == 4);
  CHECK(fedsa.bytes == 4 * 64);
  CHECK(fedsa.parameter_count == factors.parameter_count);
  CHECK(fitted(LoraAverage::kFfa).bytes == 4 * (64 + 32));
}

TEST_CASE_METHOD(Fixture,
                 "RoLoRA freezes A in odd rounds and B in even ones, and sends the other") {
  const UnitPairs pairs(lora_rule(LoraAverage::kRolora), blueprint, units);
  CHECK(pairs.all().size() == 6);
  const Names some = {"head", "lora+layernorm.0", "lora+layernorm.2"};
  for (const int round : {1, 3, 7}) {
    CHECK(pairs.frozen(round, some).size() == 4);
    CHECK(ending(pairs.frozen(round, some), ".lora_A.weight") == 4);
  }
  for (const int round : {2, 4}) CHECK(ending(pairs.frozen(round, some), ".lora_B.weight") == 4);
  CHECK(pairs.frozen(1, {"head"}).empty());
  const std::string of_first = first(units).parameters[0].substr(0, 5);
  for (const auto& name : pairs.frozen(1, {"lora+layernorm.0"}))
    CHECK(std::count(first(units).parameters.begin(), first(units).parameters.end(), name) == 1);
  CHECK(bytes(pairs.sent(1, units)) == kAll - kPair);
  CHECK(bytes(pairs.received(2, units)) == kAll - kPair);
}

TEST_CASE_METHOD(Fixture, "RoLoRA counts the bytes of the factor that travels") {
  // Of value, which is 16 → 16, both have 32 numbers; of a layer 16 → 64 A has 32 and B 128.
  auto shape = test::tiny_config();
  shape.peft.lora_rank = 2;
  shape.peft.lora_targets = {"intermediate.dense"};
  const auto wide = shape.blueprint();
  const auto lora = peft::scheme_units(wide, "lora", models::Buffers::kFrozen);
  const UnitPairs pairs(lora_rule(LoraAverage::kRolora), wide, lora);
  const auto of = [](const std::vector<Unit>& all) {
    for (const Unit& unit : all)
      if (unit.name == "lora.0") return unit.bytes;
    return std::int64_t{0};
  };
  CHECK(of(lora) == 4 * 160);
  CHECK(of(pairs.sent(1, lora)) == 4 * 128);
  CHECK(of(pairs.sent(2, lora)) == 4 * 32);
  CHECK(of(pairs.received(1, lora)) == 4 * 128);
  CHECK(of(pairs.received(2, lora)) == 4 * 32);
}

TEST_CASE_METHOD(Fixture, "rules that change the base have clients receive it in full") {
  constexpr std::int64_t kBases = 4 * 2 * 16 * 16;  // of query and value
  const UnitPairs fedex(lora_rule(LoraAverage::kFedex), blueprint, units);
  const UnitPairs flora(lora_rule(LoraAverage::kFlora), blueprint, units);
  for (const UnitPairs* pairs : {&fedex, &flora}) {
    CHECK(pairs->bases().size() == 6);
    for (const auto& base : pairs->bases())
      CHECK((base.ends_with(".query.weight") || base.ends_with(".value.weight")));
    CHECK(bytes(pairs->sent(1, units)) == kAll);
    CHECK(pairs->frozen(1, {"lora+layernorm.0"}).empty());
  }
  CHECK(bytes(fedex.received(1, units)) == kAll + kBases);
  // A is drawn by everybody, and B is 0.
  CHECK(bytes(flora.received(1, units)) == kAll + kBases - 2 * kPair);
  // Where a unit has the base itself it is counted once.
  auto whole = units;
  for (Unit& unit : whole) {
    if (unit.name != "lora+layernorm.0") continue;
    for (const auto& pair : fedex.all())
      if (pair.unit == unit.name) unit.parameters.push_back(pair.names.base);
  }
  const UnitPairs counted(lora_rule(LoraAverage::kFedex), blueprint, whole);
  CHECK(bytes(counted.received(1, whole)) == kAll);
  CHECK(counted.bases().size() == 6);
}

TEST_CASE_METHOD(Fixture, "other rules freeze nothing, and send what their units have") {
  for (const LoraAverage rule :
       {LoraAverage::kFactors, LoraAverage::kProduct, LoraAverage::kFfa, LoraAverage::kFedsa}) {
    const auto own = fitted(rule);
    const UnitPairs pairs(lora_rule(rule), blueprint, own);
    CHECK(pairs.all().size() == 6);
    CHECK(pairs.frozen(1, {"lora+layernorm.0"}).empty());
    CHECK(pairs.bases().empty());
    CHECK(bytes(pairs.sent(1, own)) == bytes(own));
    CHECK(bytes(pairs.received(1, own)) == bytes(own));
  }
  CHECK(UnitPairs().bases().empty());
  CHECK(UnitPairs().frozen(1, {"lora+layernorm.0"}).empty());
  CHECK(bytes(UnitPairs().sent(1, units)) == kAll);
}
