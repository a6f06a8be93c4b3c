#include "tasks/shown_slice.h"

#include "catch.h"
#include "data/volume_stacks.h"
#include "models/model.h"
#include "models/tokenizer_files.h"
#include "support/tiny_sam.h"
#include "support/volume_files.h"
#include "tasks/answer_classification.h"
#include "tasks/segmentation.h"
#include "tasks/segmentation_data.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::tasks;

namespace {

/// Volumes of slices along the last axis, whose values rise with the row; `marked` says in which
/// slices the label 2 fills rows 4 to 7.
struct Case {
  std::array<std::int64_t, 3> size;
  std::vector<std::int64_t> marked;
};

struct Site {
  test::TempDir dir;
  data::Manifest manifest;
  models::Model model = test::tiny_sam({"kidney", "tumor"});

  explicit Site(const std::vector<Case>& cases) {
    std::string lines = R"({"image":"0.nii.gz","mask":"m0.nii.gz","split":"train","client":"a"})";
    for (std::size_t i = 0; i < cases.size(); ++i) {
      const auto& [size, marked] = cases[i];
      data::Volume image;
      image.size = size;
      for (std::size_t v = 0; v < image.voxels(); ++v)
        image.values.push_back(static_cast<float>(v % static_cast<std::size_t>(size[0])) * 3);
      data::Mask mask{image, std::vector<std::uint8_t>(image.voxels())};
      for (const std::int64_t slice : marked)
        for (std::int64_t column = 0; column < size[1]; ++column)
          for (std::int64_t row = 4; row < 8; ++row)
            mask.labels[static_cast<std::size_t>(row + size[0] * (column + size[1] * slice))] = 2;
      const std::string name = std::to_string(i) + ".nii.gz";
      data::write_nifti(dir / name, image, data::VoxelType::kFloat32);
      data::write_nifti(dir / ("m" + name), mask);
      lines += "\n{\"image\":\"" + name + "\",\"mask\":\"m" + name +
               "\",\"split\":\"test\",\"client\":\"a\"}";
    }
    dir.write("dataset.json",
              R"({"version":1,"name":"x","synthetic":true,"classes":["kidney","tumor"]})");
    dir.write("manifest.jsonl", lines);
    data::LoadOptions options;
    options.reading = data::Reading::kMasks;
    manifest = data::load_data(dir.path(), options);
  }

  std::unique_ptr<Dataset> test() const {
    static const data::WordPiece none = models::no_tokenizer();
    return segmentation()->encode(split_of(manifest, data::kTestSplit).examples,
                                  {manifest, model.blueprint(), none});
  }
};

struct Shown {
  std::unique_ptr<Dataset> data;
  std::vector<Prediction> predictions;
  std::optional<ShownSlice> slice;

  explicit Shown(const Site& site) : data(site.test()) {
    segmentation()->evaluate(site.model, *data, nullptr, &predictions);
    slice = shown_slice(*data, predictions);
  }
};

}  // namespace

TEST_CASE("a site shows the middle of its largest true mask, beside what the model says") {
  // Of the second volume slices 1, 2 and 5 have something, the middle one is 2.
  const Site site({{{20, 24, 6}, {3}}, {{20, 24, 7}, {1, 2, 5}}, {{20, 24, 7}, {0, 1, 2}}});
  const Shown shown(site);
  REQUIRE(shown.slice);
  CHECK(shown.slice->volume == "1.nii.gz");
  CHECK(shown.slice->slice == 2);
  const data::LabelPlanes& planes = shown.slice->planes;
  REQUIRE((planes.count == 3 && planes.height == 20 && planes.width == 24));
  for (std::int64_t row = 0; row < 20; ++row) {
    CHECK(planes.at(1, row, 5) == (row >= 4 && row < 8 ? 2 : 0));
    CHECK(std::abs(planes.at(0, row, 5) - 255.0 * static_cast<double>(row) / 19) < 3);
  }
  const data::LabelPlanes found = data::slices_of(*shown.predictions[1].mask, 2);
  CHECK(std::equal(planes.plane(2), planes.plane(2) + planes.area(), found.plane(2)));
  CHECK(std::count(planes.plane(2), planes.plane(2) + planes.area(), 0) <
        static_cast<std::ptrdiff_t>(planes.area()));
}

TEST_CASE("a site without any true mask shows the middle of its first volume") {
  const Shown shown(Site({{{20, 24, 6}, {}}, {{20, 24, 3}, {}}}));
  REQUIRE(shown.slice);
  CHECK(shown.slice->volume == "0.nii.gz");
  CHECK(shown.slice->slice == 3);
}

TEST_CASE("a large slice is shown smaller, in its proportions") {
  const Shown shown(Site(std::vector<Case>{{{20, 1024, 3}, {1}}}));
  REQUIRE(shown.slice);
  CHECK(shown.slice->planes.width == 256);
  CHECK(shown.slice->planes.height == 5);
}

TEST_CASE("only volumes have slices to show") {
  CHECK(shows_slices(*segmentation()));
  CHECK_FALSE(shows_slices(*answer_classification()));
}
