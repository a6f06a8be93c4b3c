#include "data/nifti.h"

#include <array>
#include <cmath>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <sstream>

#include "data/gzip_stream.h"
#include "strata/core/random.h"
#include "support/error_text.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::data;
using namespace strata::test;

namespace {

const std::filesystem::path kRecorded =
    std::filesystem::path(STRATA_SOURCE_DIR) / "tests/reference/nifti";

nlohmann::json recorded(const std::string& group) {
  return nlohmann::json::parse(slurp(kRecorded / "nifti.json"))[group];
}

void check_as_recorded(const std::filesystem::path& path, const nlohmann::json& entry) {
  INFO(path.string());
  const Volume volume = read_nifti(path);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(volume.size[i] == entry["size"][i].get<std::int64_t>());
    double squares = 0;
    for (std::size_t j = 0; j < 4; ++j)
      CHECK(volume.affine[i][j] == Approx(entry["affine"][i][j].get<double>()).margin(2e-6));
    for (std::size_t j = 0; j < 3; ++j) squares += std::pow(volume.affine[j][i], 2);
    CHECK(volume.spacing[i] == Approx(std::sqrt(squares)));
  }
  REQUIRE(volume.values.size() == volume.voxels());
  const double sum = std::accumulate(volume.values.begin(), volume.values.end(), 0.0);
  CHECK(sum == Approx(entry["sum"].get<double>()).margin(1e-6));
  for (std::size_t i = 0; i < entry["places"].size(); ++i)
    CHECK(volume.values[entry["places"][i].get<std::size_t>()] == entry["values"][i].get<float>());
}

/// A file of NIfTI-1 with 2 x 3 x 2 voxels, 0 to 11, whose header is this machine's to patch.
struct Patched {
  TempDir folder;
  std::string bytes;

  Patched() {
    Volume volume;
    volume.size = {2, 3, 2};
    for (int i = 0; i < 12; ++i) volume.values.push_back(static_cast<float>(i));
    volume.space = 1;
    write_nifti(folder / "whole.nii", volume, VoxelType::kInt16);
    bytes = slurp(folder / "whole.nii");
  }
  template <typename Number>
  std::string with(std::size_t at, Number value) const {
    std::string changed = bytes;
    std::memcpy(changed.data() + at, &value, sizeof value);
    return changed;
  }
  std::string error(const std::string& content, const char* name = "a.nii") const {
    const auto path = folder.write(name, content);
    const std::string text = input_error([&] { read_nifti(path); });
    CHECK(text.rfind(path.string() + ": ", 0) == 0);
    return text.substr(path.string().size() + 2);
  }
};

}  // namespace

TEST_CASE("every type of voxels in either byte order and version is read as nibabel reads it") {
  const auto files = recorded("made");
  CHECK(files.size() == 45);
  CHECK(slurp(kRecorded / "v1_big_int16.nii").substr(0, 4) == std::string("\0\0\x01\x5c", 4));
  for (const auto& [name, entry] : files.items()) check_as_recorded(kRecorded / name, entry);
}

TEST_CASE("real volumes are read as nibabel reads them, and those with times are refused") {
  const auto folder = shared_data("nifti");
  if (folder.empty()) return;
  const auto files = recorded("shared");
  for (const auto& [name, entry] : files.items()) check_as_recorded(folder / name, entry);
  const auto error = [&](const char* name) {
    return input_error([&] { read_nifti(folder / name); });
  };
  CHECK(contains(error("example4d.nii.gz"),
                 "example4d.nii.gz: dim: found 4 dimensions (128 x 96 x 24 x 2); a volume has 3, "
                 "and further ones of length 1"));
  CHECK(contains(error("example_nifti2.nii.gz"), "found 4 dimensions (32 x 20 x 12 x 2)"));
  CHECK(contains(error("functional.nii"), "found 4 dimensions (17 x 21 x 3 x 20)"));
  const VolumeGrid grid = read_nifti_header(folder / "anatomical.nii");
  CHECK(grid.size == std::array<std::int64_t, 3>{33, 41, 25});
  CHECK(grid.space == 2);
}

TEST_CASE_METHOD(Patched, "units, scaling and the lack of any form") {
  const auto read = [&](const std::string& content) {
    return read_nifti(folder.write("b.nii", content));
  };
  CHECK(read(with<char>(123, 1)).spacing == std::array<double, 3>{1000, 1000, 1000});
  CHECK(read(with<char>(123, 3 + 8)).spacing[1] == Approx(0.001));
  CHECK(read(with<char>(123, 0)).spacing[2] == 1);
  CHECK(read(with<float>(112, 0)).values[5] == 5);
  CHECK(read(with<float>(112, std::nanf(""))).values[5] == 5);
  CHECK(read(with<float>(112, 3)).values[5] == 15);
  bytes = with<float>(116, -4);
  CHECK(read(with<float>(112, 3)).values[5] == 11);
  // Neither form: the voxels' size alone.
  bytes = with<std::int32_t>(252, 0);
  const Volume bare = read(with<float>(84, 7));
  CHECK(bare.affine == VoxelToSpace{{{1, 0, 0, 0}, {0, 7, 0, 0}, {0, 0, 1, 0}}});
  CHECK(bare.space == 0);
}

