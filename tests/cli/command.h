#pragma once
// Runs the real programs and catches what they say.

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include "catch.h"
#include "temp_dir.h"

namespace strata::test {

struct Outcome {
  int code = -1;  ///< exit code; 128 + signal when killed
  std::string out, err;
};

/// Runs the program with these arguments in `folder`, without a terminal.
inline Outcome run_program(const std::filesystem::path& program,
                           const std::vector<std::string>& arguments,
                           const std::filesystem::path& folder) {
  const TempDir captured;
  const auto out = captured / "out", err = captured / "err";
  const pid_t child = fork();
  if (child < 0) throw std::runtime_error("fork failed");
  if (child == 0) {
    const int in_file = ::open("/dev/null", O_RDONLY);
    const int out_file = ::open(out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    const int err_file = ::open(err.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (::chdir(folder.c_str()) != 0) _exit(125);
    ::dup2(in_file, 0);
    ::dup2(out_file, 1);
    ::dup2(err_file, 2);
    std::vector<char*> argv{const_cast<char*>(program.c_str())};
    for (const auto& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    ::execv(program.c_str(), argv.data());
    _exit(126);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  Outcome outcome;
  outcome.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  outcome.out = slurp(out);
  outcome.err = slurp(err);
  return outcome;
}

/// The program that was built beside this test.
inline std::filesystem::path strata_program() {
  return std::filesystem::read_symlink("/proc/self/exe").parent_path() / "strata";
}

inline Outcome run_strata(const std::vector<std::string>& arguments,
                          const std::filesystem::path& folder) {
  return run_program(strata_program(), arguments, folder);
}

/// Writes the experiment file `config` as tiny.yaml into `folder`, makes phantoms of 32 pixels in
/// data/ and pretrains the file's model into `model`; what a program says when it fails is thrown.
inline void make_data_and_model(const TempDir& folder, const std::string& config,
                                const std::string& images, const std::string& shapes,
                                const std::string& model) {
  folder.write("tiny.yaml", config);
  for (const auto& arguments : std::vector<std::vector<std::string>>{
           {"data", "make", "phantoms", "--out", "data", "--images", images, "--shapes", shapes,
            "--size", "32"},
           {"pretrain", "tiny.yaml", "--out", model, "--threads", "1"}}) {
    const Outcome outcome = run_strata(arguments, folder.path());
    if (outcome.code != 0) throw std::runtime_error(outcome.err);
  }
}

/// What the program prints in the folder, where it must not fail.
inline std::string succeed(const std::vector<std::string>& arguments, const TempDir& folder) {
  const Outcome outcome = run_strata(arguments, folder.path());
  INFO(outcome.err);
  REQUIRE(outcome.code == 0);
  return outcome.out;
}

/// Names and bytes of every file below a folder, to show that nothing was written.
inline std::string snapshot(const std::filesystem::path& folder) {
  std::vector<std::string> lines;
  std::error_code error;  // of a link that leads back to itself
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
    lines.push_back(entry.path().string() +
                    (entry.is_regular_file(error) ? "\n" + slurp(entry.path()) : "/"));
  std::sort(lines.begin(), lines.end());
  std::string all;
  for (const auto& line : lines) all += line + "\n";
  return all;
}

}  // namespace strata::test
