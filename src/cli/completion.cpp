#include <algorithm>
#include <cctype>
#include <stdexcept>
#include <string>
#include <vector>

#include "cli/help.h"
#include "core/text.h"

namespace strata::cli {
namespace {

enum class Kind { kFlag, kText, kFile, kFolder, kChoice };

struct Completed {
  Kind kind = Kind::kText;
  std::vector<std::string> words;
};

/// A choice such as row:N is a pattern and cannot be typed for the user.
bool is_word(const std::string& choice) {
  return std::all_of(choice.begin(), choice.end(), [](unsigned char c) {
    return std::islower(c) || std::isdigit(c) || c == '_' || c == '-';
  });
}

Completed completed(const HelpOption& option, const HelpCommand& root) {
  if (option.value.empty()) return {Kind::kFlag, {}};
  if (option.value == "FILE" || option.value == "PATH") return {Kind::kFile, {}};
  if (option.value == "DIR") return {Kind::kFolder, {}};
  Completed found;
  for (const std::string& choice : option.choices)
    if (is_word(choice)) found.words.push_back(choice);
  if (option.value == "COMMAND")
    for (const HelpCommand& child : root.children) found.words.push_back(child.name());
  if (!found.words.empty()) found.kind = Kind::kChoice;
  return found;
}

std::vector<std::string> names_of(const HelpOption& option) {
  std::vector<std::string> names;
  if (!option.short_name.empty()) names.push_back(option.short_name);
  if (!option.name.empty()) names.push_back(option.name);
  return names;
}

void all_commands(const HelpCommand& command, std::vector<const HelpCommand*>& commands) {
  commands.push_back(&command);
  for (const HelpCommand& child : command.children) all_commands(child, commands);
}

std::vector<const HelpCommand*> all_commands(const HelpCommand& root) {
  std::vector<const HelpCommand*> commands;
  all_commands(root, commands);
  return commands;
}

std::string case_of(const std::vector<std::string>& patterns, const std::string& action) {
  if (patterns.empty()) return "";
  return "    " + joined(patterns, " | \\\n    ") + ")\n      " + action + "\n      ;;\n";
}

/// The script up to its first case: what the cases call.
const char* const kBashHead =
    R"(# Completion of strata for bash; written by `strata completion bash`.

_strata_words() {
  compopt +o default +o bashdefault 2>/dev/null
  local word
  for word in $1; do
    if [[ $word == "$cur"* ]]; then COMPREPLY+=("$word"); fi
  done
}

_strata_list() {
  compopt +o default +o bashdefault 2>/dev/null
  compopt -o nospace 2>/dev/null
  local word before=
  if [[ $cur == *,* ]]; then before=${cur%,*},; fi
  for word in $1; do
    if [[ $before$word == "$cur"* ]]; then COMPREPLY+=("$before$word"); fi
  done
}

_strata_folders() {
  compopt +o default +o bashdefault -o filenames 2>/dev/null
  local folder
  while IFS= read -r folder; do COMPREPLY+=("$folder"); done < <(compgen -d -- "$cur")
}

# Where COMPREPLY stays empty, readline completes the names of files.
_strata() {
  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} path=strata i
  COMPREPLY=()
  if [[ $cur == '=' ]]; then
    cur=
  elif [[ $prev == '=' ]]; then
    prev=${COMP_WORDS[COMP_CWORD - 2]}
  fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$path ${COMP_WORDS[i]}" in
)";

/// The cases of bash's script, in its order.
struct BashCases {
  std::string paths, values, words, arguments;
};

BashCases bash_cases(const HelpCommand& root) {
  std::vector<std::string> files, folders, texts, paths;
  std::string choices;
  BashCases cases;
  for (const HelpCommand* command : all_commands(root)) {
    const std::string quoted = "'" + command->path + "'";
    if (command != &root) paths.push_back(quoted);
    std::vector<std::string> options;
    for (const HelpOption& option : command->options) {
      const Completed found = completed(option, root);
      const std::string pick = std::string(option.list ? "_strata_list" : "_strata_words") + " '" +
                               joined(found.words, " ") + "'";
      if (option.name.empty()) {
        const std::string action = found.kind == Kind::kFolder ? "_strata_folders"
                                   : found.kind == Kind::kFile ? ":"
                                                               : pick;
        cases.arguments += case_of({quoted}, action);
        continue;
      }
      options.push_back(option.name);
      const std::string pattern = "'" + command->path + " " + option.name + "'";
      if (found.kind == Kind::kFile) files.push_back(pattern);
      if (found.kind == Kind::kFolder) folders.push_back(pattern);
      if (found.kind == Kind::kText) texts.push_back(pattern);
      if (found.kind == Kind::kChoice) choices += case_of({pattern}, pick + "; return");
    }
    cases.words += case_of({quoted}, "_strata_words '" + joined(options, " ") + "'");
    if (command->children.empty()) continue;
    std::vector<std::string> children;
    for (const HelpCommand& child : command->children) children.push_back(child.name());
    cases.arguments += case_of({quoted}, "_strata_words '" + joined(children, " ") + "'");
  }
  cases.paths = case_of(paths, "path=\"$path ${COMP_WORDS[i]}\"");
  cases.values = case_of(files, "return") + case_of(folders, "_strata_folders; return") +
                 case_of(texts, "_strata_words ''; return") + choices;
  return cases;
}

std::string bash_script(const HelpCommand& root) {
  const BashCases cases = bash_cases(root);
  return kBashHead + cases.paths + R"(    esac
  done
  case "$path $prev" in
)" + cases.values +
         R"(  esac
  if [[ $cur == -* ]]; then
    case $path in
)" + cases.words +
         R"(    esac
  else
    case $path in
)" + cases.arguments +
         R"(    esac
  fi
} && complete -o bashdefault -o default -F _strata strata
)";
}

