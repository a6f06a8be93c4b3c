// Nothing is lost: real processes, killed at random moments or out of disk.

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <iostream>
#include <thread>

#include "catch.h"
#include "core/console.h"
#include "fedrunner/run_folders.h"
#include "fedrunner/tiny.h"
#include "strata/core/error.h"
#include "strata/core/random.h"

using namespace strata;
namespace fs = std::filesystem;

namespace {

// Everything that a run carries from round to round: moments, moving scores, failing clients.
const std::string kRun =
    "  strategies: [f3ocus]\n  rounds: 24\n  budget: 1\n  score: {samples: 4, every: 2}\n"
    "  plan: {every: 3, warm: true}\n"
    "  server: {optimizer: adam, learning_rate: 0.01}\n"
    "  failures: {dropout: 0.2, corruption: 0.1}\n"
    "  local: {steps: 4, batch_size: 4, learning_rate: 0.01, schedule: cosine}\n";

/// A child is forked from this process, which saves it the second that LibTorch takes to load. No
/// OpenMP thread may exist by then: a child would wait for it.
struct Fixture {
  test::TempDir dir;

  Fixture() {
    at::set_num_threads(1);
    set_quiet(true);
    test::write_tiny_data(dir / "data");
    test::write_tiny_foundation(dir / "foundation");
    dir.write("tiny.yaml", test::tiny_experiment(dir, kRun));
  }

  /// Begins or goes on with the run in `out`, in a process of its own whose files may have
  /// `file_limit` bytes. Its exit status is 0, or 1 with the error in OUT.error.
  pid_t start(const std::string& out, rlim_t file_limit = RLIM_INFINITY) const {
    const pid_t child = ::fork();
    if (child != 0) return child;
    // Without a handler a file over the limit would end the process, not fail the write.
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{file_limit, file_limit};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    RunOptions options;
    options.resume = true;
    try {
      run_experiment(dir / "tiny.yaml", {}, dir / out, test::tiny_tools(), options);
    } catch (const WorkError& error) {
      std::ofstream(dir / (out + ".error")) << error.what();
      ::_exit(1);
    }
    ::_exit(0);
  }
};

int status_of(pid_t child) {
  int status = 0;
  ::waitpid(child, &status, 0);
  return status;
}

}  // namespace

TEST_CASE_METHOD(Fixture, "killed twenty times and resumed, a run ends with the same bytes") {
  const auto began = std::chrono::steady_clock::now();
  REQUIRE(status_of(start("whole")) == 0);
  const std::chrono::duration<double> whole = std::chrono::steady_clock::now() - began;

  // Moments over about a tenth of the run: it advances by a round or two at most before each.
  Random random(20);
  int kills = 0, rounds_seen = 0;
  for (int attempt = 0; kills < 20; ++attempt) {
    REQUIRE(attempt < 200);
    // What is left of a run that ended before its time is thrown away.
    if (attempt > 0 && fs::exists(dir / "killed" / "rounds" / "024")) {
      fs::remove_all(dir / "killed");
    }
    const pid_t child = start("killed");
    std::this_thread::sleep_for(whole * random.uniform(0.01, 0.1));
    ::kill(child, SIGKILL);
    const int status = status_of(child);
    if (WIFSIGNALED(status)) ++kills;
    if (fs::exists(dir / "killed" / "state" / "state.json")) ++rounds_seen;
  }
  CHECK(rounds_seen > 5);
  REQUIRE(status_of(start("killed")) == 0);
  test::check_same(dir / "whole", dir / "killed");
}

TEST_CASE_METHOD(Fixture, "a full disk ends a run with one line and its last state whole") {
  REQUIRE(status_of(start("whole")) == 0);
  // Of all files only metrics.csv grows from round to round; the limit lets the largest one pass
  // and metrics.csv grow to two thirds.
  const auto metrics = fs::file_size(dir / "whole" / "metrics.csv");
  std::uintmax_t largest = 0;
  for (const auto& entry : fs::recursive_directory_iterator(dir / "whole")) {
    if (entry.is_regular_file() && entry.path().filename() != "metrics.csv")
      largest = std::max(largest, entry.file_size());
  }
  INFO(metrics << " and " << largest);
  const auto limit = std::max<std::uintmax_t>(largest, 1);
  const int status = status_of(start("full", static_cast<rlim_t>(limit - 1)));
  REQUIRE(WIFEXITED(status));
  REQUIRE(WEXITSTATUS(status) == 1);
  CHECK_THAT(test::slurp(dir / "full.error"),
             Catch::Matchers::Contains("cannot be written: File too large"));
  for (const auto& entry : fs::recursive_directory_iterator(dir / "full"))
    CHECK(entry.path().filename().string().find(".tmp-") == std::string::npos);
  REQUIRE(status_of(start("full")) == 0);
  test::check_same(dir / "whole", dir / "full");
}
