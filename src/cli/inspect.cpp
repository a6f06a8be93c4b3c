#include <filesystem>
#include <iostream>

#include "cli/command_line.h"
#include "core/console.h"
#include "core/document.h"
#include "models/transformer_config.h"
#include "strata/core/error.h"
#include "strata/core/safetensors.h"

namespace strata {
namespace {

Unit sum_of(const std::vector<Unit>& units) {
  Unit total;
  total.name = "total";
  for (const Unit& unit : units) {
    total.parameter_count += unit.parameter_count;
    total.bytes += unit.bytes;
    total.forward_flops += unit.forward_flops;
    total.activation_bytes += unit.activation_bytes;
  }
  return total;
}

Json to_json(const Unit& unit) {
  return {{"name", unit.name},
          {"parameters", unit.parameter_count},
          {"bytes", unit.bytes},
          {"forward_flops", unit.forward_flops},
          {"activation_bytes", unit.activation_bytes}};
}

void print_json(const std::vector<Unit>& units, std::int64_t text_tokens, std::int64_t labels) {
  Json out = {{"version", 1}, {"text_tokens", text_tokens}, {"labels", labels}};
  out["units"] = Json::array();
  for (const Unit& unit : units) out["units"].push_back(to_json(unit));
  out["total"] = to_json(sum_of(units));
  std::cout << out.dump(2) << '\n';
}

void print_table(const std::vector<Unit>& units, std::int64_t text_tokens, std::int64_t labels) {
  TextTable table({"unit", "parameters", "kB", "forward MFLOP", "activations kB"});
  const auto add = [&](const Unit& unit) {
    table.row({unit.name, std::to_string(unit.parameter_count),
               fixed(static_cast<double>(unit.bytes) / 1e3, 1), fixed(unit.forward_flops / 1e6, 3),
               fixed(unit.activation_bytes / 1e3, 1)});
  };
  for (const Unit& unit : units) add(unit);
  add(sum_of(units));
  std::cout << table.str() << "FLOPs and activations are for one sample of " << text_tokens
            << " text tokens and its image, in float32; " << labels << " answers.\n";
}

}  // namespace

int run_inspect(const InspectArguments& arguments, const CommonArguments& common) {
  const std::filesystem::path folder = arguments.model;
  const TransformerConfig config = read_model_config(folder);
  check_transformer_weights(SafetensorsFile(folder / "model.safetensors"), config);
  const std::int64_t text_tokens =
      arguments.text_tokens > 0 ? arguments.text_tokens : config.max_position_embeddings;
  if (text_tokens > config.max_position_embeddings) {
    throw InputError("--text-tokens: found " + std::to_string(text_tokens) +
                     ", but the model has max_position_embeddings = " +
                     std::to_string(config.max_position_embeddings));
  }
  const std::vector<Unit> units = transformer_units(config, text_tokens, arguments.scheme);
  if (common.json) {
    print_json(units, text_tokens, config.label_count());
  } else {
    print_table(units, text_tokens, config.label_count());
  }
  return kExitDone;
}

}  // namespace strata
