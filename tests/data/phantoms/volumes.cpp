#include "data/phantoms/volumes.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <set>

#include "data/mask_scores.h"
#include "data/volume_cases.h"
#include "data/volume_stacks.h"
#include "strata/core/sha256.h"
#include "support/error_text.h"
#include "support/folder_contents.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::data;
using namespace strata::test;

namespace {

VolumePhantomOptions small(const std::string& layout) {
  VolumePhantomOptions options;
  options.layout = layout;
  options.volumes = 14;
  options.size = 32;
  options.seed = 4;
  return options;
}

/// "site-A 1/1 site-B …": training and test volumes of each client.
std::string counts_of(const Manifest& manifest) {
  std::map<std::string, std::pair<int, int>> counts;
  for (const Example& example : manifest.examples)
    ++(example.trains() ? counts[example.client].first : counts[example.client].second);
  std::string text;
  for (const std::string& client : manifest.clients())
    text += (text.empty() ? "" : " ") + client + " " + std::to_string(counts[client].first) + "/" +
            std::to_string(counts[client].second);
  return text;
}

/// Mean brightness of a class; no number where no voxel has it.
double mean_of(const VolumeCase& read, int label) {
  double sum = 0, count = 0;
  for (std::size_t i = 0; i < read.mask.labels.size(); ++i)
    if (read.mask.labels[i] == label) {
      sum += read.image.values[i];
      ++count;
    }
  return sum / count;
}

}  // namespace

TEST_CASE(
    "volumes in each layout are what its reader reads, unequal sites with tests of their own") {
  const std::map<std::string, std::string> expected = {
      {"kits", "site-A 1/1 site-B 1/1 site-C 1/1 site-D 1/1 site-E 1/1 site-F 3/1"},
      {"ixi", "Guys 6/2 HH 3/1 IOP 1/1"},
      {"prostate", "RUNMC 1/1 BMC 2/1 I2CVB 2/1 UCL 1/1 BIDMC 1/1 HK 1/1"}};
  CHECK(volume_layouts().size() == expected.size());
  for (const auto& [layout, counts] : expected) {
    INFO(layout);
    const TempDir folder;
    const Manifest manifest = make_volumes(folder / "set", small(layout));
    CHECK(manifest.synthetic);
    CHECK(counts_of(manifest) == counts);
    std::set<std::int64_t> slices;
    for (const Example& example : manifest.examples) {
      const VolumeCase read = read_case(manifest, example);
      const int axis = manifest.volumes->slice_axis;
      const LabelPlanes planes = slices_of(read.mask, axis);
      CHECK(planes.height == 32);
      CHECK(planes.width == 32);
      slices.insert(planes.count);
      const auto labelled =
          read.mask.labels.size() -
          static_cast<std::size_t>(std::count(read.mask.labels.begin(), read.mask.labels.end(), 0));
      CHECK(labelled > 200);
      CHECK(labelled < read.mask.labels.size() / 2);
      CHECK(read.image.spacing[static_cast<std::size_t>(axis)] > 4);
      CHECK(std::abs(read.image.affine[0][axis == 0 ? 1 : 0]) > 0);
    }
    CHECK(slices.size() > 1);
    LoadOptions masks;
    masks.reading = Reading::kMasks;
    const Manifest solids = load_data(folder / "set/solids", masks);
    CHECK(solids.synthetic);
    CHECK(solids.examples.size() == 14);
    CHECK(solids.classes == std::vector<std::string>{"ellipsoid", "box"});
    int i = 0;
    for (const Example& example : solids.examples) {
      const VolumeCase read = read_case(solids, example);
      CHECK((mean_of(read, 2) > mean_of(read, 0)) == (i++ % 6 != 4));
    }
  }
}

