#include "data/fractals/fractals.h"

#include <map>
#include <set>

#include "data/image.h"
#include "support/error_text.h"
#include "support/folder_contents.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::data;
using namespace strata::test;
namespace fs = std::filesystem;

namespace {

FractalOptions small(std::uint64_t seed, int threads) {
  FractalOptions options;
  options.seed = seed;
  options.classes = 5;
  options.images_per_class = 12;
  options.size = 32;
  options.threads = threads;
  return options;
}

double filled(const Image& image) {
  int lit = 0;
  for (std::size_t p = 0; p < image.pixels.size(); p += 3) lit += image.pixels[p] > 0;
  return lit / (static_cast<double>(image.width) * image.height);
}

}  // namespace

TEST_CASE("fractals are the same bytes for any number of threads, and others for another seed") {
  const TempDir dir;
  make_fractals(dir / "a", small(3, 1));
  make_fractals(dir / "b", small(3, 3));
  CHECK(folder_contents(dir / "a") == folder_contents(dir / "b"));
  make_fractals(dir / "c", small(4, 1));
  CHECK(slurp(dir / "a/images/fractal-0002/0000.png") !=
        slurp(dir / "c/images/fractal-0002/0000.png"));
  make_fractals(dir / "a", small(3, 1));  // again, as after an interruption
  CHECK(folder_contents(dir / "a") == folder_contents(dir / "b"));
}

TEST_CASE("fractals are read as a labelled set, nine tenths of every class for training") {
  const TempDir dir;
  make_fractals(dir / "set", small(3, 1));
  LoadOptions load;
  load.reading = Reading::kLabels;
  const Manifest manifest = load_data(dir / "set", load);
  CHECK(manifest.synthetic);
  REQUIRE(manifest.classes.size() == 5);
  CHECK(manifest.classes[4] == "fractal-0004");
  CHECK(manifest.examples.size() == 60);
  std::map<std::string, int> tested;
  for (const Example& example : manifest.examples) tested[example.labels[0]] += example.tests();
  for (const auto& [name, count] : tested) CHECK(count == 1);
  CHECK(tested.size() == 5);
}

TEST_CASE("a class's images differ, fill a part of the picture, and are not another class's") {
  const TempDir dir;
  const Manifest manifest = make_fractals(dir / "set", small(3, 1));
  std::set<std::vector<std::uint8_t>> all;
  for (const Example& example : manifest.examples) {
    const Image image = read_image(dir / "set" / example.image);
    CHECK(image.width == 32);
    // Of the attractor's own box a fifth; here it has margins and is varied.
    CHECK(filled(image) > 0.05);
    all.insert(image.pixels);
  }
  CHECK(all.size() == 60);
}

TEST_CASE("fractals refuse what they cannot make, and folders of others") {
  const TempDir dir;
  FractalOptions options = small(1, 1);
  options.classes = 1;
  CHECK(input_error([&] { make_fractals(dir / "x", options); }) ==
        "fractals: the number of classes is 1, expected 2 to 10000");
  dir.write("other/file.txt", "mine");
  CHECK(input_error([&] { make_fractals(dir / "other", small(1, 1)); }) ==
        (dir / "other").string() +
            ": the folder is not empty and holds no fractals; choose another");
  make_fractals(dir / "set", small(1, 1));
  CHECK(input_error([&] { make_fractals(dir / "set", small(2, 1)); }).find("with other options") !=
        std::string::npos);
}
