#include "fedrunner/staged_folder.h"

#include <filesystem>

#include "catch.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::fedrunner;
namespace fs = std::filesystem;

namespace {

constexpr const char* kStage = "out/.model.strata-tmp-1-0/";

/// A folder in which a kill came after the first of three files had been moved.
void leave_half(const test::TempDir& dir) {
  dir.write("out/notes.txt", "mine");
  dir.write("out/vocab.txt", "moved");
  const std::string stage = kStage;
  dir.write(stage + ".moving", "vocab.txt\nmodel.safetensors\nconfig.json\n");
  dir.write(stage + "model.safetensors", "not yet");
  dir.write(stage + "config.json", "not yet");
}

}  // namespace

TEST_CASE("what a kill between two moves left goes, and nothing else") {
  const test::TempDir dir;
  leave_half(dir);
  CHECK(remove_stale_stages(dir / "out", "config.json"));
  CHECK_FALSE(fs::exists(dir / kStage));
  CHECK_FALSE(fs::exists(dir / "out/vocab.txt"));
  CHECK_FALSE(fs::exists(dir / "out/config.json"));
  CHECK(fs::exists(dir / "out/notes.txt"));
  CHECK_FALSE(remove_stale_stages(dir / "out", "config.json"));
}

TEST_CASE("a stage whose last file was moved is whole") {
  const test::TempDir dir;
  leave_half(dir);
  fs::rename(dir / (std::string(kStage) + "model.safetensors"), dir / "out/model.safetensors");
  fs::rename(dir / (std::string(kStage) + "config.json"), dir / "out/config.json");
  CHECK(remove_stale_stages(dir / "out", "config.json"));
  CHECK_FALSE(fs::exists(dir / kStage));
  for (const char* name : {"out/vocab.txt", "out/model.safetensors", "out/config.json"})
    CHECK(fs::exists(dir / name));
}

TEST_CASE("a file that was there before the stage is not taken for one that was moved") {
  const test::TempDir dir;
  dir.write("out/vocab.txt", "mine");
  dir.write(std::string(kStage) + "vocab.txt", "not moved");
  dir.write(std::string(kStage) + "config.json", "not moved");
  CHECK(remove_stale_stages(dir / "out", "config.json"));
  CHECK(fs::exists(dir / "out/vocab.txt"));
}
