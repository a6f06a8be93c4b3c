#include "data/tiff.h"

#include <tiffio.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

#include "data/image_limits.h"
#include "strata/core/error.h"

namespace strata::data {
namespace {

/// A file in memory, as libtiff reads one.
struct Memory {
  std::string_view bytes;
  std::uint64_t at = 0;
  std::string error;  // libtiff's first
};

tmsize_t read(thandle_t handle, void* out, tmsize_t size) {
  auto& memory = *static_cast<Memory*>(handle);
  const std::uint64_t left =
      memory.at < memory.bytes.size() ? memory.bytes.size() - memory.at : std::uint64_t{0};
  const auto count = std::min(static_cast<std::uint64_t>(size), left);
  std::memcpy(out, memory.bytes.data() + (count ? memory.at : 0), count);
  memory.at += count;
  return static_cast<tmsize_t>(count);
}

tmsize_t write(thandle_t, void*, tmsize_t) {
  return -1;
}

toff_t seek(thandle_t handle, toff_t offset, int whence) {
  auto& memory = *static_cast<Memory*>(handle);
  const std::uint64_t base = whence == SEEK_SET   ? 0
                             : whence == SEEK_CUR ? memory.at
                                                  : memory.bytes.size();
  return memory.at = base + offset;
}

int close(thandle_t) {
  return 0;
}

toff_t size(thandle_t handle) {
  return static_cast<Memory*>(handle)->bytes.size();
}

int map(thandle_t handle, void** base, toff_t* length) {
  const auto& bytes = static_cast<Memory*>(handle)->bytes;
  *base = const_cast<char*>(bytes.data());
  *length = bytes.size();
  return 1;
}

void unmap(thandle_t, void*, toff_t) {}

int keep_error(TIFF*, void* handle, const char*, const char* format, std::va_list arguments) {
  auto& error = static_cast<Memory*>(handle)->error;
  if (!error.empty()) return 1;
  char text[200];
  std::vsnprintf(text, sizeof text, format, arguments);
  error = text;
  return 1;
}

int ignore(TIFF*, void*, const char*, const char*, std::va_list) {
  return 1;
}

struct Closer {
  void operator()(TIFF* tiff) const { TIFFClose(tiff); }
};

std::unique_ptr<TIFF, Closer> open(Memory& memory) {
  TIFFOpenOptions* options = TIFFOpenOptionsAlloc();
  TIFFOpenOptionsSetErrorHandlerExtR(options, keep_error, &memory);
  TIFFOpenOptionsSetWarningHandlerExtR(options, ignore, nullptr);
  // The largest image that fits, of four samples of 16 bits.
  TIFFOpenOptionsSetMaxSingleMemAlloc(options, static_cast<tmsize_t>(8 * kMaxImagePixels));
  std::unique_ptr<TIFF, Closer> tiff(
      TIFFClientOpenExt("", "r", &memory, read, write, seek, close, size, map, unmap, options));
  TIFFOpenOptionsFree(options);
  return tiff;
}

}  // namespace

Image read_tiff(std::string_view bytes, const std::string& file, bool header_only) {
  Memory memory{bytes, 0, {}};
  const auto damaged = [&](const std::string& message) -> InputError {
    return InputError(file + ": damaged TIFF image: " + message);
  };
  const auto tiff = open(memory);
  if (!tiff) throw damaged(memory.error);
  std::uint32_t width = 0, height = 0;
  TIFFGetField(tiff.get(), TIFFTAG_IMAGEWIDTH, &width);
  TIFFGetField(tiff.get(), TIFFTAG_IMAGELENGTH, &height);
  if (width < 1 || height < 1)
    throw damaged("it has " + std::to_string(width) + " x " + std::to_string(height) + " pixels");
  check_image_size(file, "TIFF", width, height);
  Image image{static_cast<int>(width), static_cast<int>(height), {}};
  char reason[1024] = "";
  TIFFRGBAImage reader;
  if (!TIFFRGBAImageBegin(&reader, tiff.get(), /*stop on errors*/ 1, reason)) {
    throw InputError(
        file + ": TIFF image that cannot be read: " + (*reason ? reason : memory.error.c_str()));
  }
  const std::unique_ptr<TIFFRGBAImage, void (*)(TIFFRGBAImage*)> end(&reader, TIFFRGBAImageEnd);
  if (header_only) return image;
  // As stored: the caller turns it.
  reader.req_orientation = reader.orientation;
  std::vector<std::uint32_t> pixels(std::size_t{width} * height);
  if (!TIFFRGBAImageGet(&reader, pixels.data(), width, height) || !memory.error.empty()) {
    throw damaged(memory.error.empty() ? "its pixels cannot be read" : memory.error);
  }
  image.pixels.reserve(pixels.size() * 3);
  // libtiff puts colours over black, but not grey.
  const bool grey_alpha =
      reader.alpha == EXTRASAMPLE_UNASSALPHA && (reader.photometric == PHOTOMETRIC_MINISBLACK ||
                                                 reader.photometric == PHOTOMETRIC_MINISWHITE);
  for (const std::uint32_t pixel : pixels) {
    for (const std::uint32_t value : {TIFFGetR(pixel), TIFFGetG(pixel), TIFFGetB(pixel)}) {
      image.pixels.push_back(
          static_cast<std::uint8_t>(grey_alpha ? (value * TIFFGetA(pixel) + 127) / 255 : value));
    }
  }
  return image;
}

}  // namespace strata::data
