#include <algorithm>
#include <filesystem>
#include <iostream>
#include <map>
#include <set>

#include "cli/command_line.h"
#include "core/choices.h"
#include "core/console.h"
#include "core/document.h"
#include "core/plan.h"
#include "models/cost.h"
#include "models/units.h"
#include "peft/files.h"
#include "peft/lora.h"
#include "peft/methods.h"
#include "strata/core/error.h"
#include "strata/core/plan.h"
#include "strata/core/safetensors.h"

namespace strata::cli {
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

void print_json(const std::vector<Unit>& units, std::int64_t text_tokens, std::size_t labels) {
  Json out = {{"version", 1}, {"text_tokens", text_tokens}, {"labels", labels}};
  out["units"] = Json::array();
  for (const Unit& unit : units) out["units"].push_back(to_json(unit));
  out["total"] = to_json(sum_of(units));
  std::cout << printable_json(out.dump(2)) << '\n';
}

/// "of 40 text tokens and an image of 384 x 384 pixels": what the costs are counted for.
std::string sample_text(const models::Blueprint& blueprint, std::int64_t text_tokens) {
  const models::ImageModel model = blueprint.architecture().image_model();
  data::ImageSize size = {model.image_size, model.image_size};
  if (model.any_size()) size = blueprint.image_processor().constant_size().value_or(size);
  return (text_tokens > 0 ? "of " + std::to_string(text_tokens) + " text tokens and " : "of ") +
         "an image of " + data::size_text(size) + " pixels";
}

/// What it can answer.
std::string answers_text(const models::Blueprint& blueprint) {
  const models::Architecture& architecture = blueprint.architecture();
  if (architecture.answers_in_words()) return "words as answers";
  if (architecture.labels().empty()) return "no head";
  return std::to_string(architecture.labels().size()) + " answers";
}

void print_table(const std::vector<Unit>& units, const models::Blueprint& blueprint,
                 std::int64_t text_tokens) {
  TextTable table({"unit", "parameters", "kB", "forward MFLOP", "activations kB"});
  const auto add = [&](const Unit& unit) {
    table.row({unit.name, std::to_string(unit.parameter_count),
               fixed(static_cast<double>(unit.bytes) / 1e3, 1), fixed(unit.forward_flops / 1e6, 3),
               fixed(unit.activation_bytes / 1e3, 1)});
  };
  for (const Unit& unit : units) add(unit);
  add(sum_of(units));
  std::cout << table.str() << "FLOPs and activations are for one sample "
            << sample_text(blueprint, text_tokens) << ", in float32; " << answers_text(blueprint)
            << ".\n";
}

/// A row of the table of costs.
enum class Costed { kModel, kScheme, kUnit, kClient };

const Choices<Costed>& costed() {
  static const Choices<Costed> table({{Costed::kModel, "model"},
                                      {Costed::kScheme, "scheme"},
                                      {Costed::kUnit, "unit"},
                                      {Costed::kClient, "client"}});
  return table;
}

struct CostRow {
  Costed kind;
  std::string name;
  models::TrainingCost cost;
  double mbit = 0;  ///< what is sent of it, one way in a round
};

/// The weights of the named units.
std::set<std::string> weights_of(const std::vector<Unit>& units,
                                 const std::vector<std::string>& names, const std::string& where) {
  std::set<std::string> weights;
  const std::vector<std::string> known = names_of(units);
  for (const std::string& name : names) {
    const auto found = std::find(known.begin(), known.end(), name);
    if (found == known.end()) {
      throw InputError(where + ": the model has no unit \"" + name + "\"" +
                       did_you_mean(name, known) + "; with this --scheme it has " +
                       quoted_list(known));
    }
    const auto& parameters = units[static_cast<std::size_t>(found - known.begin())].parameters;
    weights.insert(parameters.begin(), parameters.end());
  }
  return weights;
}

/// The model as the client trains it by a plan of ranks: pairs of its units have theirs.
models::Blueprint with_planned_ranks(const models::Blueprint& blueprint,
                                     const std::vector<Unit>& units, const Plan& plan,
                                     std::size_t client, const std::string& file) {
  std::map<std::string, std::int64_t> ranks;
  each_unit(plan, plan.assignment, client, [&](const std::string& name, int rank) {
    const std::size_t before = ranks.size();
    for (const Unit& unit : units) {
      if (unit.name != name) continue;
      for (const peft::FactorPair& pair : peft::factors_of(blueprint)) {
        const auto& held = unit.parameters;
        if (std::find(held.begin(), held.end(), pair.first) == held.end()) continue;
        const std::int64_t own = blueprint.parameter(pair.first).shape.front();
        if (plan.ranks != own)
          throw InputError(file + ": ranks: the plan is of pairs of rank " +
                           std::to_string(plan.ranks) + ", but the unit \"" + name +
                           "\" of the model has pairs of rank " + std::to_string(own));
        ranks[pair.first] = rank;
      }
    }
    if (ranks.size() == before)
      throw InputError(file + ": ranks: the unit \"" + name + "\" of the model has no LoRA pair");
  });
  return peft::with_ranks(blueprint, ranks);
}

std::vector<CostRow> cost_rows(const models::Blueprint& blueprint, const std::vector<Unit>& units,
                               std::int64_t text_tokens, models::Buffers buffers,
                               const InspectArguments& arguments) {
  std::vector<CostRow> rows;
  const auto add_of = [&](const models::Blueprint& of, Costed kind, const std::string& name,
                          const std::set<std::string>& weights) {
    const Unit unit = models::unit_of(of, weights, buffers);
    const auto by_batch = models::moving_norms(of, {unit});
    rows.push_back({kind, name, models::training_cost(of, text_tokens, weights, by_batch),
                    8e-6 * static_cast<double>(unit.bytes)});
  };
  const auto add = [&](Costed kind, const std::string& name, const std::set<std::string>& weights) {
    add_of(blueprint, kind, name, weights);
  };
  std::set<std::string> all;
  for (const models::Parameter& parameter : blueprint.parameters()) all.insert(parameter.name);
  add(Costed::kModel, "everything", all);
  std::vector<std::string> selectable;
  for (const Unit& unit : units) {
    if (unit.role == Role::kBody || unit.role == Role::kPrompt) selectable.push_back(unit.name);
  }
  add(Costed::kScheme, "all of " + arguments.scheme, weights_of(units, selectable, "--scheme"));
  for (const Unit& unit : units) {
    add(Costed::kUnit, unit.name, {unit.parameters.begin(), unit.parameters.end()});
  }
  auto always = weights_of(units, arguments.always, "--always");
  if (arguments.plan.empty()) return rows;
  const Plan plan = read_plan(arguments.plan);
  if (arguments.always.empty()) always = weights_of(units, plan.always, arguments.plan);
  for (std::size_t i = 0; i < plan.clients.size(); ++i) {
    auto weights = weights_of(units, plan.units_of(static_cast<int>(i)), arguments.plan);
    weights.insert(always.begin(), always.end());
    if (plan.has_ranks()) {
      add_of(with_planned_ranks(blueprint, units, plan, i, arguments.plan), Costed::kClient,
             plan.clients[i], weights);
    } else {
      add(Costed::kClient, plan.clients[i], weights);
    }
  }
  return rows;
}

void print_cost_json(const std::vector<CostRow>& rows, std::int64_t text_tokens, std::size_t labels,
                     int batch_size) {
  Json out = {{"version", 1},
              {"text_tokens", text_tokens},
              {"labels", labels},
              {"batch_size", batch_size},
              {"costs", Json::array()}};
  for (const auto& [kind, name, cost, mbit] : rows) {
    out["costs"].push_back({{"kind", costed().name(kind)},
                            {"name", name},
                            {"parameters", cost.parameters},
                            {"mbit", mbit},
                            {"forward_flops", cost.forward_flops},
                            {"backward_flops", cost.backward_flops},
                            {"activation_bytes", cost.activation_bytes},
                            {"peak_bytes", cost.peak_bytes(batch_size)}});
  }
  std::cout << printable_json(out.dump(2)) << '\n';
}

void print_cost_table(const std::vector<CostRow>& rows, const models::Blueprint& blueprint,
                      std::int64_t text_tokens, int batch_size) {
  TextTable table({"trained", "parameters", "MBit", "forward GFLOP", "backward GFLOP", "peak MiB"});
  for (const auto& [kind, name, cost, mbit] : rows) {
    table.row({kind == Costed::kClient ? "client " + name : name, std::to_string(cost.parameters),
               fixed(mbit, 3), fixed(cost.forward_flops / 1e9, 3),
               fixed(cost.backward_flops / 1e9, 3),
               fixed(cost.peak_bytes(batch_size) / (1 << 20), 1)});
  }
  std::cout << table.str() << "MBit: what is sent one way in a round, 32 bits a number. FLOPs: "
            << "one sample " << sample_text(blueprint, text_tokens) << ", matrix products. "
            << "Peak: an estimate for batches of " << batch_size << " and AdamW, float32. "
            << answers_text(blueprint) << ".\n";
}

models::Buffers parse_buffers(const std::string& name) {
  require_name("--buffers", name, models::buffers_choices().names());
  return models::buffers_choices().value(name);
}

models::Blueprint read_blueprint(const InspectArguments& arguments) {
  const std::filesystem::path folder = arguments.model;
  const models::Blueprint blueprint = peft::read_blueprint(folder);
  if (!arguments.config_only) peft::check_weights(folder, blueprint);
  return peft::with_methods(blueprint, peft::parse_methods(arguments.peft, "--peft"),
                            arguments.model);
}

}  // namespace

