// libFuzzer's entry point for the reader of NIfTI files. The first byte says how the rest is read:
// as a file, as what is packed in one (mutations of a packed file seldom unpack), or as a mask. A
// reader may refuse with InputError; anything else (another exception, a sanitizer's report, more
// or fewer values than voxels) is a defect. What has been read is written and read again.
//
//   fuzz_nifti -runs=5000 -seed=1 tests/fuzz/corpus/nifti     as the test runs it
//   fuzz_nifti -max_total_time=3600 MY_CORPUS tests/fuzz/corpus/nifti     by hand

#include "data/nifti.h"

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <sstream>
#include <string>

#include "data/gzip_stream.h"
#include "strata/core/error.h"

namespace {

using namespace strata::data;

void require(bool holds) {
  if (!holds) std::abort();
}

void check_grid(const VolumeGrid& grid) {
  for (std::size_t i = 0; i < 3; ++i) require(grid.size[i] > 0 && grid.spacing[i] > 0);
  const std::string header = nifti_header_bytes(grid, VoxelType::kFloat32);
  const NiftiHeader again = parse_nifti_header(header, "written");
  require(again.grid.size == grid.size && again.type == VoxelType::kFloat32 && !again.swapped);
}

void check_volume(const std::string& bytes) {
  std::istringstream in(bytes);
  const Volume volume = read_nifti(in, "fuzz");
  require(volume.values.size() == volume.voxels());
  for (const float value : volume.values) require(std::isfinite(value));
  check_grid(volume);
}

void check_mask(const std::string& bytes) {
  std::istringstream in(bytes);
  const Mask mask = read_nifti_mask(in, "fuzz", {3});
  require(mask.labels.size() == mask.voxels());
  for (const std::uint8_t label : mask.labels) require(label <= 3);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string bytes(reinterpret_cast<const char*>(data + 1), size - 1);
  try {
    switch (data[0] % 3) {
      case 0:
        check_volume(bytes);
        break;
      case 1:
        check_volume(gzip_file(bytes, /*packed=*/false));
        break;
      default:
        check_mask(bytes);
    }
  } catch (const strata::InputError&) {
  }
  return 0;
}
