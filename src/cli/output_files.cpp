#include "cli/output_files.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "strata/core/atomic_file.h"
#include "strata/core/error.h"

namespace strata::cli {

namespace {

/// Absolute, because a relative path whose file is not there yet stays relative otherwise, and
/// without symbolic links where that can be told: a pipe behind /dev/stdout has no name.
std::filesystem::path plain_path(const std::string& path) {
  const auto absolute = std::filesystem::absolute(write_target(path));
  std::error_code error;
  const auto plain = std::filesystem::weakly_canonical(absolute, error);
  return error ? absolute : plain;
}

}  // namespace

void refuse_same_files(const std::vector<NamedFile>& inputs,
                       const std::vector<NamedFile>& outputs) {
  const auto refuse = [](const NamedFile& first, const NamedFile& second) {
    if (first.path.empty() || second.path.empty()) return;
    if (plain_path(first.path) == plain_path(second.path)) {
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
  const auto fail = [&](const char* reason) {
    throw WorkError(file.string() + ": cannot be written: " + reason);
  };
  std::error_code ignored;
  if (std::filesystem::is_directory(file, ignored)) fail("is a folder");
  if (std::filesystem::exists(file, ignored) && !std::filesystem::is_regular_file(file, ignored))
    fail("is no regular file");
  std::filesystem::path folder = std::filesystem::absolute(write_target(file)).parent_path();
  while (!std::filesystem::exists(folder, ignored) && folder.has_relative_path())
    folder = folder.parent_path();
  if (!std::filesystem::is_directory(folder, ignored)) fail(std::strerror(ENOTDIR));
  if (::access(folder.c_str(), W_OK | X_OK) != 0) fail(std::strerror(errno));
}

}  // namespace strata::cli
