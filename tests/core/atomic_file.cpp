#include "strata/core/atomic_file.h"

#include "catch.h"
#include "strata/core/error.h"
#include "temp_dir.h"

using namespace strata;
namespace fs = std::filesystem;

namespace {
std::size_t files_in(const fs::path& folder) {
  return static_cast<std::size_t>(
      std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}
}  // namespace

TEST_CASE("a committed file is whole and leaves no temporary") {
  const test::TempDir dir;
  write_file(dir / "deep/er/file.txt", "content");
  CHECK(read_file(dir / "deep/er/file.txt") == "content");
  CHECK(files_in(dir / "deep/er") == 1);
  write_file(dir / "deep/er/file.txt", "replaced");
  CHECK(read_file(dir / "deep/er/file.txt") == "replaced");
}

TEST_CASE("an abandoned file leaves the old one and no temporary") {
  const test::TempDir dir;
  dir.write("file.txt", "old");
  {
    AtomicFile file(dir / "file.txt");
    file.stream() << "half";
  }
  CHECK(read_file(dir / "file.txt") == "old");
  CHECK(files_in(dir.path()) == 1);
}

TEST_CASE("a full disk is an error and keeps the old file") {
  if (!fs::exists("/dev/full")) return;
  const test::TempDir dir;
  dir.write("blocked", "a file where a folder is needed");
  CHECK_THROWS_AS(write_file(dir / "blocked/file.txt", "x"), WorkError);
  CHECK(test::slurp(dir / "blocked") == "a file where a folder is needed");
}

TEST_CASE("a folder or a device of the file's name is an error before anything is written") {
  const test::TempDir dir;
  fs::create_directory(dir / "taken");
  fs::create_symlink("/dev/null", dir / "device");
  CHECK_THROWS_WITH(AtomicFile(dir / "taken"), Catch::Contains("taken: cannot be written: is a "));
  CHECK_THROWS_WITH(AtomicFile(dir / "device"),
                    Catch::Contains("device: cannot be written: is no "));
  CHECK(files_in(dir.path()) == 2);
  CHECK(fs::is_symlink(dir / "device"));
}

TEST_CASE("a symbolic link stays one, and what it leads to is replaced") {
  const test::TempDir dir;
  dir.write("there/file.txt", "old");
  fs::create_symlink("there/file.txt", dir / "link.txt");
  write_file(dir / "link.txt", "new");
  CHECK(fs::is_symlink(dir / "link.txt"));
  CHECK(read_file(dir / "there/file.txt") == "new");
  CHECK(files_in(dir / "there") == 1);
}

TEST_CASE("a symbolic link to a file that is not there yet stays one and makes it") {
  const test::TempDir dir;
  fs::create_directory(dir / "there");
  fs::create_symlink("there/file.txt", dir / "link.txt");
  fs::create_symlink(dir / "link.txt", dir / "second.txt");
  write_file(dir / "second.txt", "new");
  CHECK(fs::is_symlink(dir / "second.txt"));
  CHECK(fs::is_symlink(dir / "link.txt"));
  CHECK(test::slurp(dir / "there/file.txt") == "new");
  CHECK(write_target(dir / "second.txt") == dir / "there/file.txt");
  CHECK(write_target(dir / "absent.txt") == dir / "absent.txt");
}

TEST_CASE("symbolic links that lead in a circle are refused, and stay") {
  const test::TempDir dir;
  fs::create_symlink("b", dir / "a");
  fs::create_symlink("a", dir / "b");
  CHECK_THROWS_WITH(write_file(dir / "a", "x"),
                    Catch::Contains("/a: cannot be written: Too many levels of symbolic links"));
  CHECK(fs::is_symlink(dir / "a"));
  CHECK(files_in(dir.path()) == 2);
}

TEST_CASE("a file's name may be as long as the file system allows") {
  const test::TempDir dir;
  std::string umlauts;
  for (int i = 0; i < 125; ++i) umlauts += "ä";
  for (const std::string& name : {std::string(255, 'x'), umlauts, "y" + umlauts}) {
    write_file(dir / name, "content");
    CHECK(read_file(dir / name) == "content");
  }
  CHECK(files_in(dir.path()) == 3);
  CHECK_THROWS_WITH(write_file(dir / std::string(256, 'x'), "x"),
                    Catch::Contains("cannot be written: File name too long"));
}

TEST_CASE("a folder for temporary files that is not there is named") {
  const test::TempDir dir;
  const char* before = std::getenv("TMPDIR");
  const std::string old = before ? before : "";
  setenv("TMPDIR", (dir / "absent").c_str(), 1);
  CHECK_THROWS_WITH(temporary_folder(),
                    Catch::Equals("TMPDIR=" + (dir / "absent").string() +
                                  ": there is no such folder for temporary files"));
  setenv("TMPDIR", dir.path().c_str(), 1);
  CHECK(temporary_folder() == dir.path());
  before ? setenv("TMPDIR", old.c_str(), 1) : unsetenv("TMPDIR");
}

TEST_CASE("a file that cannot be read to its end is no short file") {
  if (!fs::exists("/proc/self/mem")) return;
  CHECK_THROWS_WITH(read_file("/proc/self/mem"), Catch::Contains("cannot be read to its end"));
}

TEST_CASE("files of any size are read whole") {
  const test::TempDir dir;
  for (const std::size_t size : {0u, 1u, 65535u, 65536u, 65537u, 200000u}) {
    std::string content(size, 'x');
    for (std::size_t i = 0; i < size; i += 7) content[i] = static_cast<char>(i % 251);
    CHECK(read_file(dir.write("file", content)) == content);
  }
}

TEST_CASE("what cannot be read is named") {
  const test::TempDir dir;
  CHECK_THROWS_WITH(read_file(dir / "absent.txt"),
                    Catch::Contains("absent.txt") && Catch::Contains("No such file"));
  CHECK_THROWS_WITH(read_file(dir.path()), Catch::Contains("is a folder"));
}
