#pragma once
/// \file
/// `strata plan --export KIND:PATH`: a plan in the files of other tools.

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "cli/adapter_config.h"
#include "strata/core/plan.h"

namespace strata::cli {

enum class ExportKind : std::uint8_t {
  kPeft,         ///< DIR/CLIENT/adapter_config.json (adapter_config.h)
  kUnfrozen,     ///< DIR/CLIENT/unfrozen_parameters.yaml, of axolotl and Spectrum
  kRequiresGrad  ///< one JSON file, clients to patterns of parameters' names
};

struct PlanExport {
  ExportKind kind;
  std::filesystem::path path;
};

/// "peft:DIR", "unfrozen:DIR" or "requires_grad:FILE". @throws InputError
PlanExport parse_export(const std::string& text);

/// Before the search, which may take long: a client whose name cannot be a folder's, two exports of
/// a kind to one folder, files of earlier clients. @throws InputError
void check_exports(const std::vector<PlanExport>& exports, const std::vector<std::string>& clients);

/// The files of all exports. `model` is --export-model, of which unfrozen and requires_grad take
/// the weights' names (trained_weights.h).
/// @throws InputError as adapter_configs and trained_weights; where the folder has such a file of a
/// client that gets none, who would train by an earlier plan.
std::vector<std::pair<std::filesystem::path, std::string>> export_files(
    const Plan& plan, const std::vector<PlanExport>& exports, const std::string& model,
    const AdapterConfigOptions& adapters);

}  // namespace strata::cli
