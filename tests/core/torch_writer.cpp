#include "core/torch_writer.h"

#include "catch.h"
#include "core/torch_file.h"
#include "core/zip.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"
#include "temp_dir.h"

using namespace strata;
using Catch::Matchers::Contains;
using strata::test::TempDir;

namespace {

const std::string kNumbers = "abcdefghijklmnopqrstuvwx", kOne = "12345678";

std::vector<TensorView> tensors() {
  return {{"image_encoder.pos_embed", Dtype::kF32, {1, 2, 3}, kNumbers},
          {"scalar", Dtype::kF64, {}, kOne},
          {"short", Dtype::kBF16, {2, 2}, kOne},
          {"empty", Dtype::kF32, {0, 4}, ""},
          {"whole", Dtype::kI64, {1}, kOne},
          {"flags", Dtype::kBool, {2}, std::string_view("\0\1", 2)}};
}

}  // namespace

TEST_CASE("a checkpoint is read as it was written, by itself or under a key") {
  const TempDir dir;
  for (const std::string key : {"", "state_dict"}) {
    CAPTURE(key);
    write_torch_file(dir / "a.pth", tensors(), key);
    const TorchFile file(dir / "a.pth");
    const auto expected = tensors();
    REQUIRE(file.tensors().size() == expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i) {
      const TensorEntry& entry = file.tensors()[i];
      CHECK(entry.name == expected[i].name);
      CHECK(entry.dtype == expected[i].dtype);
      CHECK(entry.shape == expected[i].shape);
      CHECK(file.bytes(entry) == expected[i].bytes);
      CHECK(file.layout(entry).contiguous);
      CHECK_FALSE(file.layout(entry).shared);
    }
  }
}

TEST_CASE("entries are stored, begin at multiples of 64 and have their checksums") {
  const TempDir dir;
  write_torch_file(dir / "a.pth", tensors());
  const auto entries = read_zip_directory(dir / "a.pth", "checkpoints");
  const std::string bytes = read_file(dir / "a.pth");
  REQUIRE(entries.size() == 9);
  CHECK(entries.front().name == "archive/data.pkl");
  CHECK(entries[2].name == "archive/data/0");
  CHECK(entries.back().name == "archive/version");
  for (const ZipEntry& entry : entries) {
    CAPTURE(entry.name);
    CHECK(entry.offset % 64 == 0);
    CHECK_FALSE(entry.deflated);
  }
  CHECK(bytes.substr(entries.back().offset, entries.back().size) == "3\n");
  CHECK(entries.back().crc == 0x55679ed1);
  write_torch_file(dir / "b.pth", tensors());
  CHECK(read_file(dir / "b.pth") == bytes);
}

TEST_CASE("what no such file can hold is refused, and nothing is written") {
  const TempDir dir;
  auto twice = tensors();
  twice[1].name = twice[0].name;
  CHECK_THROWS_WITH(write_torch_file(dir / "a.pth", twice),
                    Contains("a.pth: two tensors are called \"image_encoder.pos_embed\""));
  auto huge = tensors();
  huge[0].bytes = std::string_view(kNumbers.data(), std::size_t{1} << 32);
  CHECK_THROWS_WITH(write_torch_file(dir / "a.pth", huge), Contains("more than the 4 GiB"));
  CHECK_FALSE(std::filesystem::exists(dir / "a.pth"));
}
