#include "peft/merge.h"

#include <iostream>

#include "cli/command_line.h"
#include "cli/output_files.h"
#include "core/console.h"
#include "core/document.h"
#include "models/tokenizer_files.h"
#include "peft/files.h"
#include "strata/core/error.h"

namespace strata::cli {

int run_merge(const MergeArguments& arguments, const CommonArguments& common) {
  const std::filesystem::path out = arguments.out;
  check_writable(out / "config.json");
  if (std::filesystem::exists(out) && std::filesystem::equivalent(out, arguments.model))
    throw InputError("--out: " + arguments.out + " is the model itself; name another folder");
  const models::Model model = peft::load_model(arguments.model);
  const auto tokenizer = models::load_tokenizer(model.architecture(), arguments.model);
  const models::Model plain = peft::merged(model, arguments.model);
  std::filesystem::create_directories(out);
  peft::save_model(plain, out);
  models::save_tokenizer(tokenizer, plain.architecture(), out);
  if (plain.architecture().speech()) models::copy_language(arguments.model, out);
  std::vector<std::string> methods;
  for (const auto& method : peft::methods_of(model.blueprint()))
    methods.push_back(peft::type_of(*method).plural);
  if (common.json) {
    const Json root{{"version", 1},
                    {"model", arguments.model},
                    {"out", arguments.out},
                    {"merged", methods},
                    {"parameters", plain.blueprint().parameter_count()}};
    std::cout << printable_json(root.dump(1)) << std::endl;
  } else if (!common.quiet) {
    TextTable table({"model", "weights", "merged"});
    std::string all;
    for (const std::string& name : methods) all += (all.empty() ? "" : ", ") + name;
    table.row({arguments.out, std::to_string(plain.blueprint().parameter_count()), all});
    std::cout << table.str() << std::flush;
  }
  return kExitDone;
}

}  // namespace strata::cli
