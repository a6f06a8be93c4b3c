#include "report/gnuplot.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <thread>
#include <vector>

#include "core/interrupt.h"
#include "report/html.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"

extern char** environ;

namespace strata::report {
namespace {

/// A private folder that disappears with its owner.
class ScratchFolder {
 public:
  ScratchFolder() {
    std::string pattern = (temporary_folder() / "strata-report-XXXXXX").string();
    if (!mkdtemp(pattern.data())) {
      throw WorkError("cannot create a temporary folder " + pattern + ": " + std::strerror(errno));
    }
    path_ = pattern;
  }
  ~ScratchFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  std::string operator/(const char* name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

/// The environment without GNUTERM: gnuplot refuses to start where it names a terminal that this
/// gnuplot has not, as gnuplot-nox has none for windows.
std::vector<char*> gnuplot_environment() {
  std::vector<char*> variables;
  for (char** variable = environ; *variable; ++variable)
    if (std::string_view(*variable).rfind("GNUTERM=", 0) != 0) variables.push_back(*variable);
  variables.push_back(nullptr);
  return variables;
}

/// The wait status of `child`, which is killed when it takes longer than `limit`.
int wait_for(pid_t child, std::chrono::milliseconds limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  auto pause = std::chrono::milliseconds(1);
  for (bool killed = false;;) {
    int status = 0;
    const pid_t done = waitpid(child, &status, killed ? 0 : WNOHANG);
    if (done == child && killed)
      throw WorkError("gnuplot has not drawn a figure within " +
                      std::to_string(limit.count() / 1000) + " s, and was ended");
    if (done == child) return status;
    if (done < 0 && errno != EINTR)
      throw WorkError(std::string("lost the gnuplot process: ") + std::strerror(errno));
    if (killed) continue;
    std::this_thread::sleep_for(pause);
    pause = std::min(2 * pause, std::chrono::milliseconds(20));
    if (std::chrono::steady_clock::now() < end) continue;
    kill(child, SIGKILL);
    killed = true;
  }
}

/// Runs gnuplot on a file with stdout and stderr in files, so that no pipe can fill up.
/// @returns the wait status.
int run_gnuplot(const std::string& script, const std::string& out, const std::string& err,
                std::chrono::milliseconds limit) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  const int flags = O_WRONLY | O_CREAT | O_TRUNC;
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, out.c_str(), flags, 0600);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, err.c_str(), flags, 0600);
  std::string program = "gnuplot", defaults = "--default-settings", file = script;
  char* argv[] = {program.data(), defaults.data(), file.data(), nullptr};
  pid_t child = 0;
  const int failed =
      posix_spawnp(&child, program.c_str(), &actions, nullptr, argv, gnuplot_environment().data());
  posix_spawn_file_actions_destroy(&actions);
  if (failed == ENOENT) {
    throw WorkError(
        "gnuplot was not found, and the report's figures are drawn by it: install the package "
        "gnuplot-nox");
  }
  if (failed != 0) throw WorkError(std::string("cannot start gnuplot: ") + std::strerror(failed));
  return wait_for(child, limit);
}

/// gnuplot's complaint on one line.
std::string one_line(std::string_view text) {
  std::string line;
  for (const char c : text) {
    const bool space = c == '\n' || c == '\r' || c == '\t' || c == ' ';
    if (!space) {
      line += c;
    } else if (!line.empty() && line.back() != ' ') {
      line += ' ';
    }
  }
  return line;
}

/// "31,  35,  40" as "#1f2328".
std::string hexadecimal(std::string_view channels) {
  unsigned value = 0, channel = 0;
  for (const char c : std::string(channels.substr(0, channels.find(')'))) + ',') {
    if (c >= '0' && c <= '9') channel = 10 * channel + static_cast<unsigned>(c - '0');
    if (c != ',') continue;
    value = value << 8 | (channel & 255);
    channel = 0;
  }
  char text[8];
  std::snprintf(text, sizeof text, "#%06x", value & 0xffffff);
  return text;
}

/// gnuplot opens and closes a group without content at every change of its pen.
bool is_empty_group(std::string_view svg) {
  std::size_t end = 0;
  while (end < svg.size() && svg[end] != '>') ++end;
  return end < svg.size() && svg.substr(end + 1, 6) == "\n</g>\n";
}

}  // namespace

std::string gnuplot_quote(std::string_view text, bool percent) {
  std::string quoted = "'";
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      quoted += ' ';
      continue;
    }
    if (c == '\'' || (c == '%' && percent)) quoted += c;
    quoted += c;
  }
  return quoted + "'";
}

std::string gnuplot_svg(const std::string& script, int width, int height,
                        std::chrono::milliseconds limit) {
  const ScratchFolder scratch;
  const std::string in = scratch / "figure.gp", out = scratch / "figure.svg",
                    err = scratch / "stderr";
  write_file(in, "set encoding utf8\nset terminal svg size " + std::to_string(width) + "," +
                     std::to_string(height) + " fixed noenhanced rounded font 'DejaVu Sans,12'\n" +
                     script);
  const int status = run_gnuplot(in, out, err, limit);
  stop_if_interrupted();
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    throw WorkError("gnuplot failed to draw a figure: " + one_line(read_file(err)));
  }
  std::string svg = read_file(out);
  if (svg.find("</svg>") == std::string::npos) {
    throw WorkError("gnuplot drew no complete figure: " + one_line(read_file(err)));
  }
  return svg;
}

std::string inline_svg(std::string_view svg, const std::string& prefix, std::string_view label) {
  const std::size_t begin = svg.find("<svg");
  if (begin == std::string_view::npos) throw WorkError("gnuplot's output holds no <svg> element");
  svg.remove_prefix(begin);
  std::string result = "<svg role=\"img\" aria-label=\"" + escape_html(label) + "\"";
  std::size_t at = 4;
  const auto starts = [&](std::string_view what) { return svg.substr(at, what.size()) == what; };
  const auto copy = [&](std::size_t count) {
    result += svg.substr(at, count);
    at += count;
  };
  const auto end_of = [&](std::string_view tag) {
    const std::size_t found = svg.find(tag, at);
    if (found == std::string_view::npos) throw WorkError("gnuplot's SVG is cut short");
    return found + tag.size();
  };
  while (at < svg.size()) {
    if (starts("<text")) {
      // Text content is a user's name and must pass unchanged, whatever it looks like.
      copy(end_of("</text>") - at);
    } else if (starts("<title>")) {
      at = end_of("</title>");
    } else if (starts("<desc>")) {
      at = end_of("</desc>");
    } else if (starts(" font-family=\"")) {
      at = svg.find('"', at + 14) + 1;
    } else if (starts(" id=\"") || starts(" id='")) {
      copy(5);
      result += prefix;
    } else if (starts("xlink:href='#") || starts("xlink:href=\"#")) {
      at += 6;
      copy(7);
      result += prefix;
    } else if (starts("rgb(")) {
      result += themed(hexadecimal(svg.substr(at + 4, 16)));
      at = end_of(")");
    } else if (starts("<g fill=\"none\" color=") && is_empty_group(svg.substr(at))) {
      at = end_of("</g>\n");
    } else if (starts("url(#")) {
      copy(5);
      result += prefix;
    } else if (starts("xmlns:xlink=")) {
      at = svg.find('"', at + 13) + 1;
    } else {
      copy(1);
    }
  }
  return result;
}

}  // namespace strata::report
