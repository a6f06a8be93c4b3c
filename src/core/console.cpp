#include "core/console.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <mutex>

namespace strata {
namespace {

std::mutex mutex;
bool quiet = false;
bool line_open = false;  // a progress line is on the terminal and must be cleared before a log line
std::ofstream log_file;

/// The bytes of the UTF-8 character that `text` begins with and, in `point`, which one; 0 where it
/// begins with none.
std::size_t first_character(std::string_view text, std::uint32_t& point) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  point = lead;
  if (lead < 0x80) return 1;
  const std::size_t size = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < size) return 0;
  point = lead & (0x7f >> size);
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
    point = point << 6 | (byte(i) & 0x3f);
  }
  return size;
}

bool speaks_to_terminal(std::uint32_t point) {
  return point < 0x20 || (point >= 0x7f && point < 0xa0) ||       // C0, DEL, C1
         point == 0x61c || point == 0x200e || point == 0x200f ||  // direction marks
         (point >= 0x2028 && point <= 0x202e) ||  // separators, direction embeddings and overrides
         (point >= 0x2066 && point <= 0x2069);    // direction isolates
}

void write_line(const std::string& line, bool to_terminal) {
  const std::lock_guard lock(mutex);
  if (to_terminal) {
    if (line_open) std::fputs("\r\033[K", stderr);
    line_open = false;
    std::fprintf(stderr, "strata: %s\n", line.c_str());
  }
  if (log_file.is_open()) log_file << line << '\n' << std::flush;
}

std::size_t display_width(const std::string& text) {
  std::size_t width = 0;
  for (const char c : text) width += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  return width;
}

}  // namespace

void set_quiet(bool value) {
  quiet = value;
}

void set_log_file(const std::string& path) {
  const std::lock_guard lock(mutex);
  log_file.close();
  log_file.clear();
  if (!path.empty()) log_file.open(path, std::ios::app);
}

std::string printable(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    std::uint32_t point = 0;
    const std::size_t size = first_character(text.substr(at), point);
    const bool escaped = size == 0 || speaks_to_terminal(point);
    if (!escaped) {
      out += text.substr(at, size);
    } else if (point == '\n' || point == '\t' || point == '\r') {
      out += point == '\n' ? "\\n" : point == '\t' ? "\\t" : "\\r";
    } else {
      char code[8];
      const bool byte = size < 2;
      std::snprintf(code, sizeof code, byte ? "\\x%02x" : "\\u%04x",
                    byte ? static_cast<unsigned char>(text[at]) : point);
      out += code;
    }
    at += std::max<std::size_t>(size, 1);
  }
  return out;
}

std::string printable_json(std::string_view json) {
  std::string out;
  for (std::size_t at = 0; at < json.size();) {
    std::uint32_t point = 0;
    const std::size_t size = std::max<std::size_t>(first_character(json.substr(at), point), 1);
    if (point != '\n' && speaks_to_terminal(point)) {
      char code[8];
      std::snprintf(code, sizeof code, "\\u%04x", point);
      out += code;
    } else {
      out += json.substr(at, size);
    }
    at += size;
  }
  return out;
}

void log_info(const std::string& message, const std::string& table) {
  write_line(printable(message) + (table.empty() ? "" : "\n" + table), !quiet);
}
void log_warning(const std::string& message) {
  write_line("warning: " + printable(message), true);
}

Progress::Progress(std::string what, std::int64_t total)
    : what_(std::move(what)),
      total_(total),
      active_(!quiet && isatty(STDERR_FILENO)),
      start_(std::chrono::steady_clock::now()),
      last_(start_ - std::chrono::hours(1)) {}

Progress::~Progress() {
  finish();
}

void Progress::update(std::int64_t done, const std::string& note) {
  if (!active_) return;
  const auto now = std::chrono::steady_clock::now();
  if (now - last_ < std::chrono::milliseconds(100) && done != total_) return;
  last_ = now;
  const double elapsed = std::chrono::duration<double>(now - start_).count();
  const double share = total_ > 0 ? static_cast<double>(done) / static_cast<double>(total_) : 0;
  constexpr int kCells = 24;
  const int filled = static_cast<int>(share * kCells);
  std::string bar;
  for (int i = 0; i < kCells; ++i) bar += i < filled ? "█" : "░";
  std::string line = what_ + " " + bar + " " + std::to_string(done) + "/" + std::to_string(total_);
  if (done > 0 && done < total_) {
    const int left = static_cast<int>(elapsed / share - elapsed + 0.5);
    char text[32];
    std::snprintf(text, sizeof text, ", %d:%02d left", left / 60, left % 60);
    line += text;
  }
  if (!note.empty()) line += "  " + printable(note);
  winsize size{};
  const std::size_t columns =
      ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
  while (display_width(line) >= columns) line.pop_back();
  const std::lock_guard lock(mutex);
  std::fprintf(stderr, "\r\033[K%s", line.c_str());
  std::fflush(stderr);
  line_open = true;
}

void Progress::finish() {
  if (!active_) return;
  active_ = false;
  const std::lock_guard lock(mutex);
  if (line_open) std::fputs("\r\033[K", stderr);
  std::fflush(stderr);
  line_open = false;
}

TextTable::TextTable(std::vector<std::string> header) {
  row(std::move(header));
}

void TextTable::row(std::vector<std::string> cells) {
  for (std::string& cell : cells) cell = printable(cell);
  rows_.push_back(std::move(cells));
}

std::string TextTable::str() const {
  std::vector<std::size_t> widths;
  for (const auto& row : rows_) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t c = 0; c < row.size(); ++c)
      widths[c] = std::max(widths[c], display_width(row[c]));
  }
  std::string out;
  for (const auto& row : rows_) {
    std::string line;
    for (std::size_t c = 0; c < row.size(); ++c) {
      const std::string padding(widths[c] - display_width(row[c]), ' ');
      line += (c ? "  " : "") + (c ? padding + row[c] : row[c] + padding);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + '\n';
  }
  return out;
}

std::string fixed(double value, int decimals) {
  char buffer[64];
  // Beyond that, the digits are neither true nor fit into a column.
  const char* format = std::abs(value) < 1e15 ? "%.*f" : "%.*e";
  std::snprintf(buffer, sizeof buffer, format, decimals, value);
  return buffer;
}

}  // namespace strata
