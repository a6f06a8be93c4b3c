#include "core/folder_lock.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <optional>

#include "catch.h"
#include "strata/core/error.h"
#include "temp_dir.h"

using namespace strata;
using Catch::Matchers::Contains;
namespace fs = std::filesystem;

namespace {

std::string refusal(const fs::path& folder) {
  try {
    const FolderLock lock(folder);
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

std::string look(const fs::path& folder) {
  try {
    refuse_locked_folder(folder);
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

/// A process that holds the lock until it is killed; returns when it does.
pid_t holder_of(const fs::path& folder) {
  int ready[2];
  REQUIRE(::pipe(ready) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const FolderLock lock(folder);
    static_cast<void>(::write(ready[1], "x", 1));
    for (;;) ::pause();
  }
  char byte = 0;
  REQUIRE(::read(ready[0], &byte, 1) == 1);
  ::close(ready[0]);
  ::close(ready[1]);
  return child;
}

}  // namespace

TEST_CASE("a locked folder is refused by the name of its holder, and free again afterwards") {
  const test::TempDir dir;
  const fs::path folder = dir / "a/run";
  {
    const FolderLock lock(folder);
    const std::string us = "process " + std::to_string(::getpid()) + " since 20";
    CHECK_THAT(refusal(folder), Contains(folder.string() + ": " + us) &&
                                    Contains("UTC writes into this folder; wait for it"));
    CHECK(look(folder) == refusal(folder));
    CHECK(refusal(dir / "a/other") == "");
    // A refusal takes nothing away.
    CHECK_THAT(refusal(folder), Contains(us));
  }
  CHECK(look(folder) == "");
  CHECK(refusal(folder) == "");
  CHECK(fs::is_empty(folder));
}

TEST_CASE("a look writes nothing and is in nobody's way") {
  const test::TempDir dir;
  refuse_locked_folder(dir / "missing");
  CHECK_FALSE(fs::exists(dir / "missing"));
  refuse_locked_folder(dir.path());
  CHECK(fs::is_empty(dir.path()));
}

TEST_CASE("the lock of a killed process is gone with it") {
  const test::TempDir dir;
  const pid_t child = holder_of(dir.path());
  CHECK_THAT(refusal(dir.path()), Contains("process " + std::to_string(child) + " since"));
  ::kill(child, SIGKILL);
  int status = 0;
  ::waitpid(child, &status, 0);
  REQUIRE(WIFSIGNALED(status));
  // What it left is no lock, and the next one removes it.
  REQUIRE(fs::exists(dir / kLockFile));
  CHECK(look(dir.path()) == "");
  CHECK(refusal(dir.path()) == "");
  CHECK_FALSE(fs::exists(dir / kLockFile));
}

TEST_CASE("of many processes that begin at once, exactly one has the lock at any time") {
  const test::TempDir dir;
  constexpr int kProcesses = 8, kTurns = 200;
  // Each tries again and again; who has the lock makes a file that nobody may find there.
  std::vector<pid_t> children;
  for (int p = 0; p < kProcesses; ++p) {
    const pid_t child = ::fork();
    if (child != 0) {
      children.push_back(child);
      continue;
    }
    int taken = 0, wrong = 0;
    const fs::path mark = dir / "mark";
    while (taken < kTurns) {
      try {
        const FolderLock lock(dir / "folder");
        const int file = ::open(mark.c_str(), O_CREAT | O_EXCL | O_WRONLY, 0600);
        wrong += file < 0;
        ::close(file);
        ::unlink(mark.c_str());
        ++taken;
      } catch (const InputError&) {
      }
    }
    ::_exit(wrong > 0 ? 1 : 0);
  }
  for (const pid_t child : children) {
    int status = 0;
    ::waitpid(child, &status, 0);
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
  }
}

TEST_CASE("a folder that cannot be made, or written, is an error with its path") {
  const test::TempDir dir;
  dir.write("file", "");
  CHECK_THROWS_AS(FolderLock(dir / "file/folder"), WorkError);
  fs::create_directory(dir / "folder");
  fs::create_directory(dir / "folder" / kLockFile);
  CHECK_THROWS_AS(FolderLock(dir / "folder"), WorkError);
}
