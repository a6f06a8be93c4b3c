#include "cli/help.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "core/csv.h"

namespace strata::cli {
namespace {

constexpr int kLeast = 40, kMost = 120;

int columns_of(const std::string& text) {
  return static_cast<int>(std::count_if(text.begin(), text.end(),
                                        [](unsigned char byte) { return (byte & 0xc0) != 0x80; }));
}

std::vector<std::string> words_of(const std::string& text) {
  std::vector<std::string> words;
  std::size_t at = 0;
  while ((at = text.find_first_not_of(' ', at)) != std::string::npos) {
    const std::size_t end = std::min(text.find(' ', at), text.size());
    words.push_back(text.substr(at, end - at));
    at = end;
  }
  return words;
}

/// The text in lines of at most `width` columns, of which all but the first are indented;
/// `before_break` ends every line but the last.
std::string wrapped(const std::string& text, int width, int indent,
                    const std::string& before_break = "") {
  std::string out;
  int column = 0;
  const int room = width - columns_of(before_break);
  for (const std::string& word : words_of(text)) {
    const int length = columns_of(word);
    if (column > 0 && column + 1 + length > room) {
      out += before_break + "\n" + std::string(static_cast<std::size_t>(indent), ' ');
      column = indent;
    } else if (column > 0) {
      out += ' ';
      ++column;
    }
    out += word;
    column += length;
  }
  return out;
}

std::string spaces(int count) {
  return std::string(static_cast<std::size_t>(std::max(count, 0)), ' ');
}

/// A label with its text beside it, or below where the label is long.
std::string entry(const std::string& label, const std::string& text, int column, int width) {
  std::string out = "  " + label;
  const int used = columns_of(out);
  out += used + 2 > column ? "\n" + spaces(column) : spaces(column - used);
  std::string lines;
  // The first line, too, begins at the column.
  lines = wrapped(text, width - column, 0);
  for (std::size_t at = 0; (at = lines.find('\n', at)) != std::string::npos;
       at += static_cast<std::size_t>(column) + 1)
    lines.insert(at + 1, spaces(column));
  return out + lines + "\n";
}

std::string value_of(const HelpOption& option) {
  const std::string value = option.value + (option.list ? "[,...]" : "");
  return option.optional_value ? "[" + value + "]" : value;
}

std::string label_of(const HelpOption& option) {
  if (option.name.empty()) return value_of(option);
  return (option.short_name.empty() ? "" : option.short_name + ", ") + option.name +
         (option.value.empty() ? "" : " " + value_of(option));
}

std::string sentences(const HelpOption& option) {
  std::string text = option.help + ".";
  if (!option.choices.empty()) {
    text += " One of ";
    for (std::size_t i = 0; i < option.choices.size(); ++i)
      text += (i == 0 ? "" : ", ") + option.choices[i];
    text += ".";
  }
  if (!option.initial.empty()) text += " Default: " + option.initial + ".";
  if (option.required && !option.name.empty()) text += " Required.";
  return text;
}

/// The groups in the order of the table, arguments first, those of every subcommand last.
std::vector<std::string> groups_of(const HelpCommand& command) {
  std::vector<std::string> groups;
  const auto add = [&](const std::string& group) {
    if (std::find(groups.begin(), groups.end(), group) == groups.end()) groups.push_back(group);
  };
  for (const HelpOption& option : command.options)
    if (option.name.empty()) add(option.group);
  for (const HelpOption& option : command.options)
    if (option.group != kGeneralGroup) add(option.group);
  add(kGeneralGroup);
  return groups;
}

std::string usage_of(const HelpCommand& command) {
  if (!command.children.empty()) return command.path + " SUBCOMMAND [OPTIONS]";
  std::string usage = command.path;
  for (const HelpOption& option : command.options) {
    if (!option.name.empty()) continue;
    const std::string value = value_of(option) + (option.repeatable ? "..." : "");
    usage += option.required ? " " + value : " [" + value + "]";
  }
  for (const HelpOption& option : command.options)
    if (!option.name.empty() && option.required)
      usage += " " + option.name + " " + value_of(option);
  return usage + " [OPTIONS]";
}

const char* const kExitCodes =
    "Exit codes: 0 done, 1 failed while working, 2 wrong input or usage.";

/// Text for roff, in ASCII.
std::string roff(const std::string& text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte == '\\') {
      out += "\\e";
    } else if (byte == '-') {
      out += "\\-";
    } else if (byte == '\'') {
      out += "\\(aq";
    } else if (byte == '"') {
      out += "\\(dq";
    } else if (byte == '`') {
      out += "\\(ga";
    } else if (byte < 0x80) {
      out += static_cast<char>(byte);
    } else {
      const int more = byte >= 0xf0 ? 3 : byte >= 0xe0 ? 2 : 1;
      std::uint32_t point = byte & (0x3fU >> more);
      for (int k = 0; k < more && i + 1 < text.size(); ++k)
        point = point << 6 | (static_cast<unsigned char>(text[++i]) & 0x3fU);
      char name[16];
      std::snprintf(name, sizeof name, "\\[u%04X]", point);
      out += name;
    }
  }
  return out;
}

