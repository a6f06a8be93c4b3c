// From strata to strata-torch, and the environment that it gets there.

#include <sys/stat.h>

#include <chrono>
#include <cstdlib>
#include <map>
#include <thread>

#include "catch.h"
#include "cli/command.h"

using namespace strata::test;
using Catch::Matchers::Contains;
namespace fs = std::filesystem;

namespace {

const std::vector<std::string> kWaiting = {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"};

/// The variables that say how OpenMP's threads wait, as this process has them, set and put back.
class Waiting {
 public:
  explicit Waiting(const std::map<std::string, std::string>& set) {
    for (const auto& name : kWaiting) {
      if (const char* value = std::getenv(name.c_str())) before_[name] = value;
      ::unsetenv(name.c_str());
    }
    for (const auto& [name, value] : set) ::setenv(name.c_str(), value.c_str(), 1);
  }
  ~Waiting() {
    for (const auto& name : kWaiting) ::unsetenv(name.c_str());
    for (const auto& [name, value] : before_) ::setenv(name.c_str(), value.c_str(), 1);
  }
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;

 private:
  std::map<std::string, std::string> before_;
};

/// A copy of strata beside a strata-torch that prints its environment and arguments.
struct Programs {
  TempDir dir;

  Programs() {
    fs::copy_file(strata_program(), dir / "strata");
    dir.write("strata-torch", "#!/bin/sh\nenv\nprintf 'argument %s\\n' \"$@\"\n");
    fs::permissions(dir / "strata-torch", fs::perms::owner_all);
  }

  std::string environment(const std::map<std::string, std::string>& set) const {
    const Waiting waiting(set);
    const Outcome outcome =
        run_program(dir / "strata", {"run", "a file.yaml", "--out", "x"}, dir.path());
    REQUIRE(outcome.code == 0);
    return outcome.out;
  }
};

}  // namespace

TEST_CASE_METHOD(Programs, "strata-torch is started with threads that soon stop spinning") {
  const std::string found = environment({});
  CHECK_THAT(found, Contains("GOMP_SPINCOUNT=1000\n"));
  CHECK_THAT(found, !Contains("OMP_WAIT_POLICY"));
  CHECK_THAT(found, Contains("argument run\nargument a file.yaml\nargument --out\nargument x\n"));
}

TEST_CASE_METHOD(Programs, "how threads wait is the user's where the environment says so") {
  const std::string spins = environment({{"GOMP_SPINCOUNT", "7"}});
  CHECK_THAT(spins, Contains("GOMP_SPINCOUNT=7\n"));
  const std::string policy = environment({{"OMP_WAIT_POLICY", "active"}});
  CHECK_THAT(policy, Contains("OMP_WAIT_POLICY=active\n") && !Contains("GOMP_SPINCOUNT"));
}

TEST_CASE("strata-torch started by itself begins once more, with the variable") {
  const fs::path program = strata_program().parent_path() / "strata-torch";
  if (!fs::exists(program)) return;  // the preset plan-only
  const TempDir dir;
  // It waits for a writer of its configuration.
  const fs::path config = dir / "config.yaml";
  REQUIRE(::mkfifo(config.c_str(), 0600) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    for (const auto& name : kWaiting) ::unsetenv(name.c_str());
    ::dup2(::open("/dev/null", O_WRONLY), 2);
    ::execl(program.c_str(), program.c_str(), "run", config.c_str(), "--out", "x", nullptr);
    ::_exit(126);
  }
  std::string found;
  for (int i = 0; i < 1200 && found.find("GOMP_SPINCOUNT=1000") == std::string::npos; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    found = slurp("/proc/" + std::to_string(child) + "/environ");
  }
  CHECK_THAT(found, Contains("GOMP_SPINCOUNT=1000"));
  CHECK(slurp("/proc/" + std::to_string(child) + "/cmdline").find("run") != std::string::npos);
  // An empty file is a wrong one. Without its reader there yet, the FIFO cannot be opened.
  int status = 0, writer = -1;
  for (int i = 0; i < 1200 && writer < 0 && ::waitpid(child, &status, WNOHANG) == 0; ++i) {
    writer = ::open(config.c_str(), O_WRONLY | O_NONBLOCK);
    if (writer < 0) std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  REQUIRE(writer >= 0);
  ::close(writer);
  ::waitpid(child, &status, 0);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 2);
}
