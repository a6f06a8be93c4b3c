#include <zlib.h>

#include <algorithm>
#include <array>
#include <map>
#include <vector>

#include "data/image_formats.h"
#include "strata/core/error.h"

namespace strata {
namespace {

// Tags, and values of them, by their names in TIFF 6.0.
enum Tag : std::uint32_t {
  kImageWidth = 256,
  kImageLength = 257,
  kBitsPerSample = 258,
  kCompression = 259,
  kPhotometric = 262,
  kStripOffsets = 273,
  kSamplesPerPixel = 277,
  kRowsPerStrip = 278,
  kStripByteCounts = 279,
  kPlanarConfiguration = 284,
  kPredictor = 317,
  kColorMap = 320,
  kTileWidth = 322,
  kTileLength = 323,
  kTileOffsets = 324,
  kTileByteCounts = 325,
  kSampleFormat = 339,
};
enum Compression { kNone = 1, kLzw = 5, kDeflate = 8, kPackBits = 32773, kOldDeflate = 32946 };
enum Photometric { kWhiteIsZero = 0, kBlackIsZero = 1, kRgb = 2, kPalette = 3 };

class Tiff {
 public:
  Tiff(std::string_view bytes, const std::string& file)
      : bytes_(bytes), file_(file), big_(bytes.substr(0, 2) == "MM") {
    const std::size_t directory = number(4, 4);
    const std::size_t entries = number(directory, 2);
    for (std::size_t i = 0; i < entries; ++i) read_entry(directory + 2 + i * 12);
    width_ = side(kImageWidth);
    height_ = side(kImageLength);
  }

  Image read(bool header_only) {
    check_kind();
    Image image{static_cast<int>(width_), static_cast<int>(height_), {}};
    if (header_only) return image;
    // A strip is a tile as wide as the image, except that the last one ends with the image.
    const bool tiled = has(kTileWidth);
    const std::uint32_t block_width = tiled ? side(kTileWidth) : width_;
    const std::uint32_t block_height = tiled ? side(kTileLength)
                                             : static_cast<std::uint32_t>(std::clamp<std::uint64_t>(
                                                   value(kRowsPerStrip, height_), 1, height_));
    const std::uint32_t across = (width_ + block_width - 1) / block_width;
    const std::uint32_t down = (height_ + block_height - 1) / block_height;
    const auto& offsets = values(tiled ? kTileOffsets : kStripOffsets);
    const auto& counts = values(tiled ? kTileByteCounts : kStripByteCounts);
    if (offsets.size() < std::size_t{across} * down || counts.size() < offsets.size())
      damaged("too few strips or tiles for its size");
    image.pixels.resize(static_cast<std::size_t>(width_) * height_ * 3);
    for (std::uint32_t block = 0; block < across * down; ++block) {
      const std::uint32_t left = block % across * block_width;
      const std::uint32_t top = block / across * block_height;
      const std::uint32_t rows = tiled ? block_height : std::min(block_height, height_ - top);
      if (offsets[block] > bytes_.size() || counts[block] > bytes_.size() - offsets[block])
        damaged("the file ends too early");
      std::vector<std::uint8_t> samples =
          unpacked(bytes_.substr(offsets[block], counts[block]),
                   std::size_t{block_width} * rows * samples_ * (bits_ / 8));
      if (value(kPredictor, 1) == 2) undo_predictor(samples, block_width);
      for (std::uint32_t y = 0; y < std::min(rows, height_ - top); ++y)
        for (std::uint32_t x = 0; x < std::min(block_width, width_ - left); ++x)
          write_pixel(samples, (std::size_t{y} * block_width + x) * samples_,
                      &image.pixels[(std::size_t{top + y} * width_ + left + x) * 3]);
    }
    return image;
  }

 private:
  [[noreturn]] void damaged(const std::string& message) const {
    throw InputError(file_ + ": damaged TIFF image: " + message);
  }
  [[noreturn]] void unknown(const std::string& what, std::uint64_t found,
                            const std::string& allowed) const {
    throw InputError(file_ + ": TIFF image whose " + what + " is " + std::to_string(found) +
                     "; it can be read with " + allowed);
  }

  std::uint64_t number(std::size_t at, std::size_t size) const {
    if (at > bytes_.size() || size > bytes_.size() - at) damaged("the file ends too early");
    std::uint64_t result = 0;
    for (std::size_t i = 0; i < size; ++i)
      result = result << 8 | static_cast<unsigned char>(bytes_[at + (big_ ? i : size - 1 - i)]);
    return result;
  }

