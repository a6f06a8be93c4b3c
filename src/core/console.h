#pragma once
/// \file
/// What a person sees while Strata works: logs and progress on stderr, tables on stdout.

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace strata {

/// One line on stderr, `strata: …`; not with --quiet.
void log_info(const std::string& message);
/// One line on stderr, `strata: warning: …`; also with --quiet.
void log_warning(const std::string& message);
void set_quiet(bool quiet);
/// Also append every log line to this file (run.log); "" stops.
void set_log_file(const std::string& path);

/// A progress line that redraws itself on a terminal and prints nothing elsewhere or with --quiet.
class Progress {
 public:
  Progress(std::string what, std::int64_t total);
  ~Progress();
  /// `done` out of total, with a short note such as "round 3, client ct, loss 0.41".
  void update(std::int64_t done, const std::string& note = "");
  void finish();

 private:
  std::string what_;
  std::int64_t total_;
  bool active_;
  std::chrono::steady_clock::time_point start_, last_;
};

/// A text table with aligned columns (first column left, the others right), UTF-8 aware.
class TextTable {
 public:
  explicit TextTable(std::vector<std::string> header);
  void row(std::vector<std::string> cells);
  std::string str() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

/// Fixed decimals: fixed(0.12345, 2) == "0.12"; with an exponent from 1e15.
std::string fixed(double value, int decimals);

}  // namespace strata
