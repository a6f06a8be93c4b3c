// The readers of YAML of a build without yaml-cpp, as the Python module is.

#include "core/yaml_document.h"
#include "strata/core/error.h"

namespace strata {
namespace {

[[noreturn]] void refuse_yaml(const std::string& source) {
  throw InputError(source + ": this Strata was built without yaml-cpp and reads JSON alone");
}

}  // namespace

Document load_yaml(const std::filesystem::path& path) {
  refuse_yaml(path.string());
}

Document parse_yaml(const std::string&, const std::string& file) {
  refuse_yaml(file);
}

Json parse_yaml_value(const std::string&, const std::string& source) {
  refuse_yaml(source);
}

}  // namespace strata
