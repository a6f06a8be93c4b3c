#pragma once
/// \file
/// What --help, the manual pages and the shells' completions say about a subcommand. All of them
/// are written from one description, which command_line.cpp takes from the table that parses.

#include <string>
#include <vector>

namespace strata::cli {

/// The group of what every subcommand has, which stands last.
inline constexpr const char* kGeneralGroup = "General";

struct HelpOption {
  std::string short_name;  ///< "-q", or ""
  std::string name;        ///< "--quiet"; "" for a positional argument
  std::string value;       ///< what stands for the value: FILE, DIR, N, …; "" for a flag
  std::string help;
  std::string initial;  ///< the default value; "" for none
  std::string group;
  std::vector<std::string> choices;  ///< the values allowed; empty: not a fixed set
  bool required = false;
  bool list = false;            ///< takes values separated by commas
  bool repeatable = false;      ///< may stand several times
  bool optional_value = false;  ///< the value may be left out
};

struct HelpExample {
  std::string purpose;
  std::string command;
};

struct HelpCommand {
  std::string path;  ///< "strata data make"
  std::string summary;
  std::vector<HelpOption> options;
  std::vector<HelpExample> examples;
  std::vector<HelpCommand> children;

  std::string name() const;  ///< the last word of the path
};

/// Columns for help: $COLUMNS where it is a number, else those of the terminal on stdout, else 80;
/// from 40 to 120.
int help_width();

/// The text of --help. No line has more than `width` columns, except for one word that has; words
/// are never broken.
std::string help_text(const HelpCommand& command, int width);

/// The manual page in man(7)'s macros, section 1.
std::string man_page(const HelpCommand& command, const std::string& version);

/// The name of that page, as in "strata-data-make".
std::string man_name(const HelpCommand& command);

/// The shells that completion_script() knows.
const std::vector<std::string>& completion_shells();

/// A script that completes subcommands, options, their values, files and folders.
std::string completion_script(const HelpCommand& root, const std::string& shell);

}  // namespace strata::cli
