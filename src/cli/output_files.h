#pragma once
/// \file
/// Checks of where results will go, before the work whose results they are.

#include <filesystem>
#include <string>
#include <vector>

namespace strata::cli {

/// An option and the file it names; "" where it was not given.
struct NamedFile {
  std::string option, path;
};

/// @throws InputError if an output is also an input, or two outputs are one file, whatever the
/// spelling. Inputs may be the same.
void refuse_same_files(const std::vector<NamedFile>& inputs, const std::vector<NamedFile>& outputs);

/// Whether `file` can be written, as far as that can be known without writing: it is no folder
/// and no device, and the nearest folder on its way that is there may be written to. "" is no file.
/// @throws WorkError naming what is in the way.
void check_writable(const std::filesystem::path& file);

}  // namespace strata::cli
