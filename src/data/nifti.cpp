#include "data/nifti.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>

#include "core/text.h"
#include "data/gzip_stream.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"

namespace strata::data {
namespace {

constexpr std::size_t kVoxelPiece = std::size_t{1} << 17;

template <typename Stored>
double stored_number(const char* at, bool swapped) {
  std::array<char, sizeof(Stored)> raw;
  std::memcpy(raw.data(), at, raw.size());
  if (swapped) std::reverse(raw.begin(), raw.end());
  return static_cast<double>(std::bit_cast<Stored>(raw));
}

using StoredNumber = double (*)(const char* at, bool swapped);

StoredNumber reader_of(VoxelType type) {
  switch (type) {
    case VoxelType::kUint8:
      return stored_number<std::uint8_t>;
    case VoxelType::kInt16:
      return stored_number<std::int16_t>;
    case VoxelType::kInt32:
      return stored_number<std::int32_t>;
    case VoxelType::kFloat32:
      return stored_number<float>;
    case VoxelType::kFloat64:
      return stored_number<double>;
    case VoxelType::kInt8:
      return stored_number<std::int8_t>;
    case VoxelType::kUint16:
      return stored_number<std::uint16_t>;
    case VoxelType::kUint32:
      return stored_number<std::uint32_t>;
    case VoxelType::kInt64:
      return stored_number<std::int64_t>;
    case VoxelType::kUint64:
      return stored_number<std::uint64_t>;
  }
  return nullptr;
}

std::string value_text(double value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.9g", value);
  return text.data();
}

/// A file's header, then its voxels.
class NiftiStream {
 public:
  NiftiStream(std::istream& in, std::string file) : file_(std::move(file)), bytes_(in, file_) {
    std::string first(kMostHeaderBytes, '\0');
    first.resize(bytes_.read(first.data(), first.size()));
    header_ = parse_nifti_header(first, file_);
    // What has been read of the voxels, or of extensions before them.
    ahead_ = first.substr(std::min(first.size(), header_.voxel_offset));
    skip(header_.voxel_offset - std::min(first.size(), header_.voxel_offset));
  }

  const NiftiHeader& header() const { return header_; }

  /// Calls use(place, value) for every voxel in turn. @throws InputError: too few bytes, or more.
  template <typename Use>
  void each_voxel(Use use) {
    const std::size_t width = bytes_of(header_.type), voxels = header_.grid.voxels();
    const StoredNumber number = reader_of(header_.type);
    std::string piece;
    for (std::size_t done = 0; done < voxels;) {
      const std::size_t count = std::min(kVoxelPiece, voxels - done);
      piece.resize(count * width);
      const std::size_t got = next(piece.data(), piece.size());
      if (got < piece.size())
        fail("ends after " + std::to_string(done + got / width) + " of " + std::to_string(voxels) +
             " voxels; it is cut off");
      for (std::size_t i = 0; i < count; ++i) {
        const double stored = number(piece.data() + i * width, header_.swapped);
        use(done + i, header_.slope * stored + header_.intercept);
      }
      done += count;
    }
    char further = 0;
    if (next(&further, 1) > 0) fail("goes on behind its " + std::to_string(voxels) + " voxels");
  }

  void check_finite(std::size_t place, double value) const {
    if (!(std::abs(value) <= std::numeric_limits<float>::max()))
      fail("voxel " + voxel_text(header_.grid, place) + " is " + value_text(value) +
           ", expected a finite number");
  }

  [[noreturn]] void fail(const std::string& message) const {
    throw InputError(file_ + ": " + message);
  }

 private:
  std::size_t next(char* to, std::size_t count) {
    const std::size_t known = std::min(count, ahead_.size());
    std::copy_n(ahead_.data(), known, to);
    ahead_.erase(0, known);
    return known + (known < count ? bytes_.read(to + known, count - known) : 0);
  }
  void skip(std::size_t count) {
    std::string piece;
    while (count > 0) {
      piece.resize(std::min(count, kVoxelPiece));
      if (bytes_.read(piece.data(), piece.size()) < piece.size())
        fail("ends before its voxels; it is cut off");
      count -= piece.size();
    }
  }