  void read_entry(std::size_t at) {
    const auto tag = static_cast<std::uint32_t>(number(at, 2));
    const std::uint64_t type = number(at + 2, 2), count = number(at + 4, 4);
    const std::size_t size = type == 1 ? 1 : type == 3 ? 2 : type == 4 ? 4 : 0;
    // The others (texts, fractions) do not say how to read pixels.
    if (size == 0) return;
    if (count > bytes_.size()) damaged("the file ends too early");
    const std::size_t first = count * size <= 4 ? at + 8 : number(at + 8, 4);
    std::vector<std::uint64_t> numbers;
    for (std::size_t i = 0; i < count; ++i) numbers.push_back(number(first + i * size, size));
    entries_[tag] = std::move(numbers);
  }

  bool has(Tag tag) const { return entries_.count(tag) > 0; }
  const std::vector<std::uint64_t>& values(Tag tag) const {
    const auto entry = entries_.find(tag);
    if (entry == entries_.end() || entry->second.empty())
      damaged("the tag " + std::to_string(tag) + " is missing");
    return entry->second;
  }
  std::uint64_t value(Tag tag, std::uint64_t absent) const {
    return has(tag) ? values(tag)[0] : absent;
  }
  std::uint32_t side(Tag tag) const {
    const std::uint64_t length = values(tag)[0];
    if (length < 1 || length > kMaxImageSide)
      damaged("the tag " + std::to_string(tag) + " says " + std::to_string(length) + " pixels");
    return static_cast<std::uint32_t>(length);
  }

  /// Sets what read() relies on.
  void check_kind() {
    photometric_ = value(kPhotometric, kBlackIsZero);
    if (photometric_ > kPalette)
      unknown("colour space (tag 262)", photometric_, "0 and 1 (grey), 2 (RGB) and 3 (palette)");
    bits_ = value(kBitsPerSample, 1);
    const std::uint64_t format = value(kSampleFormat, 1), planar = value(kPlanarConfiguration, 1);
    if ((bits_ != 8 && bits_ != 16) || (photometric_ == kPalette && bits_ != 8))
      unknown("number of bits a sample", bits_, "8, and 16 where it has no palette");
    if (format != 1) unknown("sample format (tag 339)", format, "1 (whole numbers)");
    const std::uint64_t wanted = photometric_ == kRgb ? 3 : 1;
    samples_ = value(kSamplesPerPixel, 1);
    if (samples_ < wanted || samples_ > 8)
      unknown("number of samples a pixel", samples_, std::to_string(wanted) + " to 8");
    if (planar != 1 && samples_ > 1)
      unknown("planar configuration (tag 284)", planar, "1 (samples of a pixel together)");
    compression_ = value(kCompression, kNone);
    if (compression_ != kNone && compression_ != kLzw && compression_ != kDeflate &&
        compression_ != kOldDeflate && compression_ != kPackBits)
      unknown("compression (tag 259)", compression_,
              "1 (none), 5 (LZW), 8 and 32946 (Deflate) and 32773 (PackBits)");
    const std::uint64_t predictor = value(kPredictor, 1);
    if (predictor != 1 && predictor != 2) unknown("predictor (tag 317)", predictor, "1 and 2");
    if (photometric_ == kPalette && values(kColorMap).size() < 3 * 256)
      damaged("its palette has fewer than 256 colours");
  }

  std::vector<std::uint8_t> unpacked(std::string_view packed, std::size_t size) const {
    std::vector<std::uint8_t> out;
    switch (compression_) {
      case kLzw:
        out = lzw(packed, size);
        break;
      case kPackBits:
        out = pack_bits(packed, size);
        break;
      case kNone:
        out.assign(packed.begin(), packed.end());
        break;
      default: {
        // Deflate makes at most 1032 bytes of one, which a damaged header need not know.
        if (size / 1032 > packed.size()) damaged("a strip or tile ends too early");
        out.resize(size);
        uLongf written = static_cast<uLongf>(size);
        const int code =
            uncompress(out.data(), &written, reinterpret_cast<const Bytef*>(packed.data()),
                       static_cast<uLong>(packed.size()));
        // More data than the strip needs is no damage.
        if (code != Z_OK && code != Z_BUF_ERROR) damaged("its Deflate data are not valid");
        out.resize(written);
      }
    }
    if (out.size() < size) damaged("a strip or tile ends too early");
    return out;
  }

  static std::vector<std::uint8_t> pack_bits(std::string_view packed, std::size_t size) {
    std::vector<std::uint8_t> out;
    for (std::size_t at = 0; at < packed.size() && out.size() < size;) {
      const int control = static_cast<signed char>(packed[at++]);
      if (control >= 0) {
        const std::string_view run = packed.substr(at, static_cast<std::size_t>(control) + 1);
        out.insert(out.end(), run.begin(), run.end());
        at += run.size();
      } else if (control != -128 && at < packed.size()) {
        out.insert(out.end(), 1 - control, static_cast<std::uint8_t>(packed[at++]));
      }
    }
    return out;
  }

