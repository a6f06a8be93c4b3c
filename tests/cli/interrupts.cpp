// Ctrl-C and its like, with the real programs: one line that says how to go on, and nothing half
// written.

#include "cli/interrupts.h"

#include <signal.h>
#include <sys/wait.h>

#include <chrono>
#include <functional>
#include <map>
#include <sstream>
#include <thread>

#include "catch.h"
#include "cli/command.h"

using namespace strata;
using namespace strata::cli;
using Catch::Matchers::Contains;
namespace fs = std::filesystem;

namespace {

const char* const kConfig = R"(version: 1
name: tiny
data: {folder: data}
model:
  folder: foundation
  architecture: {hidden_size: 16, layers: 3, heads: 2, image_size: 32, patch_size: 8, max_text: 16}
pretrain: {data: data/shapes, vocabulary: [data], epochs: 1, batch_size: 16, learning_rate: 1.0e-3}
run:
  strategies: [f3ocus, random]
  rounds: 4
  budget: 1
  score: {samples: 2, every: 2}
  local: {steps: 4, batch_size: 4, learning_rate: 1.0e-3}
)";

/// A strata at work in a process group of its own, as a shell's job is.
class Job {
 public:
  Job(const fs::path& folder, std::vector<std::string> arguments) : err_(captured_ / "err") {
    child_ = ::fork();
    if (child_ != 0) return;
    ::setpgid(0, 0);
    // A shell's background job would have it ignored.
    ::signal(SIGINT, SIG_DFL);
    if (::chdir(folder.c_str()) != 0) ::_exit(125);
    const int null = ::open("/dev/null", O_RDWR);
    ::dup2(null, 0);
    ::dup2(null, 1);
    ::dup2(::open(err_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), 2);
    ::setenv("TMPDIR", (folder / "tmp").c_str(), 1);
    const std::string program = test::strata_program().string();
    std::vector<char*> argv{const_cast<char*>(program.c_str())};
    for (auto& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    ::execv(program.c_str(), argv.data());
    ::_exit(126);
  }

  /// Waits until `ready`, or until the program ends.
  void wait_for(const std::function<bool()>& ready) {
    for (int i = 0; i < 120000 && !ready() && !ended_; ++i) {
      ended_ = ::waitpid(child_, &status_, WNOHANG) != 0;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }

  /// Whether strata-torch has begun to note SIGINT. (So does Catch, until the child is strata.)
  bool notes() const {
    std::istringstream status(test::slurp("/proc/" + std::to_string(child_) + "/status"));
    std::string name;
    for (std::string field, value; status >> field >> value; std::getline(status, value)) {
      if (field == "Name:") name = value;
      if (field == "SigCgt:")
        return name == "strata-torch" && ((std::stoull(value, nullptr, 16) >> (SIGINT - 1)) & 1);
    }
    return false;
  }

  /// Sends the signal to the group, as a terminal does, and waits for the end.
  int end_by(int signal) {
    REQUIRE_FALSE(ended_);
    ::kill(-child_, signal);
    ::waitpid(child_, &status_, 0);
    return status_;
  }

  std::string err() const { return test::slurp(err_); }

 private:
  test::TempDir captured_;
  fs::path err_;
  pid_t child_ = 0;
  int status_ = 0;
  bool ended_ = false;
};

void check_ended(const Job& job, int status, int signal, const std::string& way) {
  INFO(job.err());
  CHECK(WIFSIGNALED(status));
  CHECK(WTERMSIG(status) == signal);
  std::string last;
  int lines = 0;
  std::istringstream err(job.err());
  for (std::string line; std::getline(err, line); last = line)
    lines += line.find("interrupted") != std::string::npos;
  CHECK(lines == 1);
  CHECK(last == "strata: interrupted by " + std::string(signal == SIGINT ? "SIGINT" : "SIGTERM") +
                    "; " + way);
}

void check_nothing_half(const fs::path& folder) {
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    CHECK(name.find("tmp-") == std::string::npos);
    CHECK(name.find("lock") == std::string::npos);
  }
}

/// Path → content, without what is measured or says who made it.
std::map<std::string, std::string> contents(const fs::path& run) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(run)) {
    const std::string name = fs::relative(entry.path(), run).string();
    const std::string file = entry.path().filename().string();
    if (!entry.is_regular_file() || file == "run.json" || file == "run.log") continue;
    std::string& text = files[name] = test::slurp(entry.path());
    if (file != "metrics.csv") continue;
    std::istringstream rows(text);
    text.clear();
    for (std::string row; std::getline(rows, row); text += row + "\n") {
      for (int i = 0; i < 2; ++i) row.erase(row.rfind(','));
    }
  }
  return files;
}

