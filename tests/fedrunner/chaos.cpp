// Nothing is lost: real processes, killed at random moments or out of disk.

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <iostream>
#include <map>
#include <thread>

#include "catch.h"
#include "core/console.h"
#include "fedrunner/run_folders.h"
#include "fedrunner/tiny.h"
#include "strata/core/error.h"
#include "strata/core/random.h"
#include "strata/fedrunner/pretrain.h"

using namespace strata;
using namespace strata::fedrunner;
namespace fs = std::filesystem;

namespace {

// Everything that a run carries from round to round: moments, moving scores, failing clients.
const std::string kRun =
    "  strategies: [f3ocus]\n  rounds: 24\n  budget: 1\n  score: {samples: 4, every: 2}\n"
    "  plan: {every: 3, warm: true}\n"
    "  server: {optimizer: adam, learning_rate: 0.01}\n"
    "  failures: {dropout: 0.2, corruption: 0.1}\n"
    "  local: {steps: 4, batch_size: 4, learning_rate: 0.01, schedule: cosine}\n";

const std::string kPretrain = "pretrain: {epochs: 3, batch_size: 10, learning_rate: 0.01, data: ";

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
    dir.write("pretrain.yaml",
              "version: 1\nname: tiny\ndata: {folder: " + (dir / "data").string() +
                  "}\nmodel:\n  architecture: {hidden_size: 16, layers: 2, heads: 2, "
                  "image_size: 16, patch_size: 8, max_text: 10}\n" +
                  kPretrain + (dir / "data").string() + "}\n");
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
  // On a busy machine the first kills come before the first round: some have to come after one.
  for (int attempt = 0; kills < 20 || rounds_seen <= 5; ++attempt) {
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

TEST_CASE_METHOD(Fixture,
                 "of two runs into one folder one is refused, and the other is undisturbed") {
  const auto begin = [&](const std::string& out, const std::vector<std::string>& set, bool resume,
                         const std::string& name) {
    const pid_t child = ::fork();
    if (child != 0) return child;
    RunOptions options;
    options.resume = resume;
    try {
      run_experiment(dir / "tiny.yaml", set, dir / out, test::tiny_tools(), options);
    } catch (const InputError& error) {
      std::ofstream(dir / name) << error.what();
      ::_exit(2);
    } catch (const std::exception& error) {
      std::ofstream(dir / name) << error.what();
      ::_exit(1);
    }
    ::_exit(0);
  };
  const std::vector<std::string> slow = {"run.rounds=3", "run.local.learning_rate=0.001"};
  const std::vector<std::string> fast = {"run.rounds=3", "run.local.learning_rate=0.01"};
  const auto began = std::chrono::steady_clock::now();
  REQUIRE(status_of(begin("slow", slow, false, "error")) == 0);
  REQUIRE(status_of(begin("fast", fast, false, "error")) == 0);
  const std::chrono::duration<double> one = (std::chrono::steady_clock::now() - began) / 2;

  Random random(31);
  int locked = 0;
  for (int pair = 0; pair < 25; ++pair) {
    INFO("pair " << pair);
    fs::remove_all(dir / "both");
    // Every third pair has one configuration and --resume; the others' learning rates differ.
    const bool resume = pair % 3 == 2;
    const pid_t a = begin("both", slow, resume, "a");
    std::this_thread::sleep_for(one * random.uniform(0, 0.5) * (pair % 2));
    const pid_t b = begin("both", resume ? slow : fast, resume, "b");
    const int first = status_of(a), second = status_of(b);
    REQUIRE(WIFEXITED(first));
    REQUIRE(WIFEXITED(second));
    const int codes[] = {WEXITSTATUS(first), WEXITSTATUS(second)};
    std::string error;
    for (const char* name : {"a", "b"}) error += test::slurp(dir / name);
    INFO(error);
    CHECK(std::min(codes[0], codes[1]) == 0);
    // One after the other, two that resume are both right.
    CHECK((std::max(codes[0], codes[1]) == 2 || (resume && codes[0] + codes[1] == 0)));
    if (error.find(" writes into this folder; wait for it") != std::string::npos) ++locked;
    test::check_same(dir / (resume || codes[0] == 0 ? "slow" : "fast"), dir / "both");
    for (const char* name : {"a", "b"}) fs::remove(dir / name);
  }
  CHECK(locked > 5);
}

TEST_CASE_METHOD(Fixture,
                 "a killed pretraining leaves a whole model or none, and the next one succeeds") {
  const auto pretrain = [&](const fs::path& out) {
    const pid_t child = ::fork();
    if (child != 0) return child;
    try {
      pretrain_model(dir / "pretrain.yaml", {}, out, "cpu", test::tiny_tools().names);
    } catch (const std::exception&) {
      ::_exit(1);
    }
    ::_exit(0);
  };
  /// All but pretrain.json, which holds seconds.
  const auto model_of = [](const fs::path& folder) {
    std::map<std::string, std::string> files;
    for (const auto& entry : fs::directory_iterator(folder)) {
      const auto name = entry.path().filename().string();
      if (name != "pretrain.json" && name != "notes.txt") files[name] = test::slurp(entry.path());
    }
    return files;
  };
  REQUIRE(status_of(pretrain(dir / "whole")) == 0);
  const auto whole = model_of(dir / "whole");
  REQUIRE(whole.count("config.json") == 1);

  Random random(5);
  // Into a folder that is not there yet, and into one that holds something else.
  for (const bool exists : {false, true}) {
    const fs::path out = dir / (exists ? "models/there" : "models/new");
    const fs::path parent = exists ? out : dir / "models";
    const auto prepare = [&] {
      fs::remove_all(out);
      if (exists) dir.write("models/there/notes.txt", "mine");
    };
    int while_writing = 0, halves = 0;
    for (int attempt = 0; attempt < 60; ++attempt) {
      INFO("attempt " << attempt << (exists ? " into a folder" : ""));
      prepare();
      const pid_t child = pretrain(out);
      // The files are written at the end, in milliseconds: the kill waits for their beginning.
      const auto writes = [&] {
        std::error_code ignored;
        for (const auto& entry : fs::directory_iterator(parent, ignored)) {
          if (entry.path().filename().string().find(".strata-tmp-") != std::string::npos)
            return true;
        }
        return fs::exists(out / "config.json");
      };
      int status = 0;
      while (!writes() && ::waitpid(child, &status, WNOHANG) == 0) ::usleep(50);
      // Half of the kills come within the first files.
      ::usleep(static_cast<useconds_t>(random.below(attempt % 2 ? 30000 : 1500)));
      ::kill(child, SIGKILL);
      ::waitpid(child, &status, 0);
      const bool there = fs::exists(out / "config.json");
      if (there) {
        const auto found = model_of(out);
        for (const auto& [name, content] : whole) {
          INFO(name);
          REQUIRE(found.count(name) == 1);
          CHECK((found.at(name) == content));
        }
        CHECK(fs::exists(out / "pretrain.json"));
      } else {
        ++while_writing;
        halves += fs::exists(out / "model.safetensors");
        REQUIRE(status_of(pretrain(out)) == 0);
        CHECK((model_of(out) == whole));
        // Nothing of the killed one is left.
        for (const auto& entry : fs::recursive_directory_iterator(dir / "models"))
          CHECK(entry.path().string().find("-tmp-") == std::string::npos);
      }
      if (exists) CHECK(test::slurp(out / "notes.txt") == "mine");
    }
    CHECK(while_writing > 5);
    if (!exists) CHECK(halves == 0);
  }
}
