#include "data/npz.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <regex>

#include "strata/core/atomic_file.h"
#include "strata/core/error.h"

namespace strata::data {
namespace {

constexpr std::uint64_t kEndRecord = 22, kComment = 65535, kZip64Locator = 20;
constexpr std::size_t kChunk = 1 << 18;
/// numpy writes 128 bytes of header; more than this is no array of numbers.
constexpr std::uint64_t kMaxHeader = 4096;

std::uint64_t little(const std::string& bytes, std::size_t at, int count) {
  std::uint64_t value = 0;
  for (int i = count - 1; i >= 0; --i)
    value = value << 8 | static_cast<unsigned char>(bytes.at(at + static_cast<std::size_t>(i)));
  return value;
}

/// A zlib stream that is closed on every way out.
struct Inflater {
  z_stream stream = {};
  Inflater() { inflateInit2(&stream, -MAX_WBITS); }
  ~Inflater() { inflateEnd(&stream); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
};

/// An open file without a name.
class Scratch {
 public:
  Scratch() {
    const auto folder = temporary_folder();
    std::string name = (folder / "strata-npy-XXXXXX").string();
    file_ = mkstemp(name.data());
    if (file_ < 0) fail(folder.string());
    unlink(name.c_str());
  }
  ~Scratch() { close(file_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  void write(const std::uint8_t* data, std::size_t size) {
    while (size > 0) {
      const ssize_t written = ::write(file_, data, size);
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) fail(temporary_folder().string());
      data += written;
      size -= static_cast<std::size_t>(written);
      size_ += static_cast<std::size_t>(written);
    }
  }

  std::shared_ptr<const std::uint8_t> map(std::size_t skip) const {
    void* memory = mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file_, 0);
    if (memory == MAP_FAILED) fail(temporary_folder().string());
    const std::size_t size = size_;
    const std::shared_ptr<const std::uint8_t> whole(
        static_cast<const std::uint8_t*>(memory),
        [size](const std::uint8_t* data) { munmap(const_cast<std::uint8_t*>(data), size); });
    return {whole, whole.get() + skip};
  }

 private:
  [[noreturn]] static void fail(const std::string& folder) {
    throw WorkError(folder +
                    ": an array cannot be unpacked into a temporary file: " + std::strerror(errno));
  }
  int file_ = -1;
  std::size_t size_ = 0;
};

struct ZipDirectory {
  std::uint64_t count = 0;  ///< of its entries
  std::string bytes;
};

/// Reads the directory at the end of a zip file. Offsets and sizes as in PKWARE's APPNOTE.TXT 6.3,
/// sections 4.3.7 to 4.3.16 and 4.5.3.
class ZipReader {
 public:
  explicit ZipReader(const std::filesystem::path& path)
      : path_(path), file_(path, std::ios::binary) {
    if (!file_) fail("cannot be read");
    std::error_code error;
    size_ = std::filesystem::file_size(path, error);
    if (error) fail("cannot be read");
  }

  ZipDirectory directory() {
    const std::uint64_t tail_size = std::min(size_, kEndRecord + kComment);
    const std::string tail = bytes(size_ - tail_size, tail_size);
    const std::size_t end = tail.rfind("PK\x05\x06");
    if (end == std::string::npos || tail.size() - end < kEndRecord)
      fail("no zip file (no end of central directory), as .npz files are");
    std::uint64_t count = little(tail, end + 10, 2);
    std::uint64_t size = little(tail, end + 12, 4), offset = little(tail, end + 16, 4);
    if (count == 0xffff || size == 0xffffffff || offset == 0xffffffff) {
      const std::uint64_t end_at = size_ - tail_size + end;
      const std::string locator =
          bytes(end_at - std::min(end_at, kZip64Locator), std::min(end_at, kZip64Locator));
      if (locator.size() < kZip64Locator || locator.compare(0, 4, "PK\x06\x07") != 0)
        fail("damaged zip file: no zip64 locator");
      const std::string record = bytes(little(locator, 8, 8), 56);
      if (record.compare(0, 4, "PK\x06\x06") != 0) fail("damaged zip file: no zip64 record");
      count = little(record, 32, 8);
      size = little(record, 40, 8);
      offset = little(record, 48, 8);
    }
    return {count, bytes(offset, size)};
  }

