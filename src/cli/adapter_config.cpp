#include "cli/adapter_config.h"

#include <algorithm>
#include <cctype>

#include "core/console.h"
#include "core/document.h"
#include "strata/core/error.h"

namespace strata {
namespace {

/// The first whole number between dots, or −1.
int layer_of(const std::string& unit) {
  for (std::size_t begin = 0; begin <= unit.size();) {
    const std::size_t end = std::min(unit.find('.', begin), unit.size());
    const std::string part = unit.substr(begin, end - begin);
    const bool number =
        !part.empty() && part.size() < 6 &&
        std::all_of(part.begin(), part.end(), [](unsigned char c) { return std::isdigit(c); });
    if (number) return std::stoi(part);
    begin = end + 1;
  }
  return -1;
}

/// LoraConfig's defaults on the attention of BERT-like models, ViLT among them.
Json default_config() {
  return {{"peft_type", "LORA"},
          {"base_model_name_or_path", nullptr},
          {"r", 8},
          {"lora_alpha", 8},
          {"lora_dropout", 0.0},
          {"bias", "none"},
          {"target_modules", {"query", "value"}},
          {"layers_pattern", "layer"}};
}

}  // namespace

std::vector<std::pair<std::filesystem::path, std::string>> adapter_configs(
    const Plan& plan, const std::filesystem::path& folder, const std::filesystem::path& template_,
    bool warn) {
  Json config = template_.empty() ? default_config() : load_json(template_).root;
  if (!config.is_object())
    throw InputError(template_.string() + ": a mapping was expected at the top");
  std::vector<std::pair<std::filesystem::path, std::string>> files;
  for (std::size_t i = 0; i < plan.clients.size(); ++i) {
    const std::string& client = plan.clients[i];
    if (client == "." || client == ".." || client.find('/') != std::string::npos)
      throw InputError("--adapters: the client \"" + client + "\" cannot name a folder");
    std::vector<int> layers;
    for (const auto& unit : plan.units_of(static_cast<int>(i))) {
      const int layer = layer_of(unit);
      if (layer < 0) {
        if (warn)
          log_warning("--adapters: client \"" + client + "\": the unit \"" + unit +
                      "\" has no layer number and is not in adapter_config.json");
      } else {
        layers.push_back(layer);
      }
    }
    std::sort(layers.begin(), layers.end());
    layers.erase(std::unique(layers.begin(), layers.end()), layers.end());
    const auto file = folder / client / "adapter_config.json";
    if (layers.empty()) {
      std::error_code unknown;
      if (warn)
        log_warning("--adapters: client \"" + client +
                    "\" trains no numbered layer and gets no file" +
                    (std::filesystem::exists(file, unknown)
                         ? "; " + file.string() + " is there from an earlier plan"
                         : ""));
      continue;
    }
    config["layers_to_transform"] = layers;
    files.emplace_back(file, config.dump(2) + "\n");
  }
  return files;
}

}  // namespace strata
