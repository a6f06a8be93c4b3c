// Written volumes as libnifti reads them: its nifti_tool, which scripts/install-dependencies
// --tests installs.
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <sstream>

#include "catch.h"
#include "data/nifti.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::data;
using namespace strata::test;

namespace {

struct Said {
  std::string text;
  int status = -1;
};

Said nifti_tool(const std::string& arguments, const std::filesystem::path& file) {
  const std::string command = "nifti_tool " + arguments + " -infiles '" + file.string() + "' 2>&1";
  FILE* pipe = ::popen(command.c_str(), "r");
  REQUIRE(pipe);
  Said said;
  std::array<char, 4096> part{};
  while (const std::size_t count = std::fread(part.data(), 1, part.size(), pipe))
    said.text.append(part.data(), count);
  said.status = ::pclose(pipe);
  return said;
}

/// The numbers of the text's last lines, one a line.
std::vector<double> last_numbers(const std::string& text, std::size_t count) {
  std::istringstream lines(text);
  std::vector<double> numbers;
  for (std::string line; std::getline(lines, line);) {
    char* end = nullptr;
    const double number = std::strtod(line.c_str(), &end);
    if (end != line.c_str() && line.find_first_not_of(" \r", end - line.c_str()) == line.npos)
      numbers.push_back(number);
  }
  REQUIRE(numbers.size() >= count);
  return {numbers.end() - static_cast<std::ptrdiff_t>(count), numbers.end()};
}

/// The four numbers of a row of the s-form.
std::array<double, 4> row_of(const std::filesystem::path& file, const std::string& field) {
  const Said said = nifti_tool("-disp_nim -field sto_xyz", file);
  std::istringstream rows(said.text.substr(said.text.find("sto_xyz")));
  std::string word;
  std::vector<double> numbers;
  while (rows >> word) {
    char* end = nullptr;
    const double number = std::strtod(word.c_str(), &end);
    if (end != word.c_str() && *end == '\0') numbers.push_back(number);
  }
  REQUIRE(numbers.size() >= 16);
  const std::size_t first = numbers.size() - 16 + 4 * static_cast<std::size_t>(field[0] - 'x');
  return {numbers[first], numbers[first + 1], numbers[first + 2], numbers[first + 3]};
}

bool is_there() {
  if (std::system("nifti_tool -help >/dev/null 2>&1") == 0) return true;
  WARN("nifti_tool is not installed (Debian's nifti-bin): what is written is not read by libnifti");
  return false;
}

Volume written() {
  Volume volume;
  volume.size = {5, 4, 3};
  volume.spacing = {0.5, 2, 3};
  volume.space = 1;
  // Turned about the third axis, and moved.
  const double c = std::cos(0.3), s = std::sin(0.3);
  volume.affine = {{{0.5 * c, -2 * s, 0, -10}, {0.5 * s, 2 * c, 0, 20.5}, {0, 0, 3, 7}}};
  for (int i = 0; i < 60; ++i) volume.values.push_back(static_cast<float>((37 * i) % 101));
  return volume;
}

}  // namespace

TEST_CASE("libnifti reads every type of voxel that is written, packed and not, with its place") {
  if (!is_there()) return;
  const TempDir folder;
  const Volume volume = written();
  for (const auto type :
       {VoxelType::kUint8, VoxelType::kInt16, VoxelType::kInt32, VoxelType::kFloat32,
        VoxelType::kFloat64, VoxelType::kInt8, VoxelType::kUint16, VoxelType::kUint32,
        VoxelType::kInt64, VoxelType::kUint64}) {
    for (const char* name : {"out.nii", "out.nii.gz"}) {
      CAPTURE(static_cast<int>(type), name);
      write_nifti(folder / name, volume, type);
      const Said good = nifti_tool("-check_hdr -check_nim", folder / name);
      CHECK(good.status == 0);
      CHECK_THAT(good.text, Catch::Matchers::Contains("header IS GOOD") &&
                                Catch::Matchers::Contains("nifti_image IS GOOD"));
      if (type == VoxelType::kUint64) continue;  // of which nifti_tool shows no numbers
      for (const auto& [j, k] : {std::pair{0, 0}, std::pair{3, 1}, std::pair{2, 2}}) {
        const Said row = nifti_tool(
            "-disp_ci -1 " + std::to_string(j) + " " + std::to_string(k) + " 0 0 0 0 -dci_lines",
            folder / name);
        const auto found = last_numbers(row.text, 5);
        for (int i = 0; i < 5; ++i)
          CHECK(found[static_cast<std::size_t>(i)] ==
                volume.values[static_cast<std::size_t>(i + 5 * (j + 4 * k))]);
      }
    }
  }
  for (const char* name : {"out.nii", "out.nii.gz"}) {
    for (std::size_t r = 0; r < 3; ++r) {
      const auto row = row_of(folder / name, std::string(1, static_cast<char>('x' + r)));
      for (std::size_t c = 0; c < 4; ++c) CHECK(row[c] == Approx(volume.affine[r][c]).margin(1e-5));
    }
  }
}

TEST_CASE("libnifti reads the NIfTI-2 that a long axis makes, and masks") {
  if (!is_there()) return;
  const TempDir folder;
  Volume long_one;
  long_one.size = {40000, 1, 1};
  long_one.space = 1;
  long_one.values.assign(40000, 7);
  long_one.values[39999] = 9;
  write_nifti(folder / "long.nii.gz", long_one, VoxelType::kUint8);
  CHECK(nifti_tool("-check_hdr -check_nim", folder / "long.nii.gz").status == 0);
  CHECK(last_numbers(
            nifti_tool("-disp_ci 39999 0 0 0 0 0 0 -dci_lines", folder / "long.nii.gz").text, 1)
            .front() == 9);
  Mask mask{written(), std::vector<std::uint8_t>(60, 0)};
  mask.labels[7] = 2;
  write_nifti(folder / "mask.nii.gz", mask, NiftiPacking::kStored);
  const auto row = last_numbers(
      nifti_tool("-disp_ci -1 1 0 0 0 0 0 -dci_lines", folder / "mask.nii.gz").text, 5);
  CHECK(row == std::vector<double>{0, 0, 2, 0, 0});
}
