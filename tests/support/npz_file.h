#pragma once
// A .npz file as numpy.savez (stored) and numpy.savez_compressed (deflated) write it.

#include <zlib.h>

#include <cstdint>
#include <string>
#include <vector>

namespace strata::test {

struct NpyFile {
  std::string name;  ///< "train_images.npy"
  std::string bytes;
};

/// A .npy file of version 1.0; `shape` as Python prints it, "(2, 3)".
inline std::string npy(const std::string& shape, const std::string& data,
                       const std::string& type = "|u1", const std::string& order = "False") {
  std::string header =
      "{'descr': '" + type + "', 'fortran_order': " + order + ", 'shape': " + shape + ", }";
  while ((10 + header.size() + 1) % 64 != 0) header += ' ';
  header += '\n';
  std::string out("\x93NUMPY\x01\x00", 8);
  out += static_cast<char>(header.size() & 0xff);
  out += static_cast<char>(header.size() >> 8);
  return out + header + data;
}

inline std::string little(std::uint64_t value, int count) {
  std::string out;
  for (int i = 0; i < count; ++i) out += static_cast<char>(i < 8 ? value >> 8 * i & 0xff : 0);
  return out;
}

inline std::string deflated(const std::string& bytes) {
  z_stream stream = {};
  deflateInit2(&stream, 6, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&stream, bytes.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

/// @param zip64 writes sizes and offsets as numpy does for arrays beyond 4 GiB.
/// @param alignment of the data, which an extra field fills up to, as PyTorch does.
inline std::string npz(const std::vector<NpyFile>& files, bool compress, bool zip64 = false,
                       int method = -1, int flags = 0, std::size_t alignment = 1) {
  std::string body, directory;
  for (const NpyFile& file : files) {
    const std::string packed = compress ? deflated(file.bytes) : file.bytes;
    const auto crc = crc32(0, reinterpret_cast<const Bytef*>(file.bytes.data()),
                           static_cast<uInt>(file.bytes.size()));
    const std::uint64_t offset = body.size();
    const std::string extra = zip64 ? little(1, 2) + little(24, 2) + little(file.bytes.size(), 8) +
                                          little(packed.size(), 8) + little(offset, 8)
                                    : "";
    const std::string common =
        little(45, 2) + little(flags, 2) +
        little(method >= 0 ? method
               : compress  ? 8
                           : 0,
               2) +
        little(0, 4) + little(crc, 4) + little(zip64 ? 0xffffffff : packed.size(), 4) +
        little(zip64 ? 0xffffffff : file.bytes.size(), 4) + little(file.name.size(), 2);
    std::string padding;
    if (alignment > 1) {
      const std::size_t begin = offset + 30 + file.name.size() + 4;
      const std::size_t missing = (alignment - begin % alignment) % alignment;
      padding = "FB" + little(missing, 2) + std::string(missing, '\0');
    }
    body += "PK\x03\x04" + common + little(padding.size(), 2) + file.name + padding + packed;
    directory += "PK\x01\x02" + little(45, 2) + common + little(extra.size(), 2) + little(0, 10) +
                 little(zip64 ? 0xffffffff : offset, 4) + file.name + extra;
  }
  const std::uint64_t at = body.size();
  std::string end;
  if (zip64)
    end = "PK\x06\x06" + little(44, 8) + little(45, 2) + little(45, 2) + little(0, 8) +
          little(files.size(), 8) + little(files.size(), 8) + little(directory.size(), 8) +
          little(at, 8) + "PK\x06\x07" + little(0, 4) + little(at + directory.size(), 8) +
          little(1, 4);
  return body + directory + end + "PK\x05\x06" + little(0, 4) +
         little(zip64 ? 0xffff : files.size(), 2) + little(zip64 ? 0xffff : files.size(), 2) +
         little(zip64 ? 0xffffffff : directory.size(), 4) + little(zip64 ? 0xffffffff : at, 4) +
         little(0, 2);
}

}  // namespace strata::test
