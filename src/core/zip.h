#pragma once
/// \file
/// The directory of a zip file, read strictly: what is in NumPy's .npz and in PyTorch's checkpoints
/// and where. Offsets and sizes as in PKWARE's APPNOTE.TXT 6.3, sections 4.3.7 to 4.3.16 and 4.5.3.
/// Internal.

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace strata {

/// The number in `count` bytes, at most 8, the least significant of them first. @throws
/// std::out_of_range: they are not all there.
std::uint64_t little_number(std::string_view bytes, std::size_t at, int count);

struct ZipEntry {
  std::string name;
  std::uint64_t offset = 0;  ///< of the data, from the file's begin
  std::uint64_t packed = 0;  ///< bytes in the file, all of them within it
  std::uint64_t size = 0;    ///< bytes unpacked: `packed` of a stored entry, at most 1032 as many
  std::uint32_t crc = 0;     ///< CRC-32 of the unpacked bytes, as the file says
  bool deflated = false;     ///< else stored
};

/// The entries in the order of the directory, of which several may have one name. Also of zip64.
/// Data that are not described here are not looked at. `kind` are the files that are expected, for
/// the error: ".npz files". @throws InputError: no zip file, damaged, encrypted, or compressed in
/// another way than deflate.
std::vector<ZipEntry> read_zip_directory(const std::filesystem::path& path,
                                         const std::string& kind);
/// The same of a file's bytes; `name` begins errors.
std::vector<ZipEntry> read_zip_directory(std::string_view bytes, const std::string& name,
                                         const std::string& kind);

}  // namespace strata
