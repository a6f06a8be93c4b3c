#include "data/image_store.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <mutex>
#include <set>

#include "core/console.h"
#include "core/machine.h"
#include "core/parallel.h"
#include "data/image.h"
#include "data/image_limits.h"
#include "data/npz_image.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"
#include "strata/core/sha256.h"

namespace strata::data {
namespace {

/// To be raised with every change of read_image's or resize's pixels, or of a part's layout.
constexpr std::uint32_t kCacheVersion = 3;
constexpr std::size_t kPartBytes = std::size_t{64} << 20;
constexpr char kMagic[8] = {'S', 'T', 'R', 'A', 'T', 'A', 'P', 'X'};

/// A part: this, an Entry for every image, the images' pixels. In the machine's byte order, which
/// `version` shows: a cache is not meant to travel.
struct Header {
  char magic[8];
  std::uint32_t version, count;
  char key[64];
};
struct Entry {
  std::uint32_t checksum;
  std::uint32_t present;        ///< 0 for an image that did not decode and was not asked for
  std::uint32_t width, height;  ///< then 0
};

std::size_t bytes_of(ImageSize size) {
  return std::size_t{3} * static_cast<std::size_t>(size.width) *
         static_cast<std::size_t>(size.height);
}

std::uint32_t checksum(const std::uint8_t* pixels, std::size_t bytes) {
  return static_cast<std::uint32_t>(crc32_z(0, pixels, bytes));
}

[[noreturn]] void fail_for(const std::filesystem::path& path, const InputError& error) {
  throw InputError(path.string() + ": " + error.what());
}

std::vector<std::uint8_t> load_image(const std::filesystem::path& path,
                                     const ImageProcessor& processor, ImageSize& size) {
  const Image original = read_image(path);
  Image image;
  try {
    image = processor.apply(original);
  } catch (const InputError& error) {
    fail_for(path, error);
  }
  size = {image.width, image.height};
  const std::size_t area = bytes_of(size) / 3;
  std::vector<std::uint8_t> out(3 * area);
  for (std::size_t i = 0; i < area; ++i) {
    for (std::size_t channel = 0; channel < 3; ++channel)
      out[channel * area + i] = image.pixels[i * 3 + channel];
  }
  return out;
}

/// A progress line that several threads move on.
class Counter {
 public:
  explicit Counter(std::size_t total) : progress_("images", static_cast<std::int64_t>(total)) {}
  void add() {
    const std::int64_t done = ++done_;
    const std::unique_lock lock(mutex_, std::try_to_lock);
    if (lock) progress_.update(done);
  }
  void finish() { progress_.finish(); }

 private:
  std::atomic<std::int64_t> done_ = 0;
  std::mutex mutex_;
  Progress progress_;
};

std::string mebibytes(std::size_t bytes) {
  return fixed(static_cast<double>(bytes) / (1 << 20), 1) + " MiB";
}

/// Uninitialised memory: a page is used only once it is written.
std::shared_ptr<std::uint8_t> allocate(std::size_t bytes) {
  return {new std::uint8_t[bytes], std::default_delete<std::uint8_t[]>()};
}

/// Sizes and times of images' files, asked for once for each NumPy file.
class FileStates {
 public:
  explicit FileStates(const std::filesystem::path& folder)
      : folder_(std::filesystem::weakly_canonical(folder)) {}

  /// What changes whenever the image could have.
  std::string of(const std::string& image) {
    const std::filesystem::path path = folder_ / image;
    NpzImageName npz;
    if (!parse_npz_image(path, npz)) return path.string() + state(path);
    auto& known = npz_[npz.file.string()];
    if (known.empty()) known = state(npz.file);
    return path.string() + known;
  }

 private:
  static std::string state(const std::filesystem::path& file) {
    struct stat found = {};
    if (::stat(file.c_str(), &found) != 0) return "\n-\n";
    // The modification time alone can be that of the file which this one replaced.
    std::string text;
    for (const std::int64_t number :
         {std::int64_t{found.st_size}, std::int64_t{found.st_mtim.tv_sec},
          std::int64_t{found.st_mtim.tv_nsec}, std::int64_t{found.st_ctim.tv_sec},
          std::int64_t{found.st_ctim.tv_nsec}, static_cast<std::int64_t>(found.st_ino)})
      text.append(1, '\n').append(std::to_string(number));
    return text.append(1, '\n');
  }

