#include "data/image_store.h"

#include <numeric>

#include "catch.h"
#include "core/console.h"
#include "data/image.h"
#include "strata/core/error.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::data;
using Catch::Matchers::Contains;
namespace fs = std::filesystem;

namespace {

/// Five noisy images of 9 × 7 pixels, the last of which no example of the split "train" has.
Manifest make_images(const test::TempDir& dir, const std::string& folder = "data") {
  Manifest manifest;
  manifest.folder = dir / folder;
  for (int i = 0; i < 5; ++i) {
    Image image{9, 7, {}};
    for (int p = 0; p < 9 * 7 * 3; ++p)
      image.pixels.push_back(static_cast<std::uint8_t>((p * (37 + i) + i * 11) % 251));
    const std::string name = "i" + std::to_string(4 - i) + ".png";
    write_png(image, manifest.folder / name);
    manifest.examples.push_back({name, "?", {"yes"}, i < 4 ? "train" : "test", "a", "open", ""});
  }
  return manifest;
}

std::string copy(const ImageStore& store, const std::vector<std::size_t>& indices) {
  std::string pixels;
  for (const StoredImage& image : store.get(indices))
    pixels.append(reinterpret_cast<const char*>(image.pixels), image.bytes());
  return pixels;
}

/// The images' pixels, from a store that loads the first `count` of them.
struct Loaded {
  std::string pixels, log;
  std::size_t decoded;
};

Loaded load(const test::TempDir& dir, const Manifest& manifest, const fs::path& cache,
            std::size_t count = 4, const ImageProcessor& processor = ImageProcessor::square(5)) {
  const auto log = dir / "log";
  fs::remove(log);
  set_log_file(log.string());
  ImageStore store(manifest, processor, cache);
  Loaded loaded;
  for (std::size_t i = 0; i < count; ++i) store.add(manifest.examples[i].image);
  store.load(2);
  std::vector<std::size_t> indices(count);
  std::iota(indices.begin(), indices.end(), std::size_t{0});
  loaded.pixels = copy(store, indices);
  loaded.decoded = store.decoded();
  set_log_file("");
  loaded.log = fs::exists(log) ? test::slurp(log) : "";
  return loaded;
}

std::vector<fs::path> files(const fs::path& folder) {
  std::vector<fs::path> found;
  if (!fs::exists(folder)) return found;
  for (const auto& entry : fs::directory_iterator(folder)) found.push_back(entry.path());
  return found;
}

}  // namespace

TEST_CASE("an image is decoded once, resized, plane by plane") {
  set_quiet(true);
  const test::TempDir dir;
  const Manifest manifest = make_images(dir);
  ImageStore store(manifest, ImageProcessor::square(5));
  CHECK(store.add("i3.png") == 0);
  CHECK(store.add("i1.png") == 1);
  CHECK(store.add("i3.png") == 0);
  store.load();
  CHECK(store.count() == 2);
  CHECK(store.decoded() == 2);
  CHECK(store.get({1})[0].bytes() == 75);
  const Image expected = resize(read_image(manifest.folder / "i1.png"), 5, 5);
  const std::string pixels = copy(store, {1});
  for (std::size_t i = 0; i < 25; ++i)
    for (std::size_t channel = 0; channel < 3; ++channel)
      CHECK(static_cast<std::uint8_t>(pixels[channel * 25 + i]) ==
            expected.pixels[i * 3 + channel]);

  CHECK(store.add("i0.png") == 2);
  store.load();
  CHECK(store.decoded() == 3);
  dir.write("data/i2.png", "no image");
  store.add("i2.png");
  CHECK_THROWS_WITH(copy(store, {0, 3}), Contains("i2.png"));
  CHECK_THROWS_AS(store.load(), InputError);
  CHECK(store.decoded() == 3);
}

