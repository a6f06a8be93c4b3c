#include "cli/adapter_config.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "cli/unit_layers.h"
#include "core/console.h"
#include "core/document.h"
#include "core/plan.h"
#include "strata/core/error.h"

namespace strata::cli {
namespace {

/// LoraConfig's defaults on a family.
Json family_config(const AdapterFamily& family) {
  Json config = {{"peft_type", "LORA"},
                 {"base_model_name_or_path", nullptr},
                 {"r", 8},
                 {"lora_alpha", 8},
                 {"lora_dropout", 0.0},
                 {"bias", "none"},
                 {"fan_in_fan_out", family.fan_in_fan_out},
                 {"target_modules", family.target_modules},
                 {"layers_pattern", family.layers_pattern},
                 {"modules_to_save", nullptr},
                 {"task_type", nullptr}};
  if (!family.task_type.empty()) config["task_type"] = family.task_type;
  return config;
}

struct Trained {
  std::map<int, int> layers;  ///< and the rank of each
  bool head = false;
};

/// One rank a layer: PEFT is told the layer, not what of it a unit is.
void add_layer(const std::string& client, int layer, int rank, Trained& trained) {
  const auto [known, is_new] = trained.layers.emplace(layer, rank);
  if (!is_new && known->second != rank)
    throw InputError("--export peft: client \"" + client + "\": two units of layer " +
                     std::to_string(layer) + " have the ranks " + std::to_string(known->second) +
                     " and " + std::to_string(rank) + ", but " + kAdapterFile + " has one a layer");
}

Trained trained_by(const Plan& plan, int client, const AdapterConfigOptions& options) {
  Trained trained;
  const auto add = [&](const std::string& unit, int rank) {
    const int layer = layer_of(unit);
    if (options.family.layers && layer >= *options.family.layers) {
      throw InputError("--export peft: the unit \"" + unit + "\" is layer " +
                       std::to_string(layer) + ", but " + options.family.name +
                       " has the layers 0 to " + std::to_string(*options.family.layers - 1));
    }
    if (layer >= 0) {
      add_layer(plan.clients[client], layer, rank, trained);
    } else if (is_head(unit)) {
      trained.head = true;
    } else if (options.warn) {
      log_warning("--export peft: client \"" + plan.clients[client] + "\": the unit \"" + unit +
                  "\" has no layer number, is no head, and is not in " + kAdapterFile);
    }
  };
  each_unit(plan, plan.assignment, static_cast<std::size_t>(client), add);
  if (options.always) {
    for (const std::string& unit : plan.always) add(unit, plan.ranks);
  }
  return trained;
}

/// The ranks of a plan, of which the largest is `largest`. A pair's weight stays what the file says
/// it is of `r`, alpha / r or, of rsLoRA, alpha / √r, so that all clients' products are in one
/// scale.
void set_ranks(Json& config, const std::map<int, int>& layers, int largest) {
  const auto number = [&](const char* key) {
    if (!config[key].is_number() || !(config[key].get<double>() > 0))
      throw InputError(std::string("--export-template: ") + key + ": " + excerpt(config[key]) +
                       " is no number above 0");
    return config[key].get<double>();
  };
  const double alpha = number("lora_alpha"), rank = number("r");
  const bool root = config.value("use_rslora", false);
  const auto alpha_of = [&](int of) -> Json {
    const double value = alpha * (root ? std::sqrt(of / rank) : of / rank);
    const auto whole = static_cast<std::int64_t>(value);
    return static_cast<double>(whole) == value ? Json(whole) : Json(value);
  };
  config["r"] = largest;
  config["lora_alpha"] = alpha_of(largest);
  std::string stack;  // PEFT takes the keys for regular expressions
  for (const auto& name : config["layers_pattern"])
    stack += (stack.empty() ? "" : "|") + name.get<std::string>();
  for (const auto& [layer, of] : layers) {
    if (of == largest) continue;
    const std::string key = "(" + stack + ")\\." + std::to_string(layer) + "\\..*";
    config["rank_pattern"][key] = of;
    config["alpha_pattern"][key] = alpha_of(of);
  }
}

/// `config` for one client; its task is the family's own or one that was asked for.
std::string client_config(Json config, const Trained& trained, const AdapterFamily& family,
                          bool family_task) {
  config["inference_mode"] = false;
  config["layers_to_transform"] = Json::array();
  for (const auto& [layer, rank] : trained.layers) config["layers_to_transform"].push_back(layer);
  Json& saved = config["modules_to_save"];
  if (trained.head && saved.is_null()) saved = family.head;
  // PEFT trains the head of a model for one of these tasks whatever else the file says.
  static const std::set<std::string> trains_head = {"SEQ_CLS", "TOKEN_CLS", "QUESTION_ANS"};
  if (saved.is_null() && family_task && trains_head.count(family.task_type))
    config["task_type"] = nullptr;
  return config.dump(2) + "\n";
}

}  // namespace

std::vector<std::pair<std::filesystem::path, std::string>> adapter_configs(
    const Plan& plan, const std::filesystem::path& folder, const AdapterConfigOptions& options) {
  Json config = family_config(options.family);
  bool family_task = true;
  if (!options.config.empty()) {
    const Json theirs = load_json(options.config).root;
    if (!theirs.is_object())
      throw InputError(options.config.string() + ": a mapping was expected at the top");
    for (const auto& [key, value] : theirs.items()) config[key] = value;
    family_task = !theirs.contains("task_type");
  }
  std::vector<std::pair<std::filesystem::path, std::string>> files;
  for (std::size_t i = 0; i < plan.clients.size(); ++i) {
    const std::string& client = plan.clients[i];
    if (client == "." || client == ".." || client.find('/') != std::string::npos)
      throw InputError("--export peft: the client \"" + client + "\" cannot name a folder");
    const Trained trained = trained_by(plan, static_cast<int>(i), options);
    if (!trained.layers.empty()) {
      Json own = config;
      if (plan.has_ranks()) set_ranks(own, trained.layers, plan.ranks);
      files.emplace_back(folder / client / kAdapterFile,
                         client_config(std::move(own), trained, options.family, family_task));
    } else if (options.warn) {
      log_warning("--export peft: client \"" + client +
                  "\" trains no numbered layer and gets no file, as PEFT would train all of them");
    }
  }
  return files;
}

void refuse_former_clients(const std::filesystem::path& folder, const std::string& file,
                           const std::vector<std::string>& clients) {
  const std::set<std::string> present(clients.begin(), clients.end());
  std::error_code none;
  std::vector<std::string> former;
  for (const auto& entry : std::filesystem::directory_iterator(folder, none)) {
    const std::string client = entry.path().filename().string();
    if (!present.count(client) && std::filesystem::exists(entry.path() / file, none))
      former.push_back(client);
  }
  if (former.empty()) return;
  std::sort(former.begin(), former.end());
  throw InputError("--export: " + folder.string() + " has " + file + " of " + quoted_list(former) +
                   ", to whom this plan gives none; take an empty folder, or remove them");
}

}  // namespace strata::cli
