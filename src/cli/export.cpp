#include "peft/export.h"

#include <iostream>

#include "cli/command_line.h"
#include "cli/output_files.h"
#include "core/console.h"
#include "core/document.h"
#include "models/model.h"
#include "peft/files.h"
#include "peft/flap_checkpoint.h"
#include "strata/core/error.h"

namespace strata::cli {

namespace {

std::vector<peft::ExportedFile> export_changes(const ExportArguments& arguments) {
  const std::filesystem::path out = arguments.out;
  if (arguments.base.empty())
    throw InputError("--base: is needed, but where --out is a file FILE.pth");
  check_writable(out / "partial.safetensors");
  for (const std::string& folder : {arguments.model, arguments.base}) {
    std::error_code error;  // of a folder that is not there
    if (std::filesystem::equivalent(out, folder, error))
      throw InputError("--out: " + arguments.out + " is a model; name another folder");
  }
  return peft::export_changes(arguments.model, arguments.base, out);
}

/// The whole model in one file.
std::vector<peft::ExportedFile> export_checkpoint(const ExportArguments& arguments) {
  if (!arguments.base.empty())
    throw InputError("--base: " + arguments.out + " has the whole model, and needs no base");
  check_writable(arguments.out);
  return {peft::write_flap_checkpoint(peft::load_model(arguments.model), arguments.out)};
}

}  // namespace

int run_export(const ExportArguments& arguments, const CommonArguments& common) {
  const std::filesystem::path given = arguments.out;
  const bool whole = given.extension() == ".pth";
  const std::filesystem::path out = whole ? given.parent_path() : given;
  const auto files = whole ? export_checkpoint(arguments) : export_changes(arguments);
  if (common.json) {
    Json written = Json::array();
    for (const peft::ExportedFile& file : files) {
      written.push_back({{"file", file.file},
                         {"format", file.format},
                         {"tensors", file.tensors},
                         {"numbers", file.numbers}});
    }
    const Json root{{"version", 1},
                    {"model", arguments.model},
                    {"base", arguments.base},
                    {"out", arguments.out},
                    {"files", written}};
    std::cout << printable_json(root.dump(1)) << std::endl;
  } else if (!common.quiet) {
    TextTable table({"file", "format", "tensors", "numbers"});
    for (const peft::ExportedFile& file : files) {
      table.row({(out / file.file).string(), file.format, std::to_string(file.tensors),
                 std::to_string(file.numbers)});
    }
    std::cout << table.str() << std::flush;
  }
  return kExitDone;
}

}  // namespace strata::cli