  /// The array's name, without ".npy", and where it is, from the directory's entry number `number`
  /// (from 0) that begins at `at`, which is moved behind it.
  std::pair<std::string, ZipEntry> entry(const std::string& directory, std::uint64_t number,
                                         std::size_t& at) {
    constexpr std::size_t kFixed = 46;
    if (directory.size() - at < kFixed || directory.compare(at, 4, "PK\x01\x02") != 0)
      fail("damaged zip file: entry " + std::to_string(number + 1) + " of its directory");
    const std::uint64_t flags = little(directory, at + 8, 2),
                        method = little(directory, at + 10, 2);
    const std::size_t name_size = little(directory, at + 28, 2),
                      extra_size = little(directory, at + 30, 2),
                      comment_size = little(directory, at + 32, 2);
    if (directory.size() - at - kFixed < name_size + extra_size + comment_size)
      fail("damaged zip file: entry " + std::to_string(number + 1) + " of its directory");
    std::string name = directory.substr(at + kFixed, name_size);
    ZipEntry entry;
    entry.crc = static_cast<std::uint32_t>(little(directory, at + 16, 4));
    entry.packed = little(directory, at + 20, 4);
    entry.size = little(directory, at + 24, 4);
    entry.offset = little(directory, at + 42, 4);
    read_extra(directory.substr(at + kFixed + name_size, extra_size), name, entry);
    at += kFixed + name_size + extra_size + comment_size;

    if (name.size() < 5 || name.compare(name.size() - 4, 4, ".npy") != 0)
      fail("\"" + name + "\" in it is no .npy array");
    if (flags & 1) fail("\"" + name + "\" in it is encrypted");
    if (method != 0 && method != 8)
      fail("\"" + name + "\" in it is compressed by method " + std::to_string(method) +
           ", expected 0 (stored) or 8 (deflate)");
    entry.deflated = method == 8;
    find_data(name, entry);
    name.resize(name.size() - 4);
    return {name, entry};
  }

 private:
  /// zip64: sizes and the offset that do not fit into 32 bits.
  void read_extra(const std::string& extra, const std::string& name, ZipEntry& entry) const {
    for (std::size_t e = 0; e + 4 <= extra.size();) {
      const std::size_t length = little(extra, e + 2, 2);
      if (extra.size() - e - 4 < length) fail("damaged zip file: extra field of " + name);
      if (little(extra, e, 2) == 1) {
        std::size_t field = e + 4;
        for (std::uint64_t* value : {&entry.size, &entry.packed, &entry.offset})
          if (*value == 0xffffffff) {
            if (field + 8 > e + 4 + length) fail("damaged zip file: extra field of " + name);
            *value = little(extra, field, 8);
            field += 8;
          }
      }
      e += 4 + length;
    }
  }

  /// Moves the offset from the array's own header to its data.
  void find_data(const std::string& name, ZipEntry& entry) {
    const std::string local = bytes(entry.offset, 30);
    if (local.compare(0, 4, "PK\x03\x04") != 0) fail("damaged zip file: header of " + name);
    entry.offset += 30 + little(local, 26, 2) + little(local, 28, 2);
    if (entry.offset > size_ || entry.packed > size_ - entry.offset)
      fail("damaged zip file: it ends too early for " + name);
    // A deflated byte makes at most 1032: more is a forged size, that would fill the disk.
    if (entry.size > (entry.deflated ? entry.packed * 1032 : entry.packed))
      fail("damaged zip file: size of " + name);
  }

  std::string bytes(std::uint64_t offset, std::uint64_t count) {
    if (offset > size_ || count > size_ - offset) fail("damaged zip file: it ends too early");
    std::string out(count, '\0');
    file_.seekg(static_cast<std::streamoff>(offset));
    if (!file_.read(out.data(), static_cast<std::streamsize>(count))) fail("cannot be read");
    return out;
  }

  [[noreturn]] void fail(const std::string& message) const {
    throw InputError(path_.string() + ": " + message);
  }

