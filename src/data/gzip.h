#pragma once
/// \file
/// Files that are published packed by gzip (RFC 1952). Internal.

#include <filesystem>
#include <string>

namespace strata::data {

/// The file, or what it has packed: a file that is not packed is taken as it is.
/// @throws InputError naming the file: unreadable, damaged, more than 1 GiB unpacked
std::string read_gzip(const std::filesystem::path& file);

}  // namespace strata::data