const fs::path& workshop() {
  static const test::TempDir dir;
  static const bool made = [] {
    test::make_data_and_model(dir, kConfig, "20", "100", "foundation");
    fs::create_directory(dir / "tmp");
    return true;
  }();
  REQUIRE(made);
  return dir.path();
}

/// The shell's status of a command line.
int shell(const fs::path& folder, const std::string& command) {
  const auto outcome = test::run_program("/bin/sh", {"-c", command}, folder);
  INFO(outcome.err);
  CHECK(outcome.code == 0);
  return outcome.code;
}

}  // namespace

TEST_CASE("the way on is a command line that a shell takes") {
  const auto way = [](Command command, std::vector<std::string> arguments) {
    std::vector<char*> argv;
    for (auto& argument : arguments) argv.push_back(argument.data());
    return way_on(command, static_cast<int>(argv.size()), argv.data());
  };
  CHECK(
      way(Command::kRun, {"strata", "run", "a.yaml", "--out", "my runs/1", "--set", "name=it's"}) ==
      "go on with: strata run a.yaml --out 'my runs/1' --set 'name=it'\\''s' --resume");
  CHECK(way(Command::kRun, {"strata", "run", "a.yaml", "--resume", "--out", "x"}) ==
        "go on with: strata run a.yaml --resume --out x");
  CHECK(way(Command::kPretrain, {"strata", "pretrain", "a.yaml", "--out", "$x"}) ==
        "nothing was written; begin again with: strata pretrain a.yaml --out '$x'");
}

TEST_CASE("an interrupted run says how to go on, and that ends as the undisturbed one") {
  const fs::path& folder = workshop();
  const std::string program = test::strata_program().string();
  REQUIRE(shell(folder, "'" + program + "' run tiny.yaml --out whole --threads 1") == 0);
  for (const int signal : {SIGINT, SIGTERM}) {
    const std::string out = signal == SIGINT ? "by int" : "by-term";
    Job job(folder, {"run", "tiny.yaml", "--out", out, "--threads", "1"});
    job.wait_for([&] { return fs::exists(folder / out / "f3ocus-seed1/rounds/002/plan.json"); });
    const int status = job.end_by(signal);
    const std::string command = program + " run tiny.yaml --out " +
                                (signal == SIGINT ? "'by int'" : out) + " --threads 1 --resume";
    check_ended(job, status, signal, "go on with: " + command);
    check_nothing_half(folder / out);
    REQUIRE(shell(folder, command) == 0);
    CHECK((contents(folder / "whole") == contents(folder / out)));
  }
}

TEST_CASE("interrupted, pretrain and score leave nothing and name the command to repeat") {
  const fs::path& folder = workshop();
  const std::string program = test::strata_program().string();
  const std::map<std::string, std::vector<std::string>> commands = {
      {"model", {"pretrain", "tiny.yaml", "--out", "model", "--set", "pretrain.epochs=500"}},
      {"scores.json",
       {"score", "--model", "foundation", "--data", "data", "--samples", "16", "--out",
        "scores.json"}}};
  for (const auto& [out, arguments] : commands) {
    for (const int signal : {SIGINT, SIGTERM}) {
      Job job(folder, arguments);
      job.wait_for([&] { return job.notes(); });
      const int status = job.end_by(signal);
      std::string line = program;
      for (const auto& argument : arguments) line += " " + argument;
      check_ended(job, status, signal, "nothing was written; begin again with: " + line);
      CHECK_FALSE(fs::exists(folder / out));
      check_nothing_half(folder);
    }
  }
}

TEST_CASE("an interrupted report leaves no temporary folder and no page") {
  const fs::path& folder = workshop();
  const std::string program = test::strata_program().string();
  REQUIRE(shell(folder, "'" + program + "' run tiny.yaml --out shown --set run.rounds=1") == 0);
  for (const int signal : {SIGINT, SIGTERM}) {
    Job job(folder, {"report", "shown"});
    job.wait_for([&] { return !fs::is_empty(folder / "tmp"); });
    const int status = job.end_by(signal);
    check_ended(job, status, signal,
                "nothing was written; begin again with: " + program + " report shown");
    CHECK(fs::is_empty(folder / "tmp"));
    CHECK_FALSE(fs::exists(folder / "shown/report.html"));
  }
}
