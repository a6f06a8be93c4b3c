#include "core/zip.h"

#include <algorithm>
#include <fstream>
#include <functional>
#include <utility>

#include "strata/core/error.h"

namespace strata {
namespace {

constexpr std::uint64_t kEndRecord = 22, kComment = 65535, kZip64Locator = 20;

/// `count` bytes at an offset, all of them in the file.
using ReadAt = std::function<std::string(std::uint64_t offset, std::uint64_t count)>;

class ZipReader {
 public:
  ZipReader(std::string file, std::uint64_t size, ReadAt read)
      : file_(std::move(file)), size_(size), read_(std::move(read)) {}

  std::vector<ZipEntry> entries(const std::string& kind) {
    const auto [count, directory] = find_directory(kind);
    std::vector<ZipEntry> entries;
    std::size_t at = 0;
    for (std::uint64_t i = 0; i < count; ++i) entries.push_back(entry(directory, i, at));
    return entries;
  }

 private:
  /// How many entries it has, and its bytes.
  std::pair<std::uint64_t, std::string> find_directory(const std::string& kind) {
    const std::uint64_t tail_size = std::min(size_, kEndRecord + kComment);
    const std::string tail = bytes(size_ - tail_size, tail_size);
    const std::size_t end = tail.rfind("PK\x05\x06");
    if (end == std::string::npos || tail.size() - end < kEndRecord)
      fail("no zip file (no end of central directory), as " + kind + " are");
    std::uint64_t count = little_number(tail, end + 10, 2);
    std::uint64_t size = little_number(tail, end + 12, 4),
                  offset = little_number(tail, end + 16, 4);
    if (count == 0xffff || size == 0xffffffff || offset == 0xffffffff) {
      const std::uint64_t end_at = size_ - tail_size + end;
      const std::string locator =
          bytes(end_at - std::min(end_at, kZip64Locator), std::min(end_at, kZip64Locator));
      if (locator.size() < kZip64Locator || locator.compare(0, 4, "PK\x06\x07") != 0)
        fail("damaged zip file: no zip64 locator");
      const std::string record = bytes(little_number(locator, 8, 8), 56);
      if (record.compare(0, 4, "PK\x06\x06") != 0) fail("damaged zip file: no zip64 record");
      count = little_number(record, 32, 8);
      size = little_number(record, 40, 8);
      offset = little_number(record, 48, 8);
    }
    return {count, bytes(offset, size)};
  }

  /// The directory's entry number `number` (from 0), which begins at `at`; that is moved behind it.
  ZipEntry entry(const std::string& directory, std::uint64_t number, std::size_t& at) {
    constexpr std::size_t kFixed = 46;
    const auto require = [&](bool holds) {
      if (!holds)
        fail("damaged zip file: entry " + std::to_string(number + 1) + " of its directory");
    };
    require(directory.size() - at >= kFixed && directory.compare(at, 4, "PK\x01\x02") == 0);
    const std::uint64_t flags = little_number(directory, at + 8, 2),
                        method = little_number(directory, at + 10, 2);
    const std::size_t name_size = little_number(directory, at + 28, 2),
                      extra_size = little_number(directory, at + 30, 2),
                      comment_size = little_number(directory, at + 32, 2);
    require(directory.size() - at - kFixed >= name_size + extra_size + comment_size);
    ZipEntry entry;
    entry.name = directory.substr(at + kFixed, name_size);
    entry.crc = static_cast<std::uint32_t>(little_number(directory, at + 16, 4));
    entry.packed = little_number(directory, at + 20, 4);
    entry.size = little_number(directory, at + 24, 4);
    entry.offset = little_number(directory, at + 42, 4);
    read_extra(directory.substr(at + kFixed + name_size, extra_size), entry);
    at += kFixed + name_size + extra_size + comment_size;

    if (flags & 1) fail("\"" + entry.name + "\" in it is encrypted");
    if (method != 0 && method != 8)
      fail("\"" + entry.name + "\" in it is compressed by method " + std::to_string(method) +
           ", expected 0 (stored) or 8 (deflate)");
    entry.deflated = method == 8;
    find_data(entry);
    return entry;
  }

  /// zip64: sizes and the offset that do not fit into 32 bits.
  void read_extra(const std::string& extra, ZipEntry& entry) const {
    for (std::size_t e = 0; e + 4 <= extra.size();) {
      const std::size_t length = little_number(extra, e + 2, 2);
      if (extra.size() - e - 4 < length) fail("damaged zip file: extra field of " + entry.name);
      if (little_number(extra, e, 2) == 1) {
        std::size_t field = e + 4;
        for (std::uint64_t* value : {&entry.size, &entry.packed, &entry.offset})
          if (*value == 0xffffffff) {
            if (field + 8 > e + 4 + length) fail("damaged zip file: extra field of " + entry.name);
            *value = little_number(extra, field, 8);
            field += 8;
          }
      }
      e += 4 + length;
    }
  }

  /// Moves the offset from the entry's own header to its data.
  void find_data(ZipEntry& entry) {
    const std::string local = bytes(entry.offset, 30);
    if (local.compare(0, 4, "PK\x03\x04") != 0) fail("damaged zip file: header of " + entry.name);
    entry.offset += 30 + little_number(local, 26, 2) + little_number(local, 28, 2);
    if (entry.offset > size_ || entry.packed > size_ - entry.offset)
      fail("damaged zip file: it ends too early for " + entry.name);
    // A deflated byte makes at most 1032: more is a forged size, that would fill the disk.
    if (entry.deflated ? entry.size > entry.packed * 1032 : entry.size != entry.packed)
      fail("damaged zip file: size of " + entry.name);
  }

  std::string bytes(std::uint64_t offset, std::uint64_t count) {
    if (offset > size_ || count > size_ - offset) fail("damaged zip file: it ends too early");
    return read_(offset, count);
  }

  [[noreturn]] void fail(const std::string& message) const {
    throw InputError(file_ + ": " + message);
  }

  std::string file_;
  std::uint64_t size_;
  ReadAt read_;
};

}  // namespace

std::uint64_t little_number(std::string_view bytes, std::size_t at, int count) {
  std::uint64_t value = 0;
  for (int i = count - 1; i >= 0; --i)
    value = value << 8 | static_cast<unsigned char>(bytes.at(at + static_cast<std::size_t>(i)));
  return value;
}

std::vector<ZipEntry> read_zip_directory(const std::filesystem::path& path,
                                         const std::string& kind) {
  std::ifstream file(path, std::ios::binary);
  std::error_code error;
  const std::uint64_t size = std::filesystem::file_size(path, error);
  if (!file || error) throw InputError(path.string() + ": cannot be read");
  const auto read = [&](std::uint64_t offset, std::uint64_t count) {
    std::string out(count, '\0');
    file.seekg(static_cast<std::streamoff>(offset));
    if (!file.read(out.data(), static_cast<std::streamsize>(count)))
      throw InputError(path.string() + ": cannot be read");
    return out;
  };
  return ZipReader(path.string(), size, read).entries(kind);
}

std::vector<ZipEntry> read_zip_directory(std::string_view bytes, const std::string& name,
                                         const std::string& kind) {
  const auto read = [&](std::uint64_t offset, std::uint64_t count) {
    return std::string(bytes.substr(offset, count));
  };
  return ZipReader(name, bytes.size(), read).entries(kind);
}

}  // namespace strata
