#include "experiment/unit_modes.h"

#include <map>

#include "catch.h"
#include "experiment/files.h"
#include "experiment/units_section.h"
#include "models/architectures/sam.h"
#include "models/blueprint.h"
#include "peft/methods.h"

using namespace strata;
using namespace strata::experiment;
using namespace strata::test;
using Catch::Matchers::Contains;

namespace {

models::SamConfig sam_b(std::int64_t classes) {
  models::SamConfig config;
  config.encoder.image_size = 224;
  config.decoder.num_multimask_outputs = classes;
  config.decoder.upscaling_steps = 4;
  for (std::int64_t i = 0; i < classes; ++i) config.classes.push_back(std::to_string(i));
  return config;
}

models::SamConfig larger(std::int64_t hidden, std::int64_t blocks) {
  models::SamConfig config = sam_b(2);
  config.encoder.hidden_size = hidden;
  config.encoder.num_hidden_layers = blocks;
  config.encoder.num_attention_heads = 16;
  config.encoder.mlp_dim = 4 * hidden;
  config.encoder.global_attn_indexes = {blocks - 1};
  return config;
}

/// The units of a mode, and which of them compete or are always trained.
struct ModeUnits {
  std::vector<Unit> units;
  UnitChoice choice;
};

ModeUnits units_of(const std::string& mode, const models::SamConfig& config) {
  models::Blueprint blueprint(models::make_sam(config));
  if (mode.find("lora") != std::string::npos || mode == "flap") {
    blueprint = peft::with_methods(
        blueprint,
        peft::parse_methods({"lora:rank=32,alpha=32,targets=query+value+q_proj+v_proj"}, "--peft"),
        "sam");
  }
  const auto units_config = read_section(units_fields(), "mode: " + mode);
  auto units = peft::scheme_units(blueprint, units_config.scheme, models::Buffers::kFrozen);
  std::vector<Role> roles;
  for (const Unit& unit : units) roles.push_back(unit.role);
  UnitChoice choice = choose_units(names_of(units), roles, units_config.wishes);
  return {std::move(units), std::move(choice)};
}

/// What every client of a mode trains, if it trains everything that the mode has.
std::int64_t trained(const std::string& mode, const models::SamConfig& config) {
  const auto [units, choice] = units_of(mode, config);
  std::int64_t count = 0;
  for (const auto* indices : {&choice.competing, &choice.always})
    for (const std::size_t i : *indices) count += units[i].parameter_count;
  return count;
}

}  // namespace

TEST_CASE("FLAP-SAM's modes train as many parameters as its code and its paper count") {
  const models::SamConfig two = sam_b(2), one = sam_b(1);
  CHECK(trained("full", two) == 90532927);
  CHECK(trained("decoder", two) == 3902195);
  CHECK(trained("partial_decoder", two) == 478320);
  CHECK(trained("lora", two) == 1368064);
  CHECK(trained("lora_decoder", two) == 5270259);
  CHECK(trained("flap", two) == 1846384);
  CHECK(trained("attention", two) == 30053104);

  CHECK(trained("full", one) == 90398774);
  CHECK(trained("decoder", one) == 3768042);
  CHECK(trained("partial_decoder", one) == 344424);
  CHECK(trained("lora_decoder", one) == 5136106);
  CHECK(trained("flap", one) == 1712488);
  CHECK(trained("attention", one) == 29919208);

  CHECK(trained("lora", larger(1024, 24)) == 3334144);
  CHECK(trained("flap", larger(1024, 24)) == 3812464);
  CHECK(trained("lora", larger(1280, 32)) == 5431296);
  CHECK(trained("flap", larger(1280, 32)) == 5909616);
  CHECK(unit_modes().size() == 7);
}

TEST_CASE("F3OCUS plans 15 LoRA units of FLAP-SAM's, and what is drawn anew is always trained") {
  const auto [units, choice] = units_of("flap", sam_b(2));
  std::map<std::string, std::int64_t> competing, always;
  std::vector<std::string> names;
  for (const std::size_t i : choice.competing) {
    names.push_back(units[i].name);
    competing[units[i].name] = units[i].parameter_count;
  }
  for (const std::size_t i : choice.always) always[units[i].name] = units[i].parameter_count;
  REQUIRE(names.size() == 15);
  for (std::size_t block = 0; block < 12; ++block) {
    const std::string name = "lora." + std::to_string(block);
    CHECK(names[block] == name);
    CHECK(competing.at(name) == 98304);
  }
  // Two layers of the decoder, and the attention behind them.
  CHECK(names[12] == "decoder.lora.0");
  CHECK(competing.at("decoder.lora.0") == 32768 + 2 * 24576);
  CHECK(competing.at("decoder.lora.1") == 32768 + 2 * 24576);
  CHECK(competing.at("decoder.lora.2") == 24576);
  CHECK(always == std::map<std::string, std::int64_t>{{"tokens", 401688}, {"upscale", 76632}});
}

TEST_CASE("a mode stands for a scheme, what is selectable and what is always trained") {
  CHECK(
      written(units_fields(), "{mode: flap}") ==
      R"({"scheme":"lora","selectable":["lora.*","decoder.lora.*"],"always":["upscale","tokens"]})");
  CHECK(written(units_fields(), "{mode: full}") == R"({"selectable":["*"],"always":[]})");
  CHECK_THAT(section_error(units_fields(), "{mode: flop}"), Contains("did you mean \"flap\""));
  for (const std::string other : {"scheme: lora", "selectable: [a]", "always: [a]"})
    CHECK_THAT(section_error(units_fields(), "{mode: flap, " + other + "}"),
               Contains("stands beside mode"));
}

TEST_CASE(
    "a strategy's mode makes a configuration of its own, with pairs where the mode has some") {
  const auto config = read_experiment(
      kExperiment, {"model.peft={lora: {rank: 4}, adapters: {}}", "run.server={lora: product}",
                    "run.strategies=[{name: flap, mode: flap}, {name: whole, mode: full}, topk]",
                    "run.seeds=[1, 2]", "units={scheme: lora, selectable: [lora.1]}"});
  REQUIRE(has_modes(*config.run));
  const auto& strategies = config.run->strategies;
  const auto flap = config_of(config, strategies[0], 2);
  CHECK_FALSE(has_modes(*flap.run));
  CHECK(flap.run->strategies.size() == 1);
  CHECK(flap.run->seeds == std::vector<std::uint64_t>{2});
  CHECK(flap.units.scheme == "lora");
  CHECK(flap.units.wishes.always == std::vector<std::string>{"upscale", "tokens"});
  CHECK(flap.model.peft.size() == 2);
  CHECK(flap.run->server.aggregation.lora == LoraAverage::kProduct);

  const auto whole = config_of(config, strategies[1], 1);
  CHECK(whole.units.scheme == "block");
  CHECK(whole.units.wishes.competing == std::vector<std::string>{"*"});
  REQUIRE(whole.model.peft.size() == 1);
  CHECK(whole.model.peft.front()->name() == "adapter");
  CHECK(whole.run->server.aggregation.lora == LoraAverage::kFactors);

  // One without a mode has the experiment's units.
  const auto plain = config_of(config, strategies[2], 1);
  CHECK(plain.units.scheme == "lora");
  CHECK(plain.units.wishes.competing == std::vector<std::string>{"lora.1"});
  CHECK(plain.model.peft.size() == 2);
}