TEST_CASE("images beyond the memory allowed, or never loaded, are decoded with every use") {
  set_quiet(true);
  const test::TempDir dir;
  const Manifest manifest = make_images(dir);
  const std::string all = load(dir, manifest, {}, 5).pixels;
  ImageStore never(manifest, ImageProcessor::square(5)), some(manifest, ImageProcessor::square(5));
  for (const Example& example : manifest.examples) {
    never.add(example.image);
    some.add(example.image);
  }
  some.load(1, 2 * 75 + 74);
  CHECK(some.decoded() == 2);
  for (int use = 0; use < 2; ++use) {
    CHECK(copy(never, {0, 1, 2, 3, 4}) == all);
    CHECK(copy(some, {0, 1, 2, 3, 4}) == all);
    CHECK(copy(some, {4, 1, 4}) == all.substr(300) + all.substr(75, 75) + all.substr(300));
  }
  CHECK(never.decoded() == 0);
}

TEST_CASE("a cache holds the same pixels, for every size, and spares the decoding") {
  set_quiet(true);
  const test::TempDir dir;
  const Manifest manifest = make_images(dir);
  const fs::path cache = dir / "cache";
  const auto plain = load(dir, manifest, {});
  CHECK(plain.decoded == 4);
  const auto first = load(dir, manifest, cache);
  CHECK(first.pixels == plain.pixels);
  CHECK(first.decoded == 5);  // the data set's, so that every partition of it finds them
  CHECK(files(cache).size() == 1);
  for (const std::size_t count : {4u, 5u, 1u}) {
    const auto again = load(dir, manifest, cache, count);
    CHECK(again.decoded == 0);
    CHECK(again.pixels == load(dir, manifest, {}, count).pixels);
    CHECK(again.log.empty());
  }
  CHECK(load(dir, manifest, cache, 4, ImageProcessor::square(6)).decoded == 5);
  CHECK(load(dir, manifest, cache, 0).decoded == 0);
  CHECK(files(cache).size() == 2);

  // Another data set's images with the same names, and files of the same bytes.
  const Manifest other = make_images(dir, "other");
  CHECK(load(dir, other, cache).decoded == 5);
}

TEST_CASE("a changed image is decoded anew, even where its size and its time stay") {
  set_quiet(true);
  const test::TempDir dir;
  const Manifest manifest = make_images(dir);
  const fs::path cache = dir / "cache", image = manifest.folder / "i3.png";
  const auto before = load(dir, manifest, cache);
  const auto time = fs::last_write_time(image);
  const auto size = fs::file_size(image);
  Image black{9, 7, std::vector<std::uint8_t>(9 * 7 * 3)};
  write_png(black, image);
  fs::last_write_time(image, time);
  REQUIRE(fs::file_size(image) == size);
  const auto after = load(dir, manifest, cache);
  CHECK(after.decoded == 5);
  CHECK(after.pixels != before.pixels);
  CHECK(after.pixels == load(dir, manifest, {}).pixels);
}

TEST_CASE("a damaged, truncated or foreign file of the cache is noticed and made anew") {
  set_quiet(true);
  const test::TempDir dir;
  const Manifest manifest = make_images(dir);
  const fs::path cache = dir / "cache";
  const auto good = load(dir, manifest, cache);
  const fs::path file = files(cache).at(0);
  const std::string bytes = test::slurp(file);
  // Of the header's 80 bytes, the five entries' 16 (of the first: checksum, presence, both sides),
  // and the pixels.
  for (const std::size_t at :
       {std::size_t{0}, std::size_t{9}, std::size_t{40}, std::size_t{80}, std::size_t{84},
        std::size_t{88}, std::size_t{93}, std::size_t{161}, bytes.size() - 1}) {
    INFO(at);
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    dir.write("cache/" + file.filename().string(), damaged);
    const auto again = load(dir, manifest, cache, 5);
    CHECK(again.decoded == 5);
    CHECK(again.pixels.substr(0, good.pixels.size()) == good.pixels);
    CHECK_THAT(again.log, Contains("damaged file of the cache; it is made anew"));
    CHECK((test::slurp(file) == bytes));
  }
  for (const std::string& content : {std::string(), bytes.substr(0, 100), bytes + "x"}) {
    dir.write("cache/" + file.filename().string(), content);
    const auto again = load(dir, manifest, cache);
    CHECK(again.pixels == good.pixels);
    CHECK_THAT(again.log, Contains("made anew"));
  }
  CHECK(load(dir, manifest, cache).decoded == 0);
}

