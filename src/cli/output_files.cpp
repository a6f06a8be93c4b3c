#include "cli/output_files.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "strata/core/error.h"

namespace strata {

void refuse_same_files(const std::vector<NamedFile>& inputs,
                       const std::vector<NamedFile>& outputs) {
  const auto refuse = [](const NamedFile& first, const NamedFile& second) {
    if (first.path.empty() || second.path.empty()) return;
    if (std::filesystem::weakly_canonical(first.path) ==
        std::filesystem::weakly_canonical(second.path)) {
      throw InputError(first.option + " and " + second.option +
                       " name the same file: " + second.path);
    }
  };
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    for (const NamedFile& input : inputs) refuse(input, outputs[i]);
    for (std::size_t j = 0; j < i; ++j) refuse(outputs[j], outputs[i]);
  }
}

void check_writable(const std::filesystem::path& file) {
  if (file.empty()) return;
  const auto fail = [&](int error) {
    throw WorkError(file.string() + ": cannot be written: " + std::strerror(error));
  };
  std::error_code ignored;
  if (std::filesystem::is_directory(file, ignored)) fail(EISDIR);
  std::filesystem::path folder = std::filesystem::absolute(file).parent_path();
  while (!std::filesystem::exists(folder, ignored) && folder.has_relative_path())
    folder = folder.parent_path();
  if (!std::filesystem::is_directory(folder, ignored)) fail(ENOTDIR);
  if (::access(folder.c_str(), W_OK | X_OK) != 0) fail(errno);
}

}  // namespace strata
