#pragma once
/// \file
/// The pixels of a data set's images as a model's processor leaves them, and the folder that keeps
/// them for the next program.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "data/image_processor.h"
#include "data/manifest.h"

namespace strata::data {

/// An image as (3, height, width) bytes: red, green, blue planes, row by row.
struct StoredImage {
  ImageSize size;
  const std::uint8_t* pixels;     ///< valid as long as the store and this are
  std::vector<std::uint8_t> own;  ///< the pixels, where the store does not keep them

  std::size_t bytes() const {
    return std::size_t{3} * static_cast<std::size_t>(size.width) *
           static_cast<std::size_t>(size.height);
  }
};

/// Images after their processing. Those of one data set, for all who use some of them: each is
/// decoded once and kept at that size alone, as far as memory allows.
///
/// With a cache folder the images of the whole data set are kept in files there, each a part of
/// about 64 MiB, and are mapped from them, so that they need no memory of the program and the next
/// one decodes nothing. A part is named by the SHA-256 of the names, sizes, times (modification and
/// status change) and inodes of its images' files, of the processing and of the version of the
/// resizing: a changed image is decoded anew, never served stale. Parts are written whole or not at
/// all, so processes may share a folder; every image has a checksum, and a part that is damaged is
/// made anew with a warning. Where the folder cannot be written or its disk is too full, a warning
/// says so, and all is as without it.
///
/// The pixels are the same bytes in all cases.
class ImageStore {
 public:
  /// Of images of this manifest. Reads nothing yet.
  ImageStore(const Manifest& manifest, ImageProcessor processor, std::filesystem::path cache = {});
  ImageStore(const ImageStore&) = delete;
  ImageStore& operator=(const ImageStore&) = delete;

  /// The image's index, the same each time. `image` is as the manifest names it.
  std::size_t add(const std::string& image);
  /// Decodes the images that were added, on `threads` threads (0: all), or maps them from the
  /// cache. Once `memory` bytes (0: half of the machine's) are filled, the rest is left to be
  /// decoded with every use, and a warning says how many. @throws InputError: an image that was
  /// added and does not decode, or that the model cannot read.
  void load(int threads = 0, std::size_t memory = 0);
  /// The images. Those that were not loaded are decoded, on all threads, and not kept. Any number
  /// of threads may ask, but not during `add` or `load`. @throws InputError: one does not decode,
  /// or the model cannot read it.
  std::vector<StoredImage> get(const std::vector<std::size_t>& indices) const;

  /// Of an image as the manifest names it, after its processing, by its file's header.
  /// @throws InputError as `load` does
  ImageSize size_of(const std::string& image) const;
  const ImageProcessor& processor() const { return processor_; }
  std::size_t count() const { return images_.size(); }
  /// How many images `load` decoded, those for the cache included.
  std::size_t decoded() const { return decoded_; }

 private:
  using Memory = std::shared_ptr<const std::uint8_t>;

  void load_cached(int threads);
  std::vector<ImageSize> sizes_of(const std::vector<std::size_t>& indices, int threads) const;

  std::filesystem::path folder_, cache_;
  ImageProcessor processor_;
  std::vector<std::string> data_set_;  ///< for the cache: all images of the manifest, sorted
  std::vector<std::string> images_;    ///< those added, by index
  std::unordered_map<std::string, std::size_t> index_;
  std::vector<const std::uint8_t*> pixels_;  ///< by index; null where the image is not loaded
  std::vector<ImageSize> sizes_;             ///< of those that are loaded
  std::vector<Memory> memory_;
  std::size_t decoded_ = 0;
};

}  // namespace strata::data
