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
#include "data/image.h"
#include "data/npz.h"
#include "data/parallel.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"
#include "strata/core/sha256.h"

namespace strata {
namespace {

/// To be raised with every change of read_image's or resize's pixels, or of a part's layout.
constexpr int kCacheVersion = 2;
constexpr std::size_t kPartBytes = std::size_t{64} << 20;
constexpr char kMagic[8] = {'S', 'T', 'R', 'A', 'T', 'A', 'P', 'X'};

/// A part: this, an Entry for every image, the images' pixels. In the machine's byte order, which
/// `size` shows: a cache is not meant to travel.
struct Header {
  char magic[8];
  std::uint32_t size, count;
  char key[64];
};
struct Entry {
  std::uint32_t checksum;
  std::uint32_t present;  ///< 0 for an image that did not decode and was not asked for
};

std::uint32_t checksum(const std::uint8_t* pixels, std::size_t bytes) {
  return static_cast<std::uint32_t>(crc32_z(0, pixels, bytes));
}

void load_image(const std::filesystem::path& path, int size, std::uint8_t* out) {
  const Image image = resize(read_image(path), size, size);
  const std::size_t area = static_cast<std::size_t>(size) * static_cast<std::size_t>(size);
  for (std::size_t i = 0; i < area; ++i) {
    for (std::size_t channel = 0; channel < 3; ++channel)
      out[channel * area + i] = image.pixels[i * 3 + channel];
  }
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

std::size_t physical_memory() {
  return static_cast<std::size_t>(::sysconf(_SC_PHYS_PAGES)) *
         static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

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
  int size;

  std::size_t image_bytes() const { return std::size_t{3} * size * size; }
  std::size_t pixels_at() const { return sizeof(Header) + count * sizeof(Entry); }
  std::size_t bytes() const { return pixels_at() + count * image_bytes(); }
  const Entry* entries(const std::uint8_t* part) const {
    return reinterpret_cast<const Entry*>(part + sizeof(Header));
  }
  Header header() const {
    Header header;
    std::memcpy(header.magic, kMagic, sizeof kMagic);
    header.size = static_cast<std::uint32_t>(size);
    header.count = static_cast<std::uint32_t>(count);
    std::memcpy(header.key, key.data(), sizeof header.key);
    return header;
  }
};

/// The file in memory; null where there is none, it has another size, or it cannot be mapped.
std::shared_ptr<const std::uint8_t> map_part(const Part& part) {
  const int file = ::open(part.file.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return nullptr;
  struct stat found = {};
  const std::size_t bytes = part.bytes();
  void* memory = MAP_FAILED;
  if (::fstat(file, &found) == 0 && static_cast<std::size_t>(found.st_size) == bytes)
    memory = ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED, file, 0);
  ::close(file);
  if (memory == MAP_FAILED) return nullptr;
  return {static_cast<const std::uint8_t*>(memory),
          [bytes](const std::uint8_t* data) { ::munmap(const_cast<std::uint8_t*>(data), bytes); }};
}

/// Whether the part is what its name says, and the images in `needed` are there and whole.
bool is_whole(const Part& part, const std::uint8_t* data, const std::vector<char>& needed,
              int threads) {
  const Header header = part.header();
  if (std::memcmp(data, &header, sizeof header) != 0) return false;
  std::atomic<bool> whole = true;
  parallel_for(static_cast<int>(part.count), threads, [&](int i) {
    const Entry& entry = part.entries(data)[i];
    const std::uint8_t* pixels = data + part.pixels_at() + i * part.image_bytes();
    if (needed[static_cast<std::size_t>(i)] &&
        (!entry.present || entry.checksum != checksum(pixels, part.image_bytes())))
      whole = false;
  });
  return whole;
}

/// Decodes the part into memory, as it is to be written.
std::shared_ptr<const std::uint8_t> make_part(const Part& part, const std::filesystem::path& folder,
                                              const std::vector<char>& needed, int threads,
                                              Counter& counter) {
  const auto memory = allocate(part.bytes());
  const Header header = part.header();
  std::memcpy(memory.get(), &header, sizeof header);
  parallel_for(static_cast<int>(part.count), threads, [&](int i) {
    std::uint8_t* pixels = memory.get() + part.pixels_at() + i * part.image_bytes();
    Entry entry = {0, 1};
    try {
      load_image(folder / part.images[i], part.size, pixels);
    } catch (const InputError&) {
      // What nobody asked for may be damaged, as it may without a cache.
      if (needed[static_cast<std::size_t>(i)]) throw;
      entry.present = 0;
      std::memset(pixels, 0, part.image_bytes());
    }
    entry.checksum = checksum(pixels, part.image_bytes());
    std::memcpy(memory.get() + sizeof(Header) + i * sizeof(Entry), &entry, sizeof entry);
    counter.add();
  });
  return memory;
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
void write_part(const Part& part, const std::uint8_t* data) {
  AtomicFile file(part.file);
  file.stream().write(reinterpret_cast<const char*>(data),
                      static_cast<std::streamsize>(part.bytes()));
  file.commit(/*flush_to_disk=*/false);
}

}  // namespace

ImageStore::ImageStore(const Manifest& manifest, int size, std::filesystem::path cache)
    : folder_(manifest.folder), cache_(std::move(cache)), size_(size) {
  if (cache_.empty()) return;
  // Parts are those of the whole data set, so that every partition of it finds the same ones.
  std::set<std::string> images;
  for (const Example& example : manifest.examples) images.insert(example.image);
  data_set_.assign(images.begin(), images.end());
}

std::size_t ImageStore::bytes() const {
  return std::size_t{3} * static_cast<std::size_t>(size_) * static_cast<std::size_t>(size_);
}

std::size_t ImageStore::add(const std::string& image) {
  const auto [place, added] = index_.emplace(image, images_.size());
  if (added) {
    images_.push_back(image);
    pixels_.push_back(nullptr);
  }
  return place->second;
}

void ImageStore::load(int threads, std::size_t memory) {
  if (!cache_.empty()) load_cached(threads);
  std::vector<std::size_t> missing;
  for (std::size_t i = 0; i < pixels_.size(); ++i)
    if (!pixels_[i]) missing.push_back(i);
  const std::size_t limit = (memory > 0 ? memory : physical_memory() / 2) / bytes();
  if (missing.size() > limit) {
    log_warning(std::to_string(missing.size()) + " images need " +
                mebibytes(missing.size() * bytes()) +
                " of memory; decoded with every use: " + std::to_string(missing.size() - limit));
    missing.resize(limit);
  }
  if (missing.empty()) return;
  const auto block = allocate(missing.size() * bytes());
  Counter counter(missing.size());
  parallel_for(static_cast<int>(missing.size()), threads, [&](int i) {
    const auto at = static_cast<std::size_t>(i);
    load_image(folder_ / images_[missing[at]], size_, block.get() + at * bytes());
    counter.add();
  });
  for (std::size_t i = 0; i < missing.size(); ++i) pixels_[missing[i]] = block.get() + i * bytes();
  memory_.push_back(block);
  decoded_ += missing.size();
}

void ImageStore::copy(const std::vector<std::size_t>& indices, std::uint8_t* out) const {
  std::vector<std::size_t> missing;
  for (std::size_t i = 0; i < indices.size(); ++i) {
    if (const std::uint8_t* pixels = pixels_.at(indices[i])) {
      std::memcpy(out + i * bytes(), pixels, bytes());
    } else {
      missing.push_back(i);
    }
  }
  parallel_for(static_cast<int>(missing.size()), 0, [&](int i) {
    const std::size_t at = missing[static_cast<std::size_t>(i)];
    load_image(folder_ / images_[indices[at]], size_, out + at * bytes());
  });
}

void ImageStore::load_cached(int threads) {
  const std::size_t per_part = std::max<std::size_t>(1, kPartBytes / bytes());
  const std::size_t decoded = decoded_;
  FileStates states(folder_);
  Counter counter(data_set_.size());
  bool writable = true, checked = false;
  for (std::size_t begin = 0; begin < data_set_.size(); begin += per_part) {
    Part part{{}, {}, &data_set_[begin], std::min(per_part, data_set_.size() - begin), size_};
    std::vector<char> needed(part.count);
    for (std::size_t i = 0; i < part.count; ++i) {
      const auto place = index_.find(part.images[i]);
      needed[i] = place != index_.end() && !pixels_[place->second];
    }
    if (std::find(needed.begin(), needed.end(), 1) == needed.end()) continue;
    Sha256 hash;
    hash.update("strata pixels " + std::to_string(kCacheVersion) + " " + std::to_string(size_) +
                "\n");
    for (std::size_t i = 0; i < part.count; ++i) hash.update(states.of(part.images[i]));
    part.key = hash.hex();
    part.file = cache_ / (part.key + ".pixels");

    Memory data = map_part(part);
    if (data && !is_whole(part, data.get(), needed, threads)) data = nullptr;
    std::error_code ignored;
    const bool damaged = !data && std::filesystem::exists(part.file, ignored);
    if (damaged)
      log_warning(part.file.string() +
                  ": an incomplete or damaged file of the cache; it is made anew");
    // The damaged file's own place is enough; otherwise the rest of the data set should fit.
    if (!data && !damaged && writable && !checked) {
      checked = true;
      writable = has_space(cache_, (data_set_.size() - begin) * bytes());
    }
    if (!data && !writable) continue;
    if (!data) {
      data = make_part(part, folder_, needed, threads, counter);
      decoded_ += part.count;
      try {
        write_part(part, data.get());
        // From now on the page cache holds the pixels, and lets go of them where memory is short.
        if (Memory mapped = map_part(part)) data = std::move(mapped);
      } catch (const WorkError& error) {
        log_warning(std::string(error.what()) + "; the images are not cached");
        writable = false;
      }
    }
    for (std::size_t i = 0; i < part.count; ++i)
      if (needed[i])
        pixels_[index_.at(part.images[i])] = data.get() + part.pixels_at() + i * bytes();
    memory_.push_back(std::move(data));
  }
  counter.finish();
  if (decoded_ > decoded)
    log_info("images decoded into the cache " + cache_.string() + ": " +
             std::to_string(decoded_ - decoded));
}

}  // namespace strata
