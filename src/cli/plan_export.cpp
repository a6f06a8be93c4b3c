#include "cli/plan_export.h"

#include <algorithm>

#include "cli/trained_weights.h"
#include "cli/unit_layers.h"
#include "core/document.h"
#include "strata/core/error.h"

namespace strata::cli {
namespace {

using Files = std::vector<std::pair<std::filesystem::path, std::string>>;

constexpr const char* kUnfrozenFile = "unfrozen_parameters.yaml";

/// Text that YAML takes for itself and Spectrum's readers, which split lines, do, too.
bool is_plain(const std::string& pattern) {
  return std::all_of(pattern.begin(), pattern.end(), [](unsigned char c) {
    return std::isalnum(c) ||
           std::string("^$.[]()?+*|_-\\/").find(static_cast<char>(c)) != std::string::npos;
  });
}

std::string unfrozen_yaml(const std::vector<std::string>& patterns) {
  std::string text = "unfrozen_parameters:";
  if (patterns.empty()) return text + " []\n";
  for (const auto& pattern : patterns)
    text += "\n- " + (is_plain(pattern) ? pattern : Json(pattern).dump());
  return text + "\n";
}

Files unfrozen_files(const Plan& plan, const std::filesystem::path& folder,
                     const std::string& model) {
  const auto trained = trained_weights(plan, model);
  Files files;
  for (std::size_t i = 0; i < plan.clients.size(); ++i)
    files.emplace_back(folder / plan.clients[i] / kUnfrozenFile, unfrozen_yaml(trained[i]));
  return files;
}

Files requires_grad_file(const Plan& plan, const std::filesystem::path& file,
                         const std::string& model) {
  const auto trained = trained_weights(plan, model);
  Json clients = Json::object();
  for (std::size_t i = 0; i < plan.clients.size(); ++i) clients[plan.clients[i]] = trained[i];
  return {{file, Json{{"version", 1}, {"clients", clients}}.dump(1) + "\n"}};
}

Files peft_files(const Plan& plan, const std::filesystem::path& folder,
                 const AdapterConfigOptions& options) {
  require_one_tower(plan.units, "--export peft",
                    "PEFT is told numbers alone, but by plan.peft_config of the Python package");
  Files files = adapter_configs(plan, folder, options);
  std::vector<std::string> clients;
  for (const auto& file : files) clients.push_back(file.first.parent_path().filename().string());
  refuse_former_clients(folder, kAdapterFile, clients);
  return files;
}

/// Of the kinds that write a file a client.
const char* file_of(ExportKind kind) {
  return kind == ExportKind::kPeft ? kAdapterFile
                                   : (kind == ExportKind::kUnfrozen ? kUnfrozenFile : nullptr);
}

}  // namespace

PlanExport parse_export(const std::string& text) {
  const std::vector<std::string> names = {"peft", "unfrozen", "requires_grad"};
  const std::size_t colon = text.find(':');
  const std::string name = text.substr(0, colon);
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end() || colon == std::string::npos || colon + 1 == text.size())
    throw InputError("--export: found \"" + text + "\"" +
                     (found == names.end() ? did_you_mean(name, names) : "") +
                     "; allowed are peft:DIR, unfrozen:DIR and requires_grad:FILE");
  return {static_cast<ExportKind>(found - names.begin()), text.substr(colon + 1)};
}

void check_exports(const std::vector<PlanExport>& exports,
                   const std::vector<std::string>& clients) {
  for (std::size_t i = 0; i < exports.size(); ++i) {
    const PlanExport& to = exports[i];
    const char* file = file_of(to.kind);
    if (!file) continue;
    for (std::size_t j = 0; j < i; ++j)
      if (exports[j].kind == to.kind && exports[j].path == to.path)
        throw InputError("--export: two are to write " + std::string(file) + " in " +
                         to.path.string());
    for (const std::string& client : clients)
      if (client == "." || client == ".." || client.find('/') != std::string::npos)
        throw InputError("--export: the client \"" + client + "\" cannot name a folder");
    refuse_former_clients(to.path, file, clients);
  }
}

Files export_files(const Plan& plan, const std::vector<PlanExport>& exports,
                   const std::string& model, const AdapterConfigOptions& adapters) {
  Files files;
  for (const PlanExport& to : exports) {
    Files more;
    if (to.kind == ExportKind::kPeft) more = peft_files(plan, to.path, adapters);
    if (to.kind == ExportKind::kUnfrozen) more = unfrozen_files(plan, to.path, model);
    if (to.kind == ExportKind::kRequiresGrad) more = requires_grad_file(plan, to.path, model);
    std::move(more.begin(), more.end(), std::back_inserter(files));
  }
  return files;
}

}  // namespace strata::cli
