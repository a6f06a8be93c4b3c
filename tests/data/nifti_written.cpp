// Volumes of every type of voxels on every kind of grid are written, with what they hold beside
// them. STRATA_WRITE_NIFTI=FOLDER keeps them: tests/reference/nifti_written.py reads them by
// nibabel.
#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "catch.h"
#include "data/nifti.h"
#include "strata/core/random.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::data;
using nlohmann::json;

namespace {

struct Kind {
  const char* name;
  VoxelType type;
  double least, largest;
  bool whole;
};

const Kind kVoxelKinds[] = {
    {"uint8", VoxelType::kUint8, 0, 255, true},
    {"int8", VoxelType::kInt8, -128, 127, true},
    {"int16", VoxelType::kInt16, -32768, 32767, true},
    {"uint16", VoxelType::kUint16, 0, 65535, true},
    {"int32", VoxelType::kInt32, -16777216, 16777216, true},
    {"uint32", VoxelType::kUint32, 0, 16777216, true},
    {"int64", VoxelType::kInt64, -16777216, 16777216, true},
    {"uint64", VoxelType::kUint64, 0, 16777216, true},
    {"float32", VoxelType::kFloat32, -1e6, 1e6, false},
    {"float64", VoxelType::kFloat64, -1e6, 1e6, false},
};

/// Columns of these lengths, turned about two axes, the third one mirrored or not.
VolumeGrid turned(bool mirrored) {
  VolumeGrid grid;
  grid.size = {7, 5, 4};
  grid.spacing = {0.8, 1.25, 3};
  const double a = 0.4, b = -0.7, sign = mirrored ? -1 : 1;
  const double turn[3][3] = {{std::cos(a), -std::sin(a) * std::cos(b), std::sin(a) * std::sin(b)},
                             {std::sin(a), std::cos(a) * std::cos(b), -std::cos(a) * std::sin(b)},
                             {0, std::sin(b), std::cos(b)}};
  for (std::size_t i = 0; i < 3; ++i) {
    for (std::size_t j = 0; j < 3; ++j)
      grid.affine[i][j] = turn[i][j] * grid.spacing[j] * (j == 2 ? sign : 1);
    grid.affine[i][3] = 10.25 * (static_cast<double>(i) - 1.5);
  }
  grid.space = 1;
  return grid;
}

/// One that no q-form can say.
VolumeGrid sheared() {
  VolumeGrid grid;
  grid.size = {3, 6, 2};
  grid.affine = {{{-1.5, 0.2, 0.1, 10}, {0.3, 2, 0, -20}, {0, 0.1, 3, 30}}};
  for (std::size_t j = 0; j < 3; ++j) {
    const auto& affine = grid.affine;
    grid.spacing[j] = std::hypot(affine[0][j], affine[1][j], affine[2][j]);
  }
  grid.space = 4;
  return grid;
}

/// Longer than NIfTI-1 can say.
VolumeGrid long_one() {
  VolumeGrid grid = turned(false);
  grid.size = {40000, 1, 2};
  return grid;
}

Volume drawn(const VolumeGrid& grid, const Kind& kind, Random& random) {
  Volume volume{grid, {}};
  for (std::size_t i = 0; i < grid.voxels(); ++i) {
    const double value = i == 0   ? kind.least
                         : i == 1 ? kind.largest
                                  : random.uniform(kind.least, kind.largest);
    volume.values.push_back(static_cast<float>(kind.whole ? std::trunc(value) : value));
  }
  return volume;
}

json entry(const std::string& file, const VolumeGrid& grid, const std::string& type) {
  return {{"file", file},
          {"type", type},
          {"size", grid.size},
          {"affine", grid.affine},
          {"spacing", grid.spacing},
          {"space", grid.space}};
}

}  // namespace

TEST_CASE("volumes of every type and grid are written with what they hold beside them") {
  const test::TempDir none;
  const char* kept = std::getenv("STRATA_WRITE_NIFTI");
  const std::filesystem::path folder = kept ? kept : none.path();
  std::filesystem::create_directories(folder);
  Random random(3);
  json written = json::array();
  const std::pair<const char*, VolumeGrid> grids[] = {{"turned", turned(false)},
                                                      {"mirrored", turned(true)},
                                                      {"sheared", sheared()},
                                                      {"long", long_one()}};
  for (const auto& [grid_name, grid] : grids) {
    for (const Kind& kind : kVoxelKinds) {
      const Volume volume = drawn(grid, kind, random);
      for (const char* end : {".nii", ".nii.gz"}) {
        const std::string file = std::string(grid_name) + "_" + kind.name + end;
        CAPTURE(file);
        write_nifti(folder / file, volume, kind.type);
        const Volume back = read_nifti(folder / file);
        CHECK(back.values == volume.values);
        CHECK(back.space == volume.space);
        for (std::size_t i = 0; i < 3; ++i)
          for (std::size_t j = 0; j < 4; ++j)
            CHECK(back.affine[i][j] == Approx(volume.affine[i][j]).margin(1e-6));
        written.push_back(entry(file, grid, kind.name));
        written.back()["values"] = volume.values;
      }
    }
    Mask mask{grid, {}};
    for (std::size_t i = 0; i < grid.voxels(); ++i)
      mask.labels.push_back(static_cast<std::uint8_t>(random.below(4)));
    const std::string file = std::string(grid_name) + "_mask.nii.gz";
    write_nifti(folder / file, mask, NiftiPacking::kStored);
    CHECK(read_nifti_mask(folder / file, {3}).labels == mask.labels);
    written.push_back(entry(file, grid, "uint8"));
    written.back()["values"] = mask.labels;
  }
  CHECK(written.size() == 4 * (2 * 10 + 1));
  std::ofstream(folder / "written.json") << written.dump();
}