  std::filesystem::path folder_;
  std::unordered_map<std::string, std::string> npz_;
};

/// Consecutive images of a data set, in the order of their names, in one file of the cache.
struct Part {
  std::filesystem::path file;
  std::string key;
  const std::string* images;
  std::size_t count;

  std::size_t pixels_at() const { return sizeof(Header) + count * sizeof(Entry); }
  static Entry entry(const std::uint8_t* part, std::size_t i) {
    Entry entry;
    std::memcpy(&entry, part + sizeof(Header) + i * sizeof(Entry), sizeof entry);
    return entry;
  }
  Header header() const {
    Header header;
    std::memcpy(header.magic, kMagic, sizeof kMagic);
    header.version = kCacheVersion;
    header.count = static_cast<std::uint32_t>(count);
    std::memcpy(header.key, key.data(), sizeof header.key);
    return header;
  }
};

/// A part in memory and where in it each image's pixels begin.
struct PartData {
  std::shared_ptr<const std::uint8_t> memory;
  std::size_t bytes = 0;
  std::vector<std::size_t> begin;

  explicit operator bool() const { return memory != nullptr; }
  ImageSize size(std::size_t i) const {
    const Entry entry = Part::entry(memory.get(), i);
    return {static_cast<int>(entry.width), static_cast<int>(entry.height)};
  }
  const std::uint8_t* pixels(std::size_t i) const { return memory.get() + begin[i]; }
};

/// The file in memory; null where there is none or it cannot be mapped.
PartData map_part(const Part& part) {
  PartData data;
  const int file = ::open(part.file.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return data;
  struct stat found = {};
  void* memory = MAP_FAILED;
  if (::fstat(file, &found) == 0 && static_cast<std::size_t>(found.st_size) >= part.pixels_at()) {
    data.bytes = static_cast<std::size_t>(found.st_size);
    memory = ::mmap(nullptr, data.bytes, PROT_READ, MAP_SHARED, file, 0);
  }
  ::close(file);
  if (memory == MAP_FAILED) return {};
  const std::size_t bytes = data.bytes;
  data.memory = {static_cast<const std::uint8_t*>(memory), [bytes](const std::uint8_t* of) {
                   ::munmap(const_cast<std::uint8_t*>(of), bytes);
                 }};
  return data;
}

/// Finds where the images begin. @returns whether the part is what its name says, and the images in
/// `needed` are there and whole
bool is_whole(const Part& part, PartData& data, const std::vector<char>& needed, int threads) {
  const Header header = part.header();
  if (std::memcmp(data.memory.get(), &header, sizeof header) != 0) return false;
  std::size_t at = part.pixels_at();
  data.begin.clear();
  for (std::size_t i = 0; i < part.count; ++i) {
    const Entry entry = Part::entry(data.memory.get(), i);
    if (std::max(entry.width, entry.height) > kMaxImageSide) return false;
    data.begin.push_back(at);
    at += bytes_of(data.size(i));
    if (at > data.bytes) return false;
  }
  if (at != data.bytes) return false;
  std::atomic<bool> whole = true;
  parallel_for(static_cast<int>(part.count), threads, [&](int i) {
    const auto of = static_cast<std::size_t>(i);
    const Entry entry = Part::entry(data.memory.get(), of);
    if (needed[of] &&
        (!entry.present || entry.checksum != checksum(data.pixels(of), bytes_of(data.size(of)))))
      whole = false;
  });
  return whole;
}

/// Decodes the part into memory, as it is to be written.
PartData make_part(const Part& part, const std::filesystem::path& folder,
                   const ImageProcessor& processor, const std::vector<char>& needed, int threads,
                   Counter& counter) {
  std::vector<std::vector<std::uint8_t>> pixels(part.count);
  std::vector<Entry> entries(part.count);
  parallel_for(static_cast<int>(part.count), threads, [&](int at) {
    const auto i = static_cast<std::size_t>(at);
    ImageSize size;
    entries[i].present = 1;
    try {
      pixels[i] = load_image(folder / part.images[i], processor, size);
    } catch (const InputError&) {
      // What nobody asked for may be damaged, as it may without a cache.
      if (needed[i]) throw;
      entries[i].present = 0;
      size = {};
    }
    entries[i].width = static_cast<std::uint32_t>(size.width);
    entries[i].height = static_cast<std::uint32_t>(size.height);
    entries[i].checksum = checksum(pixels[i].data(), pixels[i].size());
    counter.add();
  });
  PartData data;
  data.bytes = part.pixels_at();
  for (const auto& image : pixels) {
    data.begin.push_back(data.bytes);
    data.bytes += image.size();
  }
  const auto memory = allocate(data.bytes);
  const Header header = part.header();
  std::memcpy(memory.get(), &header, sizeof header);
  std::memcpy(memory.get() + sizeof header, entries.data(), part.count * sizeof(Entry));
  for (std::size_t i = 0; i < part.count; ++i) {
    std::copy(pixels[i].begin(), pixels[i].end(), memory.get() + data.begin[i]);
    std::vector<std::uint8_t>().swap(pixels[i]);
  }
  data.memory = memory;
  return data;
}

/// Whether the disk has room for so many bytes; otherwise a warning. A disk that is filled to the
/// last byte harms more than this program.
bool has_space(const std::filesystem::path& cache, std::size_t bytes) {
  std::error_code error;
  std::filesystem::create_directories(cache, error);
  const auto space = std::filesystem::space(cache, error);
  // What else is wrong with the folder is said when it is written to.
  if (error || space.available >= bytes) return true;
  log_warning(cache.string() + ": " + mebibytes(bytes) + " are needed and " +
              mebibytes(space.available) + " are free; the images are not cached");
  return false;
}

/// @throws WorkError
void write_part(const Part& part, const PartData& data) {
  AtomicFile file(part.file);
  file.stream().write(reinterpret_cast<const char*>(data.memory.get()),
                      static_cast<std::streamsize>(data.bytes));
  file.commit(/*flush_to_disk=*/false);
}

}  // namespace

ImageStore::ImageStore(const Manifest& manifest, ImageProcessor processor,
                       std::filesystem::path cache)
    : folder_(manifest.folder), cache_(std::move(cache)), processor_(std::move(processor)) {
  if (cache_.empty()) return;
  // Parts are those of the whole data set, so that every partition of it finds the same ones.
  std::set<std::string> images;
  for (const Example& example : manifest.examples) images.insert(example.image);
  data_set_.assign(images.begin(), images.end());
}

std::size_t ImageStore::add(const std::string& image) {
  const auto [place, added] = index_.emplace(image, images_.size());
  if (added) {
    images_.push_back(image);
    pixels_.push_back(nullptr);
    sizes_.emplace_back();
  }
  return place->second;
}

/// By the files' headers, where the processing does not give all images one size.
std::vector<ImageSize> ImageStore::sizes_of(const std::vector<std::size_t>& indices,
                                            int threads) const {
  std::vector<ImageSize> sizes(indices.size());
  if (const auto constant = processor_.constant_size()) {
    std::fill(sizes.begin(), sizes.end(), *constant);
    return sizes;
  }
  parallel_for(static_cast<int>(indices.size()), threads, [&](int at) {
    const auto i = static_cast<std::size_t>(at);
    sizes[i] = size_of(images_[indices[i]]);
  });
  return sizes;
}

ImageSize ImageStore::size_of(const std::string& image) const {
  const std::filesystem::path path = folder_ / image;
  ImageSize size;
  read_image_size(path, size.width, size.height);
  try {
    return processor_.output_size(size);
  } catch (const InputError& error) {
    fail_for(path, error);
  }
}

void ImageStore::load(int threads, std::size_t memory) {
  if (!cache_.empty()) load_cached(threads);
  std::vector<std::size_t> missing;
  for (std::size_t i = 0; i < pixels_.size(); ++i)
    if (!pixels_[i]) missing.push_back(i);
  const std::vector<ImageSize> sizes = sizes_of(missing, threads);
  const std::size_t limit = memory > 0 ? memory : physical_memory() / 2;
  std::vector<std::size_t> begin;
  std::size_t all = 0, kept = 0;
  for (const ImageSize& size : sizes) {
    if (all + bytes_of(size) <= limit) {
      begin.push_back(all);
      kept = all + bytes_of(size);
    }
    all += bytes_of(size);
  }
  if (begin.size() < missing.size()) {
    log_warning(
        std::to_string(missing.size()) + " images need " + mebibytes(all) +
        " of memory; decoded with every use: " + std::to_string(missing.size() - begin.size()));
    missing.resize(begin.size());
  }
  if (missing.empty()) return;
  const auto block = allocate(kept);
  Counter counter(missing.size());
  parallel_for(static_cast<int>(missing.size()), threads, [&](int at) {
    const auto i = static_cast<std::size_t>(at);
    const std::filesystem::path path = folder_ / images_[missing[i]];
    ImageSize size;
    const auto pixels = load_image(path, processor_, size);
    if (size != sizes[i]) throw InputError(path.string() + ": the file changes while it is read");
    std::copy(pixels.begin(), pixels.end(), block.get() + begin[i]);
    counter.add();
  });
  for (std::size_t i = 0; i < missing.size(); ++i) {
    pixels_[missing[i]] = block.get() + begin[i];
    sizes_[missing[i]] = sizes[i];
  }
  memory_.push_back(block);
  decoded_ += missing.size();
}

std::vector<StoredImage> ImageStore::get(const std::vector<std::size_t>& indices) const {
  std::vector<StoredImage> images(indices.size());
  std::vector<std::size_t> missing;
  for (std::size_t i = 0; i < indices.size(); ++i) {
    images[i] = {sizes_.at(indices[i]), pixels_[indices[i]], {}};
    if (!images[i].pixels) missing.push_back(i);
  }
  parallel_for(static_cast<int>(missing.size()), 0, [&](int at) {
    const std::size_t i = missing[static_cast<std::size_t>(at)];
    StoredImage& image = images[i];
    image.own = load_image(folder_ / images_[indices[i]], processor_, image.size);
    image.pixels = image.own.data();
  });
  return images;
}

void ImageStore::load_cached(int threads) {
  const std::size_t per_part = std::max<std::size_t>(1, kPartBytes / processor_.typical_bytes());
  const std::size_t decoded = decoded_;
  FileStates states(folder_);
  Counter counter(data_set_.size());
  bool writable = true, checked = false;
  for (std::size_t begin = 0; begin < data_set_.size(); begin += per_part) {
    Part part{{}, {}, &data_set_[begin], std::min(per_part, data_set_.size() - begin)};
    std::vector<char> needed(part.count);
    for (std::size_t i = 0; i < part.count; ++i) {
      const auto place = index_.find(part.images[i]);
      needed[i] = place != index_.end() && !pixels_[place->second];
    }
    if (std::find(needed.begin(), needed.end(), 1) == needed.end()) continue;
    Sha256 hash;
    hash.update("strata pixels " + std::to_string(kCacheVersion) + " " + processor_.key() + "\n");
    for (std::size_t i = 0; i < part.count; ++i) hash.update(states.of(part.images[i]));
    part.key = hash.hex();
    part.file = cache_ / (part.key + ".pixels");

    PartData data = map_part(part);
    if (data && !is_whole(part, data, needed, threads)) data = {};
    std::error_code ignored;
    const bool damaged = !data && std::filesystem::exists(part.file, ignored);
    if (damaged)
      log_warning(part.file.string() +
                  ": an incomplete or damaged file of the cache; it is made anew");
    // The damaged file's own place is enough; otherwise the rest of the data set should fit.
    if (!data && !damaged && writable && !checked) {
      checked = true;
      writable = has_space(cache_, (data_set_.size() - begin) * processor_.typical_bytes());
    }
    if (!data && !writable) continue;
    if (!data) {
      data = make_part(part, folder_, processor_, needed, threads, counter);
      decoded_ += part.count;
      try {
        write_part(part, data);
        // From now on the page cache holds the pixels, and lets go of them where memory is short.
        if (PartData mapped = map_part(part); mapped && mapped.bytes == data.bytes)
          data.memory = std::move(mapped.memory);
      } catch (const WorkError& error) {
        log_warning(std::string(error.what()) + "; the images are not cached");
        writable = false;
      }
    }
    for (std::size_t i = 0; i < part.count; ++i) {
      if (!needed[i]) continue;
      const std::size_t index = index_.at(part.images[i]);
      pixels_[index] = data.pixels(i);
      sizes_[index] = data.size(i);
    }
    memory_.push_back(std::move(data.memory));
  }
  counter.finish();
  if (decoded_ > decoded)
    log_info("images decoded into the cache " + cache_.string() + ": " +
             std::to_string(decoded_ - decoded));
}

}  // namespace strata::data
