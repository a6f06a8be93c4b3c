#include "data/npz_image.h"

#include <charconv>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "core/text.h"
#include "data/image_limits.h"
#include "data/npz.h"
#include "strata/core/error.h"

namespace strata::data {
namespace {

void check_images(const NpzImageName& name, const std::vector<std::int64_t>& shape) {
  const std::string where = name.file.string() + ": the array \"" + name.array + "\" ";
  const bool grey = shape.size() == 3, colour = shape.size() == 4 && shape[3] == 3;
  if ((!grey && !colour) || shape[1] < 1 || shape[2] < 1) {
    throw InputError(where + "has the shape " + shape_text(shape) +
                     ", expected (count, height, width) or (count, height, width, 3)");
  }
  check_image_size(name.file.string(), "NumPy", static_cast<std::uint64_t>(shape[2]),
                   static_cast<std::uint64_t>(shape[1]));
  if (name.index >= shape[0])
    throw InputError(where + "has " + std::to_string(shape[0]) + " images: there is no image " +
                     std::to_string(name.index));
}

/// The unpacked arrays of the program. A file that was written again is unpacked again.
ByteArray unpacked(const NpzImageName& name) {
  static std::mutex mutex;
  static std::map<std::string, ByteArray> arrays;
  std::error_code error;
  const auto time = std::filesystem::last_write_time(name.file, error);
  if (error) throw InputError(name.file.string() + ": cannot be read");
  const std::string key = std::filesystem::absolute(name.file).string() + '\n' +
                          std::to_string(time.time_since_epoch().count()) + '\n' + name.array;
  const std::lock_guard lock(mutex);
  const auto found = arrays.find(key);
  if (found != arrays.end()) return found->second;
  return arrays.emplace(key, NpzFile(name.file).read(name.array)).first->second;
}

}  // namespace

bool parse_npz_image(const std::filesystem::path& path, NpzImageName& name) {
  const std::string text = path.string();
  const std::size_t hash = text.rfind(".npz#");
  if (hash == std::string::npos) return false;
  const std::size_t slash = text.find('/', hash);
  if (slash == std::string::npos) return false;
  name.file = text.substr(0, hash + 4);
  name.array = text.substr(hash + 5, slash - hash - 5);
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data() + slash + 1, end, name.index);
  return parsed.ec == std::errc() && parsed.ptr == end && name.index >= 0;
}

Image read_npz_image(const NpzImageName& name) {
  const ByteArray array = unpacked(name);
  const auto& shape = array.shape();
  check_images(name, shape);
  const std::int64_t channels = shape.size() == 3 ? 1 : 3, pixels = shape[1] * shape[2];
  const std::uint8_t* data = array.data() + name.index * pixels * channels;
  Image image{static_cast<int>(shape[2]), static_cast<int>(shape[1]), {}};
  image.pixels.resize(static_cast<std::size_t>(pixels) * 3);
  for (std::int64_t i = 0; i < pixels * 3; ++i)
    image.pixels[static_cast<std::size_t>(i)] = data[channels == 1 ? i / 3 : i];
  return image;
}

void npz_image_size(const NpzImageName& name, int& width, int& height) {
  const auto shape = NpzFile(name.file).shape(name.array);
  check_images(name, shape);
  height = static_cast<int>(shape[1]);
  width = static_cast<int>(shape[2]);
}

}  // namespace strata::data
