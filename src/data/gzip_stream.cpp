#include "data/gzip_stream.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <stdexcept>

#include "strata/core/error.h"

namespace strata::data {
namespace {

constexpr std::size_t kPackedPiece = std::size_t{1} << 16;
constexpr int kGzipWindow = 15 + 16;  // zlib: the largest window, with gzip's header and trailer
constexpr unsigned char kGzipMagic[] = {0x1f, 0x8b};

bool begins_member(const char* bytes) {
  return static_cast<unsigned char>(bytes[0]) == kGzipMagic[0] &&
         static_cast<unsigned char>(bytes[1]) == kGzipMagic[1];
}

void append_little_endian(std::string& out, std::uint32_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i) & 0xff);
}

/// Blocks of deflate that hold their bytes as they are (RFC 1951, 3.2.4).
void append_stored_blocks(std::string& out, std::string_view bytes) {
  constexpr std::size_t kMostStored = 65535;
  std::size_t done = 0;
  do {
    const std::string_view block = bytes.substr(done, kMostStored);
    done += block.size();
    out += static_cast<char>(done == bytes.size());
    const auto size = static_cast<std::uint32_t>(block.size());
    append_little_endian(out, size, 2);
    append_little_endian(out, ~size, 2);
    out += block;
  } while (done < bytes.size());
}

void append_deflated(std::string& out, std::string_view bytes) {
  z_stream packing{};
  if (deflateInit2(&packing, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -MAX_WBITS, 8,
                   Z_DEFAULT_STRATEGY) != Z_OK)
    throw std::bad_alloc();
  const std::unique_ptr<z_stream, int (*)(z_stream*)> end(&packing, deflateEnd);
  std::array<char, kPackedPiece> piece;
  std::size_t given = 0;
  int status = Z_OK;
  while (status != Z_STREAM_END) {
    if (packing.avail_in == 0) {
      const std::size_t next = std::min<std::size_t>(bytes.size() - given, 1U << 30);
      packing.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data() + given));
      packing.avail_in = static_cast<uInt>(next);
      given += next;
    }
    packing.next_out = reinterpret_cast<Bytef*>(piece.data());
    packing.avail_out = static_cast<uInt>(piece.size());
    status = deflate(&packing, given == bytes.size() ? Z_FINISH : Z_NO_FLUSH);
    if (status == Z_STREAM_ERROR) throw std::logic_error("deflate");
    out.append(piece.data(), piece.size() - packing.avail_out);
  }
}

}  // namespace

struct GzipStream::Unpacking {
  z_stream zlib{};
  std::array<char, kPackedPiece> packed;
  bool ended = false;  ///< the member; another may follow

  Unpacking() {
    if (inflateInit2(&zlib, kGzipWindow) != Z_OK) throw std::bad_alloc();
  }
  ~Unpacking() { inflateEnd(&zlib); }

  /// More bytes of the file behind those that are left. False where there are none.
  bool fill(std::istream& in) {
    std::copy(zlib.next_in, zlib.next_in + zlib.avail_in, reinterpret_cast<Bytef*>(packed.data()));
    zlib.next_in = reinterpret_cast<Bytef*>(packed.data());
    in.read(packed.data() + zlib.avail_in,
            static_cast<std::streamsize>(packed.size() - zlib.avail_in));
    zlib.avail_in += static_cast<uInt>(in.gcount());
    return in.gcount() > 0;
  }
};

GzipStream::GzipStream(std::istream& in, std::string name) : in_(in), name_(std::move(name)) {
  std::array<char, 2> first{};
  in_.read(first.data(), first.size());
  const bool packed = in_.gcount() == 2 && begins_member(first.data());
  in_.clear();
  in_.seekg(0);
  if (packed) unpacking_ = std::make_unique<Unpacking>();
}

GzipStream::~GzipStream() = default;

std::size_t GzipStream::read_plain(char* to, std::size_t count) {
  in_.read(to, static_cast<std::streamsize>(count));
  return static_cast<std::size_t>(in_.gcount());
}

std::size_t GzipStream::read(char* to, std::size_t count) {
  if (!unpacking_) return read_plain(to, count);
  z_stream& zlib = unpacking_->zlib;
  std::size_t done = 0;
  while (done < count) {
    if (unpacking_->ended) {
      if (zlib.avail_in < 2) unpacking_->fill(in_);
      if (zlib.avail_in == 0) return done;
      if (zlib.avail_in < 2 || !begins_member(reinterpret_cast<const char*>(zlib.next_in)))
        throw InputError(name_ + ": the packed file goes on behind its end");
      inflateReset(&zlib);
      unpacking_->ended = false;
    }
    if (zlib.avail_in == 0 && !unpacking_->fill(in_))
      throw InputError(name_ + ": the packed file ends too early; it is cut off");
    const auto room = static_cast<uInt>(std::min<std::size_t>(count - done, 1U << 30));
    zlib.next_out = reinterpret_cast<Bytef*>(to + done);
    zlib.avail_out = room;
    const int status = inflate(&zlib, Z_NO_FLUSH);
    done += room - zlib.avail_out;
    if (status == Z_STREAM_END)
      unpacking_->ended = true;
    else if (status != Z_OK && status != Z_BUF_ERROR)
      throw InputError(name_ + ": the packed file is damaged (" +
                       (zlib.msg ? zlib.msg : "zlib " + std::to_string(status)) + ")");
  }
  return done;
}

std::string gzip_file(std::string_view bytes, bool packed) {
  // No time, no name, no system: RFC 1952, 2.3.
  std::string out("\x1f\x8b\x08\0\0\0\0\0\0\xff", 10);
  if (packed)
    append_deflated(out, bytes);
  else
    append_stored_blocks(out, bytes);
  uLong crc = crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size());
  append_little_endian(out, static_cast<std::uint32_t>(crc), 4);
  append_little_endian(out, static_cast<std::uint32_t>(bytes.size()), 4);
  return out;
}

}  // namespace strata::data