  std::filesystem::path path_;
  std::ifstream file_;
  std::uint64_t size_ = 0;
};

}  // namespace

void NpzFile::fail(const std::string& message) const {
  throw InputError(path_.string() + ": " + message);
}

NpzFile::NpzFile(const std::filesystem::path& path) : path_(path) {
  ZipReader zip(path);
  const ZipDirectory directory = zip.directory();
  std::size_t at = 0;
  for (std::uint64_t i = 0; i < directory.count; ++i) {
    auto [name, entry] = zip.entry(directory.bytes, i, at);
    if (!entries_.emplace(name, entry).second) fail("two arrays \"" + name + "\" in it");
  }
}

const ZipEntry& NpzFile::entry(const std::string& array) const {
  const auto found = entries_.find(array);
  if (found == entries_.end()) {
    std::vector<std::string> names;
    for (const auto& [name, entry] : entries_) names.push_back(name);
    fail("no array \"" + array + "\" in it" + did_you_mean(array, names) + "; there are " +
         quoted_list(names));
  }
  return found->second;
}

/// Gives the first `limit` unpacked bytes to `sink(data, size)`, checked against the checksum when
/// these are all.
template <typename Sink>
void NpzFile::unpack(const std::string& array, std::uint64_t limit, Sink sink) const {
  const ZipEntry& entry = this->entry(array);
  const std::uint64_t wanted = std::min(limit, entry.size);
  std::ifstream file(path_, std::ios::binary);
  file.seekg(static_cast<std::streamoff>(entry.offset));
  std::vector<std::uint8_t> in(kChunk), out(kChunk);
  std::uint64_t left = entry.packed, done = 0;
  uLong crc = crc32(0, nullptr, 0);
  Inflater inflater;
  z_stream& stream = inflater.stream;
  int status = Z_OK;
  while (done < wanted) {
    if (stream.avail_in == 0 && left > 0) {
      const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(left, in.size()));
      if (!file.read(reinterpret_cast<char*>(in.data()), static_cast<std::streamsize>(count)))
        fail("cannot be read");
      left -= count;
      stream.next_in = in.data();
      stream.avail_in = static_cast<uInt>(count);
    }
    std::size_t count =
        static_cast<std::size_t>(std::min<std::uint64_t>(wanted - done, out.size()));
    if (entry.deflated) {
      stream.next_out = out.data();
      stream.avail_out = static_cast<uInt>(count);
      status = inflate(&stream, Z_NO_FLUSH);
      if (status != Z_OK && status != Z_STREAM_END)
        fail("the array \"" + array + "\" is damaged (" +
             (stream.msg ? stream.msg : "it ends too early") + ")");
      count -= stream.avail_out;
      if (status == Z_STREAM_END && done + count < wanted)
        fail("the array \"" + array + "\" is damaged (it ends too early)");
    } else {
      count = std::min<std::size_t>(count, stream.avail_in);
      std::copy_n(stream.next_in, count, out.data());
      stream.next_in += count;
      stream.avail_in -= static_cast<uInt>(count);
    }
    crc = crc32(crc, out.data(), static_cast<uInt>(count));
    sink(out.data(), count);
    done += count;
  }
  if (done == entry.size && crc != entry.crc)
    fail("the array \"" + array + "\" is damaged (its checksum is wrong)");
}

NpzFile::Header NpzFile::header(const std::string& array) const {
  std::string bytes;
  unpack(array, kMaxHeader, [&](const std::uint8_t* data, std::size_t size) {
    bytes.append(reinterpret_cast<const char*>(data), size);
  });
  const std::string where = "the array \"" + array + "\"";
  if (bytes.size() < 12 || bytes.compare(0, 6, "\x93NUMPY") != 0) fail(where + " is no .npy array");
  const int major = bytes[6];
  if (major < 1 || major > 3)
    fail(where + " has version " + std::to_string(major) + " of the .npy format, expected 1 to 3");
  const std::size_t start = major == 1 ? 10 : 12;
  const std::uint64_t length = little(bytes, 8, major == 1 ? 2 : 4);
  if (length > bytes.size() - start) fail(where + ": its header is damaged");
  Header header;
  header.size = start + length;
  const std::string text = bytes.substr(start, length);
  static const std::regex kHeader(
      R"(\{'descr': '([^']*)', 'fortran_order': (True|False), 'shape': \(([0-9, ]*)\),? ?\}\s*)");
  std::smatch match;
  if (!std::regex_match(text, match, kHeader)) fail(where + ": its header is damaged");
  if (match[1] != "|u1")
    fail(where + " is of type \"" + match[1].str() + "\", expected \"|u1\" (bytes)");
  if (match[2] != "False") fail(where + " is in Fortran order, expected C order");
  std::uint64_t count = 1;
  const std::uint64_t available = entry(array).size - header.size;
  const std::string shape = match[3];
  for (std::size_t at = 0; (at = shape.find_first_of("0123456789", at)) != std::string::npos;) {
    std::int64_t side = 0;
    const auto parsed = std::from_chars(shape.data() + at, shape.data() + shape.size(), side);
    if (parsed.ec != std::errc() ||
        (side > 0 && count > available / static_cast<std::uint64_t>(side)))
      fail(where + ": its shape (" + shape + ") needs more than its " + std::to_string(available) +
           " bytes");
    at = static_cast<std::size_t>(parsed.ptr - shape.data());
    count *= static_cast<std::uint64_t>(side);
    header.shape.push_back(side);
  }
  if (count != available)
    fail(where + ": its shape (" + shape + ") needs " + std::to_string(count) + " bytes, found " +
         std::to_string(available));
  return header;
}

std::vector<std::int64_t> NpzFile::shape(const std::string& array) const {
  return header(array).shape;
}

ByteArray NpzFile::read(const std::string& array) const {
  const Header header = this->header(array);
  Scratch scratch;
  unpack(array, entry(array).size,
         [&](const std::uint8_t* data, std::size_t size) { scratch.write(data, size); });
  return {header.shape, scratch.map(header.size)};
}

}  // namespace strata::data
