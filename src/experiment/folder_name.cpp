#include "experiment/folder_name.h"

namespace strata::experiment {

bool names_folder(const std::string& name, const std::string& also) {
  const std::string plain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-" + also;
  return !name.empty() && name.front() != '.' && name.find_first_not_of(plain) == std::string::npos;
}

}  // namespace strata::experiment
