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

constexpr std::size_t kChunk = 1 << 18;
/// numpy writes 128 bytes of header; more than this is no array of numbers.
constexpr std::uint64_t kMaxHeader = 4096;

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

}  // namespace

void NpzFile::fail(const std::string& message) const {
  throw InputError(path_.string() + ": " + message);
}

NpzFile::NpzFile(const std::filesystem::path& path) : path_(path) {
  for (ZipEntry& entry : read_zip_directory(path, ".npz files")) {
    if (entry.name.size() < 5 || !entry.name.ends_with(".npy"))
      fail("\"" + entry.name + "\" in it is no .npy array");
    const std::string name = entry.name.substr(0, entry.name.size() - 4);
    if (!entries_.emplace(name, std::move(entry)).second) fail("two arrays \"" + name + "\" in it");
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
  const std::uint64_t length = little_number(bytes, 8, major == 1 ? 2 : 4);
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
