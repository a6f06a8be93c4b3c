#include "data/made_set.h"

#include "strata/core/atomic_file.h"
#include "strata/core/error.h"

namespace strata::data {

void check_made(const std::string& what, int value, int low, int high) {
  if (value < low || value > high)
    throw InputError(what + " is " + std::to_string(value) + ", expected " + std::to_string(low) +
                     " to " + std::to_string(high));
}

void check_made_folder(const std::filesystem::path& out, const std::string& set,
                       const std::string& description) {
  namespace fs = std::filesystem;
  if (!fs::exists(out)) return;
  if (!fs::is_directory(out)) throw InputError(out.string() + ": is a file, not a folder");
  if (fs::is_empty(out)) return;
  const fs::path file = out / "dataset.json";
  if (!fs::exists(file))
    throw InputError(out.string() + ": the folder is not empty and holds no " + set +
                     "; choose another");
  if (read_file(file) != description)
    throw InputError(file.string() + ": the folder holds another data set or the " + set +
                     " with other options; choose another folder or the same options");
}

}  // namespace strata::data