TEST_CASE_METHOD(Patched, "what is no volume is refused in one line") {
  CHECK(contains(error(""), "is no NIfTI file (.nii, .nii.gz)"));
  CHECK(contains(error(std::string(400, 'x')), "is no NIfTI file (.nii, .nii.gz)"));
  CHECK(contains(error(std::string(128, '\0') + "DICM" + std::string(300, '\0')),
                 "is a DICOM file, no NIfTI file (.nii, .nii.gz); make NIfTI of it with dcm2niix"));
  CHECK(contains(error(with<std::int32_t>(344, 0)), "is an Analyze 7.5 file"));
  CHECK(contains(error(with<char>(345, 'i')), "is one of a pair of NIfTI files (.hdr and .img)"));
  CHECK(contains(error("\x89PNG\r\n\x1a\n    "), "is a picture, no NIfTI file"));
  CHECK(error(bytes.substr(0, 300)) ==
        "the NIfTI header ends after 300 of 348 bytes; the file is cut off");
  CHECK(error(bytes.substr(0, 350)) == "ends before its voxels; it is cut off");
  CHECK(error(bytes.substr(0, 359)) == "ends after 3 of 12 voxels; it is cut off");
  CHECK(error(bytes + "x") == "goes on behind its 12 voxels");
  const std::string packed = gzip_file(bytes, true);
  CHECK(read_nifti(folder.write("good.nii.gz", packed)).values[11] == 11);
  CHECK(error(packed.substr(0, packed.size() - 9), "a.nii.gz") ==
        "the packed file ends too early; it is cut off");
  CHECK(error(packed.substr(0, packed.size() - 1), "a.nii.gz") ==
        "the packed file ends too early; it is cut off");
  CHECK(error(packed + "xy", "a.nii.gz") == "the packed file goes on behind its end");
  CHECK(error(packed + packed, "a.nii.gz") == "goes on behind its 12 voxels");
  std::string damaged = packed;
  damaged[damaged.size() - 6] ^= 1;
  CHECK(contains(error(damaged, "a.nii.gz"), "the packed file is damaged (incorrect data check)"));
  CHECK(contains(input_error([&] { read_nifti(folder / "none.nii"); }), "none.nii: no such file"));
  CHECK(contains(input_error([&] { read_nifti(folder.path()); }), ": cannot be read"));
}

TEST_CASE_METHOD(Patched, "fields that are out of range or contradict each other") {
  CHECK(error(with<std::int16_t>(40, 2)) ==
        "dim: found 2 dimensions (2 x 3); a volume has 3, and further ones of length 1");
  CHECK(contains(error(with<std::int16_t>(40, 9)), "dim: found 9 dimensions"));
  CHECK(error(with<std::int16_t>(44, 0)) ==
        "dim: found 2 x 0 x 2 voxels; at least 1 along each axis");
  const std::array<std::int16_t, 3> large = {32767, 32767, 32767};
  CHECK(error(with(42, large)) ==
        "dim: found 32767 x 32767 x 32767 voxels; at most 268435456 in all can be read");
  CHECK(contains(error(with<std::int16_t>(70, 128)),
                 "datatype: found 128, expected one of 2, 4, 8, 16, 64, 256"));
  CHECK(error(with<std::int16_t>(72, 8)) == "bitpix: found 8, but datatype 4 has 16");
  CHECK(error(with<float>(108, 351)) ==
        "vox_offset: found 351, expected a whole number from 352 to 268435456");
  CHECK(contains(error(with<float>(108, 352.5)), "vox_offset: found 352.5"));
  CHECK(error(with<float>(108, 1000)) == "ends before its voxels; it is cut off");
  CHECK(contains(error(with<std::int16_t>(254, 17)), "sform_code: found 17, expected 0 to 5"));
  CHECK(contains(error(with<float>(280, 0)), "affine: the voxels have no length along axis 1"));
  CHECK(contains(error(with<float>(284, std::nanf(""))), "affine: found nan"));
  CHECK(contains(error(with<char>(123, 5)), "xyzt_units: found 5 for lengths"));
  bytes = with<float>(112, 2);
  CHECK(contains(error(with<float>(116, INFINITY)), "scl_inter: found inf beside a slope of 2"));
  bytes = with<std::int16_t>(254, 0);
  CHECK(contains(error(with<float>(256, 1.5)), "quatern: found (1.5, 0, 0)"));
  CHECK(contains(error(with<float>(80, 0)), "pixdim: found 0 for axis 1"));
}