/// Running text for roff, in short lines, none of which is taken for a request.
std::string roff_lines(const std::string& text) {
  std::string lines = "\n" + wrapped(roff(text), 78, 0) + "\n";
  for (std::size_t at = 0; (at = lines.find("\n.", at)) != std::string::npos; at += 3)
    lines.insert(at + 1, "\\&");
  return lines.substr(1);
}

std::string upper(std::string text) {
  for (char& c : text) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return text;
}

std::string roff_label(const HelpOption& option) {
  std::string label;
  if (!option.short_name.empty()) label += "\\fB" + roff(option.short_name) + "\\fR, ";
  if (!option.name.empty()) label += "\\fB" + roff(option.name) + "\\fR";
  if (!option.value.empty())
    label += (label.empty() ? "\\fI" : " \\fI") + roff(value_of(option)) + "\\fR";
  return label;
}

}  // namespace

std::string HelpCommand::name() const {
  return path.substr(path.rfind(' ') + 1);
}

int help_width() {
  std::int64_t columns = 0;
  const char* set = std::getenv("COLUMNS");
  winsize size{};
  if (!set || !parse_integer(set, columns) || columns < 1)
    columns = ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
  return static_cast<int>(std::clamp<std::int64_t>(columns, kLeast, kMost));
}

std::string help_text(const HelpCommand& command, int width) {
  const int column = std::clamp(width * 2 / 5, 18, 30);
  std::string out = wrapped(command.summary + ".", width, 0) + "\n\n";
  out += wrapped("Usage: " + usage_of(command), width, 7) + "\n";
  if (!command.children.empty()) {
    out += "\nSubcommands:\n";
    for (const HelpCommand& child : command.children)
      out += entry(child.name(), child.summary, column, width);
  }
  for (const std::string& group : groups_of(command)) {
    std::string entries;
    for (const HelpOption& option : command.options)
      if (option.group == group)
        entries += entry(label_of(option), sentences(option), column, width);
    if (!entries.empty()) out += "\n" + group + ":\n" + entries;
  }
  out += command.examples.size() > 1 ? "\nExamples:\n" : "\nExample:\n";
  for (const HelpExample& example : command.examples) {
    out += "  # " + wrapped(example.purpose, width - 4, 0, "") + "\n";
    out += "  " + wrapped(example.command, width - 2, 4, " \\") + "\n";
  }
  out += "\n" + wrapped(kExitCodes, width, 0) + "\n";
  if (!command.children.empty())
    out += wrapped("`" + command.path + " SUBCOMMAND --help` explains one subcommand.", width, 0) +
           "\n";
  return out;
}

std::string man_name(const HelpCommand& command) {
  std::string name = command.path;
  std::replace(name.begin(), name.end(), ' ', '-');
  return name;
}

std::string man_page(const HelpCommand& command, const std::string& version) {
  const std::string name = man_name(command);
  std::string out = ".TH " + roff(upper(name)) + " 1 \"\" \"strata " + roff(version) +
                    "\" \"Strata\"\n.SH NAME\n" + roff_lines(name + " - " + command.summary) +
                    ".SH SYNOPSIS\n\\fB" + roff(command.path) + "\\fR" +
                    roff(usage_of(command).substr(command.path.size())) + "\n";
  if (!command.children.empty()) {
    out += ".SH SUBCOMMANDS\n";
    for (const HelpCommand& child : command.children)
      out += ".TP\n\\fB" + roff(child.name()) + "\\fR\n" + roff_lines(child.summary + ".");
  }
  out += ".SH OPTIONS\n";
  for (const std::string& group : groups_of(command)) {
    std::string entries;
    for (const HelpOption& option : command.options)
      if (option.group == group)
        entries += ".TP\n" + roff_label(option) + "\n" + roff_lines(sentences(option));
    if (!entries.empty()) out += ".SS " + roff(group) + "\n" + entries;
  }
  out +=
      ".SH EXIT STATUS\n.TP\n0\nDone.\n.TP\n1\nFailed while working.\n.TP\n2\nWrong input or "
      "usage.\n.SH EXAMPLES\n";
  for (const HelpExample& example : command.examples)
    out += (&example == &command.examples.front() ? "" : ".PP\n") +
           roff_lines(example.purpose + ":") + ".PP\n.nf\n    " + roff(example.command) + "\n.fi\n";
  std::vector<std::string> see;
  for (const HelpCommand& child : command.children) see.push_back(man_name(child));
  if (command.path.find(' ') != std::string::npos)
    see.insert(see.begin(), name.substr(0, name.rfind('-')));
  if (see.empty()) return out;
  out += ".SH SEE ALSO\n";
  for (std::size_t i = 0; i < see.size(); ++i)
    out += ".BR " + roff(see[i]) + " (1)" + (i + 1 < see.size() ? "," : "") + "\n";
  return out;
}

}  // namespace strata::cli