  /// TIFF 6.0, section 13: codes of 9 to 12 bits, highest bit first, one wider as soon as the table
  /// lacks one entry of what its width can say.
  std::vector<std::uint8_t> lzw(std::string_view packed, std::size_t size) const {
    constexpr std::uint32_t kClear = 256, kEnd = 257, kCodes = 4096;
    // A string is the one before it and one more byte.
    std::array<std::uint16_t, kCodes> before{}, length{};
    std::array<std::uint8_t, kCodes> last{};
    for (std::uint32_t i = 0; i < kClear; ++i) {
      last[i] = static_cast<std::uint8_t>(i);
      length[i] = 1;
    }
    std::vector<std::uint8_t> out;
    std::uint32_t next = kEnd + 1, width = 9, buffer = 0, buffered = 0, previous = kClear;
    std::size_t at = 0;
    while (out.size() < size) {
      while (buffered < width) {
        if (at == packed.size()) return out;
        buffer = buffer << 8 | static_cast<unsigned char>(packed[at++]);
        buffered += 8;
      }
      const std::uint32_t code = buffer >> (buffered - width) & ((1u << width) - 1);
      buffered -= width;
      if (code == kEnd) break;
      if (code == kClear) {
        next = kEnd + 1;
        width = 9;
        previous = kClear;
        continue;
      }
      if (previous == kClear ? code > kClear : code > next) damaged("its LZW data are not valid");
      const std::size_t begin = out.size();
      // A code that is only now defined is the previous string and that string's first byte.
      const bool new_code = previous != kClear && code == next;
      const std::uint32_t known = new_code ? previous : code;
      out.resize(begin + length[known]);
      for (std::uint32_t i = length[known], entry = known; i > 0; --i, entry = before[entry])
        out[begin + i - 1] = last[entry];
      const std::uint8_t first = out[begin];
      if (new_code) out.push_back(first);
      if (previous != kClear && next < kCodes) {
        before[next] = static_cast<std::uint16_t>(previous);
        length[next] = static_cast<std::uint16_t>(length[previous] + 1);
        last[next] = first;
        if (++next >= (1u << width) - 1 && width < 12) ++width;
      }
      previous = code;
    }
    return out;
  }

  std::uint32_t sample(const std::vector<std::uint8_t>& block, std::size_t i) const {
    if (bits_ == 8) return block[i];
    return big_ ? block[2 * i] << 8 | block[2 * i + 1] : block[2 * i + 1] << 8 | block[2 * i];
  }

  /// Each sample was stored as its difference from the one of the pixel to the left.
  void undo_predictor(std::vector<std::uint8_t>& block, std::uint32_t block_width) const {
    const std::size_t row = std::size_t{block_width} * samples_;
    for (std::size_t i = 0; i < block.size() / (bits_ / 8); ++i) {
      if (i % row < samples_) continue;
      const std::uint32_t sum = sample(block, i) + sample(block, i - samples_);
      if (bits_ == 8) {
        block[i] = static_cast<std::uint8_t>(sum);
      } else {
        block[2 * i + (big_ ? 0 : 1)] = static_cast<std::uint8_t>(sum >> 8);
        block[2 * i + (big_ ? 1 : 0)] = static_cast<std::uint8_t>(sum);
      }
    }
  }

  static std::uint8_t eight_bits(std::uint32_t sixteen) {
    return static_cast<std::uint8_t>((sixteen + 128) / 257);
  }

  void write_pixel(const std::vector<std::uint8_t>& block, std::size_t first,
                   std::uint8_t* rgb) const {
    for (std::size_t c = 0; c < 3; ++c) {
      const std::uint32_t stored = sample(block, first + (photometric_ == kRgb ? c : 0));
      if (photometric_ == kPalette) {
        // Palettes of 8-bit colours are written as their multiples of 256 (Pillow) or 257
        // (libtiff).
        rgb[c] = static_cast<std::uint8_t>(values(kColorMap)[c * 256 + stored] >> 8);
      } else {
        rgb[c] = bits_ == 8 ? static_cast<std::uint8_t>(stored) : eight_bits(stored);
        if (photometric_ == kWhiteIsZero) rgb[c] = static_cast<std::uint8_t>(255 - rgb[c]);
      }
    }
  }

  std::string_view bytes_;
  const std::string& file_;
  bool big_;
  std::map<std::uint32_t, std::vector<std::uint64_t>> entries_;
  std::uint32_t width_ = 0, height_ = 0;
  std::uint64_t photometric_ = 0, compression_ = 0;
  std::size_t bits_ = 0, samples_ = 0;
};

}  // namespace

Image read_tiff(std::string_view bytes, const std::string& file, bool header_only) {
  return Tiff(bytes, file).read(header_only);
}

}  // namespace strata