TEST_CASE_METHOD(Patched, "a voxel that is no number, or no label, is named") {
  Volume volume = read_nifti(folder / "whole.nii");
  volume.values[7] = std::nanf("");
  write_nifti(folder / "nan.nii", volume, VoxelType::kFloat32);
  CHECK(contains(input_error([&] { read_nifti(folder / "nan.nii"); }),
                 "voxel (1, 0, 1) is nan, expected a finite number"));
  CHECK(contains(input_error([&] { check_nifti(folder / "nan.nii"); }), "voxel (1, 0, 1)"));
  volume.values[7] = 0.5;
  write_nifti(folder / "half.nii", volume, VoxelType::kFloat32);
  CHECK(contains(input_error([&] { read_nifti_mask(folder / "half.nii", {11}); }),
                 "voxel (1, 0, 1) has the label 0.5, expected a whole number from 0 to 11"));
  CHECK(contains(input_error([&] { read_nifti_mask(folder / "whole.nii", {2}); }),
                 "voxel (1, 1, 0) has the label 3, expected a whole number from 0 to 2"));
  const Mask clipped = read_nifti_mask(folder / "whole.nii", {2, /*higher_is_last=*/true});
  CHECK(clipped.labels == std::vector<std::uint8_t>{0, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2});
  CHECK(contains(input_error([&] { write_nifti(folder / "c.nii", volume, VoxelType::kUint8); }),
                 "c.nii: voxel (1, 0, 1) is 0.5, which the type of the file cannot hold"));
  CHECK_FALSE(std::filesystem::exists(folder / "c.nii"));
  volume.values[7] = -1;
  CHECK(contains(input_error([&] { write_nifti(folder / "c.nii", volume, VoxelType::kUint16); }),
                 "is -1"));
}

TEST_CASE_METHOD(Patched, "what is written on an input's grid is read back from it") {
  for (const char* name : {"v1_big_int16.nii", "q_form.nii", "q_form_mirrored.nii"}) {
    INFO(name);
    const Volume volume = read_nifti(kRecorded / name);
    for (const auto type : {VoxelType::kInt16, VoxelType::kFloat64, VoxelType::kInt64}) {
      for (const char* written : {"out.nii", "out.nii.gz"}) {
        write_nifti(folder / written, volume, type);
        const Volume back = read_nifti(folder / written);
        CHECK(back.values == volume.values);
        CHECK(back.size == volume.size);
        CHECK(back.space == volume.space);
        for (std::size_t i = 0; i < 3; ++i)
          for (std::size_t j = 0; j < 4; ++j)
            CHECK(back.affine[i][j] == Approx(volume.affine[i][j]).margin(1e-6));
      }
    }
    // The q-form says the same as the s-form where it can.
    std::string bytes = slurp(folder / "out.nii.gz");
    std::istringstream in(bytes);
    std::string raw(400, '\0');
    GzipStream(in, "out").read(raw.data(), raw.size());
    const bool turned = std::string(name)[0] == 'q';
    CHECK((raw[252] != 0) == turned);
    if (!turned) continue;
    raw[254] = 0;
    raw.append(std::string(24 * 8 - 48, '\0'));
    const VolumeGrid by_q = read_nifti_header(folder.write("q.nii", raw));
    for (std::size_t i = 0; i < 3; ++i)
      for (std::size_t j = 0; j < 4; ++j)
        CHECK(by_q.affine[i][j] == Approx(volume.affine[i][j]).margin(1e-5));
  }
  Mask mask{read_nifti_header(folder / "whole.nii"), std::vector<std::uint8_t>(12, 1)};
  mask.labels[3] = 2;
  write_nifti(folder / "mask.nii.gz", mask, NiftiPacking::kStored);
  CHECK(read_nifti_mask(folder / "mask.nii.gz", {2}).labels == mask.labels);
  CHECK(slurp(folder / "mask.nii.gz").substr(4, 4) == std::string(4, '\0'));
}

TEST_CASE_METHOD(Patched, "an axis that is too long for NIfTI-1 makes the file NIfTI-2") {
  Volume volume;
  volume.size = {40000, 1, 1};
  volume.space = 1;
  volume.affine[0][3] = 0.1;
  volume.values.assign(40000, 7);
  write_nifti(folder / "long.nii.gz", volume, VoxelType::kUint8);
  const Volume back = read_nifti(folder / "long.nii.gz");
  CHECK(back.size == volume.size);
  CHECK(back.affine == volume.affine);
  CHECK(back.values == volume.values);
  CHECK(slurp(folder / "long.nii.gz").size() < 600);
}

TEST_CASE_METHOD(Patched, "damaged files of all kinds are refused or read, never more") {
  Random random(5);
  int read = 0;
  const std::vector<std::string> seeds = {bytes, slurp(kRecorded / "v2_big_float32.nii"),
                                          slurp(kRecorded / "scaled.nii.gz"),
                                          slurp(kRecorded / "q_form.nii")};
  for (int round = 0; round < 4000; ++round) {
    std::string file = seeds[random.below(seeds.size())];
    for (std::uint64_t i = random.below(4); i + 1 > 0; --i)
      file[random.below(file.size())] = static_cast<char>(random.below(256));
    if (random.below(4) == 0) file.resize(random.below(file.size()));
    std::istringstream in(file);
    try {
      const Volume volume = read_nifti(in, "fuzz");
      CHECK(volume.values.size() == volume.voxels());
      ++read;
    } catch (const InputError&) {
    }
  }
  CHECK(read > 300);
}