  std::string file_;
  GzipStream bytes_;
  std::string ahead_;
  NiftiHeader header_;
};

std::ifstream opened(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!std::filesystem::exists(path)) throw InputError(path.string() + ": no such file");
  if (std::filesystem::is_directory(path) || !in)
    throw InputError(path.string() + ": cannot be read");
  return in;
}

template <typename Stored>
void append_number(std::string& bytes, const Volume& volume, std::size_t place,
                   const std::string& file) {
  const float value = volume.values[place];
  if constexpr (std::is_integral_v<Stored>) {
    const double low = static_cast<double>(std::numeric_limits<Stored>::min());
    // The largest 64-bit numbers are no doubles: what follows them is one.
    const double above = std::ldexp(1.0, std::numeric_limits<Stored>::digits);
    if (!(value >= low && value < above && value == std::floor(value)))
      throw InputError(file + ": voxel " + voxel_text(volume, place) + " is " + value_text(value) +
                       ", which the type of the file cannot hold");
  }
  const auto stored = static_cast<Stored>(value);
  bytes.append(reinterpret_cast<const char*>(&stored), sizeof stored);
}

using AppendNumber = void (*)(std::string&, const Volume&, std::size_t, const std::string&);

AppendNumber writer_of(VoxelType type) {
  switch (type) {
    case VoxelType::kUint8:
      return append_number<std::uint8_t>;
    case VoxelType::kInt16:
      return append_number<std::int16_t>;
    case VoxelType::kInt32:
      return append_number<std::int32_t>;
    case VoxelType::kFloat32:
      return append_number<float>;
    case VoxelType::kFloat64:
      return append_number<double>;
    case VoxelType::kInt8:
      return append_number<std::int8_t>;
    case VoxelType::kUint16:
      return append_number<std::uint16_t>;
    case VoxelType::kUint32:
      return append_number<std::uint32_t>;
    case VoxelType::kInt64:
      return append_number<std::int64_t>;
    case VoxelType::kUint64:
      return append_number<std::uint64_t>;
  }
  return nullptr;
}

void write_bytes(const std::filesystem::path& path, const std::string& bytes,
                 NiftiPacking packing) {
  if (path.extension() == ".gz")
    write_file(path, gzip_file(bytes, packing == NiftiPacking::kDeflated), false);
  else
    write_file(path, bytes, false);
}

}  // namespace

std::string voxel_text(const VolumeGrid& grid, std::size_t place) {
  const auto at = static_cast<std::int64_t>(place);
  return shape_text(
      {at % grid.size[0], at / grid.size[0] % grid.size[1], at / (grid.size[0] * grid.size[1])});
}

VolumeGrid read_nifti_header(const std::filesystem::path& path) {
  std::ifstream in = opened(path);
  return NiftiStream(in, path.string()).header().grid;
}

Volume read_nifti(std::istream& in, const std::string& file) {
  NiftiStream stream(in, file);
  Volume volume{stream.header().grid, {}};
  stream.each_voxel([&](std::size_t place, double value) {
    stream.check_finite(place, value);
    volume.values.push_back(static_cast<float>(value));
  });
  return volume;
}

Volume read_nifti(const std::filesystem::path& path) {
  std::ifstream in = opened(path);
  return read_nifti(in, path.string());
}

Mask read_nifti_mask(std::istream& in, const std::string& file, const MaskRule& rule) {
  NiftiStream stream(in, file);
  Mask mask{stream.header().grid, {}};
  stream.each_voxel([&](std::size_t place, double value) {
    const bool whole = value >= 0 && value == std::floor(value);
    if (!whole || (value > rule.classes && !rule.higher_is_last))
      stream.fail("voxel " + voxel_text(mask, place) + " has the label " + value_text(value) +
                  ", expected a whole number from 0 to " + std::to_string(rule.classes));
    mask.labels.push_back(
        static_cast<std::uint8_t>(std::min(value, static_cast<double>(rule.classes))));
  });
  return mask;
}

Mask read_nifti_mask(const std::filesystem::path& path, const MaskRule& rule) {
  std::ifstream in = opened(path);
  return read_nifti_mask(in, path.string(), rule);
}

VolumeGrid check_nifti(const std::filesystem::path& path) {
  std::ifstream in = opened(path);
  NiftiStream stream(in, path.string());
  stream.each_voxel([&](std::size_t place, double value) { stream.check_finite(place, value); });
  return stream.header().grid;
}

void write_nifti(const std::filesystem::path& path, const Volume& volume, VoxelType type,
                 NiftiPacking packing) {
  std::string bytes = nifti_header_bytes(volume, type);
  bytes.reserve(bytes.size() + volume.values.size() * bytes_of(type));
  const AppendNumber append = writer_of(type);
  for (std::size_t i = 0; i < volume.values.size(); ++i) append(bytes, volume, i, path.string());
  write_bytes(path, bytes, packing);
}

void write_nifti(const std::filesystem::path& path, const Mask& mask, NiftiPacking packing) {
  std::string bytes = nifti_header_bytes(mask, VoxelType::kUint8);
  bytes.append(mask.labels.begin(), mask.labels.end());
  write_bytes(path, bytes, packing);
}

}  // namespace strata::data