int run_inspect(const InspectArguments& arguments, const CommonArguments& common) {
  if (!arguments.always.empty() && arguments.plan.empty())
    throw InputError("--always is for --cost with a plan, which was not given");
  const models::Buffers buffers = parse_buffers(arguments.buffers);
  const models::Blueprint blueprint = read_blueprint(arguments);
  const models::Architecture& architecture = blueprint.architecture();
  const std::int64_t longest = architecture.text_tokens();
  if (longest == 0 && arguments.text_tokens > 0) {
    throw InputError("--text-tokens: found " + std::to_string(arguments.text_tokens) +
                     ", but a model of the type \"" + architecture.type() + "\" reads no text");
  }
  const std::int64_t text_tokens = arguments.text_tokens > 0 ? arguments.text_tokens : longest;
  if (text_tokens > longest) {
    throw InputError("--text-tokens: found " + std::to_string(arguments.text_tokens) +
                     ", but the model has max_position_embeddings = " + std::to_string(longest));
  }
  const std::vector<Unit> units =
      peft::scheme_units(blueprint, arguments.scheme, text_tokens, buffers);
  if (arguments.cost) {
    const auto rows = cost_rows(blueprint, units, text_tokens, buffers, arguments);
    if (common.json) {
      print_cost_json(rows, text_tokens, blueprint.architecture().labels().size(),
                      arguments.batch_size);
    } else if (!common.quiet) {
      print_cost_table(rows, blueprint, text_tokens, arguments.batch_size);
    }
  } else if (common.json) {
    print_json(units, text_tokens, blueprint.architecture().labels().size());
  } else if (!common.quiet) {
    print_table(units, blueprint, text_tokens);
  }
  return kExitDone;
}

}  // namespace strata::cli
