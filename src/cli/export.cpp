#include "peft/export.h"

#include <iostream>

#include "cli/command_line.h"
#include "cli/output_files.h"
#include "core/console.h"
#include "core/document.h"
#include "strata/core/error.h"

namespace strata::cli {

int run_export(const ExportArguments& arguments, const CommonArguments& common) {
  const std::filesystem::path out = arguments.out;
  check_writable(out / "partial.safetensors");
  for (const std::string& folder : {arguments.model, arguments.base}) {
    std::error_code error;  // of a folder that is not there
    if (std::filesystem::equivalent(out, folder, error))
      throw InputError("--out: " + arguments.out + " is a model; name another folder");
  }
  const auto files = peft::export_changes(arguments.model, arguments.base, out);
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