/// For a description within [] of an _arguments specification, within single quotes.
std::string zsh_text(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '\'') {
      out += "'\\''";
      continue;
    }
    if (c == '[' || c == ']' || c == ':' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

std::string zsh_function(const HelpCommand& command) {
  std::string name = "_" + man_name(command);
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

std::string zsh_action(const HelpOption& option, const HelpCommand& root) {
  const Completed found = completed(option, root);
  switch (found.kind) {
    case Kind::kFlag:
      return "";
    case Kind::kText:
      return ":" + option.value + ": ";
    case Kind::kFile:
      return ":" + option.value + ":_files";
    case Kind::kFolder:
      return ":" + option.value + ":_files -/";
    case Kind::kChoice:
      break;
  }
  const std::string words = joined(found.words, " ");
  return ":" + option.value +
         (option.list ? ":_values -s , " + option.value + " " + words : ":(" + words + ")");
}

std::string zsh_script(const HelpCommand& root) {
  std::string out =
      "#compdef strata\n# Completion of strata for zsh; written by `strata completion zsh`.\n";
  for (const HelpCommand* command : all_commands(root)) {
    out += "\n" + zsh_function(*command) + "() {\n";
    if (!command->children.empty()) {
      out += "  if (( CURRENT > 2 )); then\n    case $words[2] in\n";
      for (const HelpCommand& child : command->children)
        out += "      " + child.name() + ") shift words; (( CURRENT-- )); " + zsh_function(child) +
               "; return ;;\n";
      out += "    esac\n  fi\n  local -a subcommands=(\n";
      for (const HelpCommand& child : command->children)
        out += "    '" + child.name() + ":" + zsh_text(child.summary) + "'\n";
      out += "  )\n  _arguments -s ':subcommand:{_describe subcommand subcommands}'";
    } else {
      out += "  _arguments -s";
    }
    for (const HelpOption& option : command->options) {
      const std::string action = zsh_action(option, root);
      out += " \\\n    ";
      if (option.name.empty()) {
        out += std::string("'") + (option.repeatable ? "*" : "") + action + "'";
        continue;
      }
      const std::string text = "[" + zsh_text(option.help) + "]";
      for (const std::string& name : names_of(option)) {
        if (name != names_of(option).front()) out += " \\\n    ";
        // The value may stand after a space or after =; -q has none.
        out += std::string("'") + (option.repeatable ? "*" : "") + name +
               (option.value.empty() ? "" : "=") + text +
               (option.optional_value ? ":" + action : action) + "'";
      }
    }
    out += "\n}\n";
  }
  return out + R"(
if [[ $funcstack[1] == _strata ]]; then
  _strata "$@"
else
  compdef _strata strata
fi
)";
}

std::string fish_text(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '\'' || c == '\\') out += '\\';
    out += c;
  }
  return "'" + out + "'";
}

std::string fish_value(const HelpOption& option, const HelpCommand& root) {
  const Completed found = completed(option, root);
  const std::string words = joined(found.words, " ");
  switch (found.kind) {
    case Kind::kFlag:
      return "";
    case Kind::kText:
      return " -x";
    case Kind::kFile:
      return option.optional_value ? " -F" : " -r -F";
    case Kind::kFolder:
      return " -x -a '(__fish_complete_directories)'";
    case Kind::kChoice:
      break;
  }
  return option.list ? " -x -a '(__fish_append , " + words + ")'" : " -x -a '" + words + "'";
}

std::string fish_script(const HelpCommand& root) {
  std::vector<std::string> paths;
  for (const HelpCommand* command : all_commands(root))
    if (command != &root) paths.push_back("'" + command->path + "'");
  std::string out = R"(# Completion of strata for fish; written by `strata completion fish`.

function __strata_at
    set -l path strata
    for word in (commandline -opc)[2..-1]
        if contains -- "$path $word" )" +
                    joined(paths, " ") +
                    R"(
            set path "$path $word"
        end
    end
    test "$path" = "$argv"
end

complete -c strata -f
)";
  for (const HelpCommand* command : all_commands(root)) {
    const std::string begin = "complete -c strata -n '__strata_at " + command->path + "'";
    for (const HelpCommand& child : command->children)
      out += begin + " -a " + child.name() + " -d " + fish_text(child.summary) + "\n";
    for (const HelpOption& option : command->options) {
      out += begin;
      std::string value = fish_value(option, root);
      if (option.name.empty()) {
        // Not an option's value: -x and -r are for those.
        for (const std::string require : {" -x", " -r"})
          if (value.rfind(require, 0) == 0) value.erase(0, require.size());
      }
      if (!option.short_name.empty()) out += " -s " + option.short_name.substr(1);
      if (!option.name.empty()) out += " -l " + option.name.substr(2);
      out += value + " -d " + fish_text(option.help) + "\n";
    }
  }
  return out;
}

struct Shell {
  const char* name;
  std::string (*script)(const HelpCommand& root);
};
// A further shell is a row.
constexpr Shell kShells[] = {{"bash", bash_script}, {"zsh", zsh_script}, {"fish", fish_script}};

}  // namespace

const std::vector<std::string>& completion_shells() {
  static const std::vector<std::string> shells = [] {
    std::vector<std::string> names;
    for (const Shell& shell : kShells) names.emplace_back(shell.name);
    return names;
  }();
  return shells;
}

std::string completion_script(const HelpCommand& root, const std::string& shell) {
  for (const Shell& known : kShells)
    if (known.name == shell) return known.script(root);
  throw std::out_of_range(shell);
}

}  // namespace strata::cli