TEST_CASE("stacks around the end slices of volumes, which show what the layout says they do") {
  // Of 14 volumes, those whose first and whose last slice show nothing of what is looked for.
  const std::map<std::string, std::pair<int, int>> expected = {
      {"kits", {13, 14}}, {"ixi", {0, 3}}, {"prostate", {14, 14}}};
  for (const auto& [layout, ends] : expected) {
    INFO(layout);
    const TempDir folder;
    const Manifest manifest = make_volumes(folder / "set", small(layout));
    std::pair<int, int> empty;
    for (const Example& example : manifest.examples) {
      INFO(example.image);
      const VolumeCase read = read_case(manifest, example);
      const int axis = manifest.volumes->slice_axis;
      const LabelPlanes masks = slices_of(read.mask, axis);
      const ImagePlanes images = slices_of(read.image, axis);
      const std::int64_t end = masks.count - 1;
      const auto shows = [&](std::int64_t slice) {
        return std::any_of(masks.plane(slice), masks.plane(slice) + masks.area(),
                           [](std::uint8_t label) { return label > 0; });
      };
      empty.first += !shows(0);
      empty.second += !shows(end);
      CHECK(shows(masks.count / 2));
      for (const auto& [slice, stack] :
           {std::pair{std::int64_t{0}, std::array<std::int64_t, 5>{0, 0, 0, 1, 2}},
            std::pair{end, std::array<std::int64_t, 5>{end - 2, end - 1, end, end, end}}}) {
        const LabelPlanes labels = stack_around(masks, slice);
        const ImagePlanes values = stack_around(images, slice);
        REQUIRE(labels.count == 5);
        REQUIRE(values.count == 5);
        for (std::int64_t place = 0; place < 5; ++place) {
          const std::int64_t from = stack[static_cast<std::size_t>(place)];
          CHECK(std::equal(labels.plane(place), labels.plane(place) + labels.area(),
                           masks.plane(from)));
          CHECK(std::equal(values.plane(place), values.plane(place) + values.area(),
                           images.plane(from)));
        }
      }
    }
    CHECK(empty == ends);
  }
}

TEST_CASE(
    "kidneys are brighter than what is around them, lesions than kidneys, but for one scanner") {
  const TempDir folder;
  VolumePhantomOptions options = small("kits");
  options.volumes = 36;
  const Manifest manifest = make_volumes(folder / "set", options);
  int ill = 0;
  for (const Example& example : manifest.examples) {
    const VolumeCase read = read_case(manifest, example);
    const bool inverted = example.client == "site-E";
    const double around = mean_of(read, 0), kidney = mean_of(read, 1), lesion = mean_of(read, 2);
    if (!inverted) CHECK(kidney > around + 20);
    if (std::isnan(lesion)) continue;
    ++ill;
    CHECK((lesion > kidney) != inverted);
  }
  CHECK(ill > 10);
  CHECK(ill < 32);
}

TEST_CASE("the bytes of volumes depend on the seed alone, not on the threads") {
  const TempDir folder;
  VolumePhantomOptions options = small("prostate");
  options.volumes = 12;
  options.threads = 1;
  make_volumes(folder / "one", options);
  options.threads = 5;
  make_volumes(folder / "five", options);
  CHECK(folder_contents(folder / "one") == folder_contents(folder / "five"));
  make_volumes(folder / "one", options);  // again, over itself
  CHECK(folder_contents(folder / "one") == folder_contents(folder / "five"));
  // The same on every machine.
  Sha256 sha;
  for (const auto& [name, content] : folder_contents(folder / "one")) {
    sha.update(name);
    sha.update(content);
  }
  CHECK(sha.hex() == "a22b48adf018718f84a6b9b8fdd0ff2915d380e004584ad258ff35d2b5013545");
  options.seed = 5;
  CHECK(contains(input_error([&] { make_volumes(folder / "five", options); }),
                 "the folder holds another data set or the volumes with other options"));
  options.layout = "kit";
  CHECK(contains(input_error([&] { make_volumes(folder / "six", options); }),
                 "volumes: the layout: unknown name \"kit\" (did you mean \"kits\"?)"));
  options = small("kits");
  options.volumes = 11;
  CHECK(contains(input_error([&] { make_volumes(folder / "six", options); }),
                 "volumes: the number of volumes is 11, expected 12 to 60"));
  CHECK_FALSE(std::filesystem::exists(folder / "six"));
}
