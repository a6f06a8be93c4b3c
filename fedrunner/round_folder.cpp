#include "strata/fedrunner/round_folder.h"

namespace strata::fedrunner {

std::string round_number(int round) {
  const std::string digits = std::to_string(round);
  return std::string(digits.size() < 3 ? 3 - digits.size() : 0, '0') + digits;
}

std::filesystem::path round_folder(const std::filesystem::path& run_folder, int round) {
  return run_folder / "rounds" / round_number(round);
}

}  // namespace strata::fedrunner
