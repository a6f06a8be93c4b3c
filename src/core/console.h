#pragma once
/// \file
/// What a person sees while Strata works: logs and progress on stderr, tables on stdout.

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace strata {

/// `text` for a terminal and for one line: control characters (of C0, DEL and C1), marks that turn
/// the direction of writing, line separators and bytes that are no UTF-8 as \n, \t, \r, \x1b or
/// \u202e. A name of such must not break a table, hide what follows, or speak to the terminal. All
/// that this file's functions write is written so.
std::string printable(std::string_view text);

/// JSON for a terminal: the same characters, which can only stand in its texts, as \u001b, which
/// means the same to who reads JSON. Its own line breaks stay.
std::string printable_json(std::string_view json);

/// One line on stderr, `strata: …`; not with --quiet. `table` follows below it as it is.
void log_info(const std::string& message, const std::string& table = "");
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