TEST_CASE("a cache that cannot be written is a warning, and its images are decoded all the same") {
  const test::TempDir dir;
  const Manifest manifest = make_images(dir);
  const auto file = dir.write("file", "in the way");
  const auto loaded = load(dir, manifest, file / "cache");
  CHECK(loaded.pixels == load(dir, manifest, {}).pixels);
  CHECK_THAT(loaded.log, Contains("warning: ") && Contains("the images are not cached"));
}

TEST_CASE("a cache that the disk has no room for is not begun") {
  const test::TempDir dir;
  Manifest manifest = make_images(dir);
  manifest.examples.resize(1000000, manifest.examples[0]);
  for (std::size_t i = 5; i < manifest.examples.size(); ++i)
    manifest.examples[i].image = "other" + std::to_string(i);
  const auto log = dir / "log";
  set_log_file(log.string());
  ImageStore store(manifest, ImageProcessor::square(16384), dir / "cache");  // 768 TiB
  store.add(manifest.examples[0].image);
  store.load(1, 1);
  set_log_file("");
  CHECK(store.decoded() == 0);
  CHECK(files(dir / "cache").empty());
  CHECK_THAT(test::slurp(log),
             Contains("are free; the images are not cached") &&
                 Contains("1 images need 768.0 MiB of memory; decoded with every use: 1"));
}

TEST_CASE("an image that does not decode matters to those who need it alone, cached or not") {
  const test::TempDir dir;
  const Manifest manifest = make_images(dir);
  dir.write("data/i0.png", "no image");  // the last, a test image
  for (const fs::path& cache : {fs::path(), dir / "cache", dir / "cache"}) {
    CHECK_NOTHROW(load(dir, manifest, cache));
    CHECK_THROWS_WITH(load(dir, manifest, cache, 5), Contains("i0.png"));
  }
}

TEST_CASE("images keep their own sizes, whether decoded, kept or out of a cache") {
  set_quiet(true);
  const test::TempDir dir;
  Manifest manifest = make_images(dir);
  const std::vector<ImageSize> originals = {{9, 7}, {30, 20}, {20, 30}, {16, 16}, {60, 17}};
  for (std::size_t i = 0; i < originals.size(); ++i) {
    Image image{originals[i].width, originals[i].height, {}};
    for (int p = 0; p < image.width * image.height * 3; ++p)
      image.pixels.push_back(static_cast<std::uint8_t>(p * 7 % 251));
    write_png(image, manifest.folder / manifest.examples[i].image);
  }
  ImageProcessor processor;
  processor.resize = ImageProcessor::Resize::kViltShortest;
  processor.shortest_edge = 16;
  processor.size_divisor = 4;
  const std::vector<ImageSize> sizes = {{20, 16}, {24, 16}, {16, 24}, {16, 16}, {24, 4}};
  std::string expected;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    const Image image = resize(read_image(manifest.folder / manifest.examples[i].image),
                               sizes[i].width, sizes[i].height);
    for (std::size_t channel = 0; channel < 3; ++channel)
      for (std::size_t p = channel; p < image.pixels.size(); p += 3)
        expected += static_cast<char>(image.pixels[p]);
  }
  for (const fs::path& cache : {fs::path(), dir / "cache", dir / "cache"})
    CHECK((load(dir, manifest, cache, 5, processor).pixels == expected));
  CHECK(files(dir / "cache").size() == 1);
  ImageStore some(manifest, processor);
  for (const Example& example : manifest.examples) some.add(example.image);
  some.load(1, 3 * (20 * 16 + 24 * 16) + 5);
  CHECK(some.decoded() == 2);
  CHECK((copy(some, {0, 1, 2, 3, 4}) == expected));
  const auto images = some.get({4, 1});
  CHECK(images[0].size == sizes[4]);
  CHECK(images[1].size == sizes[1]);

  // The processing is a part of the cache's key, as far as it changes pixels.
  processor.filter = Filter::kBicubic;
  CHECK(load(dir, manifest, dir / "cache", 5, processor).decoded == 5);
  processor.mean = {0, 0, 0};
  CHECK(load(dir, manifest, dir / "cache", 5, processor).decoded == 0);
  processor.size_divisor = 8;
  CHECK_THROWS_WITH(load(dir, manifest, {}, 5, processor),
                    Contains("i0.png: an image of 60 x 17 pixels becomes one of 24 x 0") &&
                        Contains("multiples of 8 (size_divisor)"));
}
