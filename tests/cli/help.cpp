// --help, manual pages and completion, which people read and shells run.

#include "cli/help.h"

#include <pty.h>

#include <cstdlib>
#include <functional>
#include <regex>
#include <set>

#include "catch.h"
#include "cli/command_line.h"
#include "command.h"
#include "wrong_input.h"

using namespace strata;
using namespace strata::cli;
using test::run_program;
using test::run_strata;

namespace {

int columns_of(const std::string& text) {
  return static_cast<int>(std::count_if(text.begin(), text.end(),
                                        [](unsigned char byte) { return (byte & 0xc0) != 0x80; }));
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

std::vector<std::string> words_of(const std::string& text) {
  std::vector<std::string> words;
  std::istringstream in(text);
  for (std::string word; in >> word;) words.push_back(word);
  return words;
}

void each(const HelpCommand& command, const std::function<void(const HelpCommand&)>& visit) {
  visit(command);
  for (const HelpCommand& child : command.children) each(child, visit);
}

std::vector<std::string> subcommand_words(const HelpCommand& command) {
  auto words = words_of(command.path);
  words.erase(words.begin());
  return words;
}

/// `strata … --help` of the real program on a terminal of so many columns.
std::string help_of(const HelpCommand& command, int width, const test::TempDir& dir) {
  ::setenv("COLUMNS", std::to_string(width).c_str(), 1);
  auto arguments = subcommand_words(command);
  arguments.push_back("--help");
  const auto outcome = run_strata(arguments, dir.path());
  ::unsetenv("COLUMNS");
  CHECK(outcome.code == 0);
  CHECK(outcome.err.empty());
  return outcome.out;
}

/// The option names that the table's source mentions, as an account that no code of the table
/// gives.
std::set<std::string> options_in_source() {
  const std::filesystem::path folder = std::filesystem::path(STRATA_SOURCE_DIR) / "src/cli";
  const std::string source =
      test::slurp(folder / "command_line.cpp") + test::slurp(folder / "options.cpp");
  // add_option("--name", ranged(app, "--name", add_flag("-q,--quiet"
  const std::regex name(
      "(?:add_option|add_flag|add_flag_callback|ranged)\\(\\s*(?:\\w+,\\s*)?\""
      "(?:-\\w,)?(--[a-z-]+)\"");
  std::set<std::string> names;
  for (std::sregex_iterator at(source.begin(), source.end(), name), end; at != end; ++at)
    names.insert((*at)[1]);
  return names;
}

bool installed(const std::string& program) {
  const test::TempDir dir;
  return run_program("/bin/sh", {"-c", "command -v " + program}, dir.path()).code == 0;
}

/// What a real bash offers after these words, the last of which is being typed.
std::vector<std::string> bash_offers(const std::vector<std::string>& words,
                                     const test::TempDir& dir) {
  dir.write("strata.bash", run_strata({"completion", "bash"}, dir.path()).out);
  std::string script = "set -u; . ./strata.bash; COMP_WORDS=(";
  for (const auto& word : words) script += " '" + word + "'";
  script += " ); COMP_CWORD=" + std::to_string(words.size() - 1) +
            "; _strata; if (( ${#COMPREPLY[@]} )); then printf '%s\\n' \"${COMPREPLY[@]}\"; fi";
  const auto outcome = run_program("/bin/bash", {"-c", script}, dir.path());
  CHECK(outcome.code == 0);
  CHECK(outcome.err.empty());
  return lines_of(outcome.out);
}

using Words = std::vector<std::string>;

}  // namespace

TEST_CASE("every option of every subcommand is in help with what stands for its value") {
  const test::TempDir dir;
  std::set<std::string> named;
  const std::set<std::string> raw = {"TEXT", "INT",  "UINT",    "FLOAT",
                                     "ENUM", "CHAR", "BOOLEAN", "VERSION"};
  each(command_help(), [&](const HelpCommand& command) {
    CAPTURE(command.path);
    const std::string text = help_of(command, 120, dir);
    const auto words = words_of(text);
    for (const HelpOption& option : command.options) {
      CAPTURE(option.name, option.help);
      CHECK(raw.count(option.value) == 0);
      CHECK(option.group != "Options");
      CHECK(!option.help.empty());
      if (option.name.empty()) {
        CHECK_THAT(text, Catch::Contains("\n  " + option.value + " "));
        continue;
      }
      named.insert(option.name);
      const std::string label =
          "\n  " + (option.short_name.empty() ? "" : option.short_name + ", ") + option.name;
      const std::regex entry(label + "( \\S+)?( \\s+|\n\\s+)\\S");
      std::smatch found;
      REQUIRE(std::regex_search(text, found, entry));
      CHECK(found[1].matched == !option.value.empty());
      CHECK_THAT(found[1].str(), Catch::Contains(option.value));
    }
    for (const std::string& word : words) CHECK(raw.count(word) == 0);
  });
  const auto source = options_in_source();
  CHECK(source.size() > 70);
  for (const std::string& name : source) {
    CAPTURE(name);
    CHECK(named.count(name) == 1);
  }
}

TEST_CASE("help is no wider than the terminal, and no word of it is broken") {
  const test::TempDir dir;
  each(command_help(), [&](const HelpCommand& command) {
    CAPTURE(command.path);
    // Words as they stand where there is room for them; a \ continues an example.
    const auto words_at = [&](int width) {
      auto words = words_of(help_of(command, width, dir));
      words.erase(std::remove(words.begin(), words.end(), "\\"), words.end());
      return words;
    };
    const auto words = words_of(help_text(command, 100000));
    for (const int width : {60, 80, 120}) {
      CAPTURE(width);
      for (const std::string& line : lines_of(help_of(command, width, dir))) {
        CAPTURE(line);
        CHECK(columns_of(line) <= width);
      }
      CHECK(words_at(width) == words);
    }
    // Without a terminal and without COLUMNS.
    ::unsetenv("COLUMNS");
    auto arguments = subcommand_words(command);
    arguments.push_back("-h");
    CHECK(run_strata(arguments, dir.path()).out == help_of(command, 80, dir));
  });
}

TEST_CASE("help asks the terminal for its width") {
  ::unsetenv("COLUMNS");
  winsize size{};
  size.ws_col = 60;
  size.ws_row = 24;
  int terminal = -1;
  const pid_t child = ::forkpty(&terminal, nullptr, nullptr, &size);
  REQUIRE(child >= 0);
  if (child == 0) {
    const std::string program = test::strata_program();
    ::execl(program.c_str(), "strata", "help", "plan", nullptr);
    _exit(126);
  }
  std::string text;
  char buffer[4096];
  for (ssize_t count; (count = ::read(terminal, buffer, sizeof buffer)) > 0;)
    text.append(buffer, static_cast<std::size_t>(count));
  ::close(terminal);
  int status = 0;
  ::waitpid(child, &status, 0);
  text.erase(std::remove(text.begin(), text.end(), '\r'), text.end());
  const HelpCommand all = command_help();
  const auto plan = std::find_if(all.children.begin(), all.children.end(),
                                 [](const HelpCommand& child) { return child.name() == "plan"; });
  REQUIRE(plan != all.children.end());
  CHECK(text == help_text(*plan, 60));
}

TEST_CASE("every subcommand's help has an example that the program accepts") {
  const test::TempDir dir;
  each(command_help(), [&](const HelpCommand& command) {
    CAPTURE(command.path);
    int examples = 0;
    const auto lines = lines_of(help_of(command, 60, dir));
    for (std::size_t i = 0; i < lines.size(); ++i) {
      if (lines[i].rfind("  strata ", 0) != 0) continue;
      std::string example = lines[i];
      while (example.back() == '\\') {
        example.pop_back();
        example += lines.at(++i);
      }
      CAPTURE(example);
      auto words = words_of(example.substr(0, example.find('>')));
      std::vector<char*> argv;
      for (auto& word : words) argv.push_back(word.data());
      bool done = false;
      // Parsed, not run; help, completion and man print in parsing and may not write here.
      const bool writes = words.at(1) == "man" && words.size() > 2 && words[2] == "--out";
      if (!writes) {
        std::ostringstream printed;
        auto* const out = std::cout.rdbuf(printed.rdbuf());
        std::string refused;
        try {
          parse_command_line(static_cast<int>(argv.size()), argv.data(), done);
        } catch (const std::exception& error) {
          refused = error.what();
        }
        std::cout.rdbuf(out);
        CHECK(refused.empty());
      }
      CHECK_THAT(example, Catch::Contains(command.path));
      ++examples;
    }
    CHECK(examples > 0);
  });
}

TEST_CASE(
    "strata, strata help and strata data print help; an unknown subcommand names the nearest") {
  const test::TempDir dir;
  const auto same = [&](const Words& asked, const Words& as) {
    const auto outcome = run_strata(asked, dir.path());
    CHECK(outcome.code == 0);
    CHECK(outcome.err.empty());
    CHECK(outcome.out == run_strata(as, dir.path()).out);
    CHECK_THAT(outcome.out, Catch::Contains("Usage: strata"));
  };
  same({}, {"--help"});
  same({"help"}, {"--help"});
  same({"data"}, {"data", "--help"});
  same({"help", "plan"}, {"plan", "--help"});
  same({"help", "data", "make"}, {"data", "make", "--help"});
  test::check_refused({"help", "plam"}, dir.path(),
                      {"strata help: unknown subcommand \"plam\" (did you mean \"plan\"?)"});
  test::check_refused({"help", "plan", "now"}, dir.path(),
                      {"\"strata plan\" has no subcommands, found \"now\""});
  test::check_refused({"comparee"}, dir.path(), {"did you mean \"compare\"?"});
  test::check_refused({"completion", "bsh"}, dir.path(), {"did you mean \"bash\"?"});
  test::check_refused({"man", "plan", "--out", "pages"}, dir.path(), {"--out"});
}

TEST_CASE("shells accept their completion scripts, which name every option and subcommand") {
  const test::TempDir dir;
  for (const std::string shell : {"bash", "zsh", "fish"}) {
    CAPTURE(shell);
    const auto script = run_strata({"completion", shell}, dir.path());
    CHECK(script.code == 0);
    each(command_help(), [&](const HelpCommand& command) {
      CHECK_THAT(script.out, Catch::Contains(command.name()));
      for (const HelpOption& option : command.options) {
        if (option.name.empty()) continue;
        CHECK_THAT(script.out, Catch::Contains(shell == "fish" ? "-l " + option.name.substr(2) + " "
                                                               : option.name));
      }
    });
    if (!installed(shell)) {
      std::cerr << "SKIPPED: " << shell << " is not installed; its script is not read\n";
      continue;
    }
    dir.write("script", script.out);
    const auto read = run_program("/usr/bin/env", {shell, "-n", "script"}, dir.path());
    CHECK(read.code == 0);
    CHECK(read.err.empty());
  }
}

TEST_CASE("bash completes subcommands, options, choices and folders") {
  const test::TempDir dir;
  CHECK(bash_offers({"strata", "pl"}, dir) == Words{"plan"});
  CHECK(bash_offers({"strata", "plan", "--cho"}, dir) == Words{"--choose"});
  CHECK(bash_offers({"strata", "data", ""}, dir) == Words{"make", "check"});
  CHECK(bash_offers({"strata", "help", "insp"}, dir) == Words{"inspect"});
  CHECK(bash_offers({"strata", "plan", "--algorithm", "nsg"}, dir) == Words{"nsga2"});
  CHECK(bash_offers({"strata", "plan", "--algorithm", "=", "nsg"}, dir) == Words{"nsga2"});
  CHECK(bash_offers({"strata", "compare", "--algorithms", "aco,nsg"}, dir) == Words{"aco,nsga2"});
  CHECK(bash_offers({"strata", "completion", ""}, dir) == Words{"bash", "zsh", "fish"});
  CHECK(bash_offers({"strata", "plan", "--seed", ""}, dir).empty());
  CHECK(bash_offers({"strata", "plan", "--json", "--fro"}, dir) == Words{"--front"});
  dir.write("run folder/config.yaml", "");
  dir.write("run.csv", "");
  CHECK(bash_offers({"strata", "report", "ru"}, dir) == Words{"run folder"});
  // Files are left to readline, which knows about blanks and ~.
  CHECK(bash_offers({"strata", "plan", "--scores", "ru"}, dir).empty());
}

TEST_CASE("manual pages name every option and are without fault") {
  const test::TempDir dir;
  CHECK(run_strata({"man", "--out", "pages"}, dir.path()).code == 0);
  std::size_t pages = 0;
  each(command_help(), [&](const HelpCommand& command) {
    CAPTURE(command.path);
    const auto file = dir / "pages" / (man_name(command) + ".1");
    const std::string page = test::slurp(file);
    auto arguments = subcommand_words(command);
    arguments.insert(arguments.begin(), "man");
    CHECK(run_strata(arguments, dir.path()).out == page);
    CHECK(std::all_of(page.begin(), page.end(),
                      [](char c) { return static_cast<unsigned char>(c) < 0x80; }));
    std::string plain = page;
    plain.erase(std::remove(plain.begin(), plain.end(), '\\'), plain.end());
    for (const HelpOption& option : command.options) {
      CAPTURE(option.name);
      if (option.name.empty()) continue;
      CHECK_THAT(plain, Catch::Contains("fB" + option.name + "fR"));
    }
    for (const HelpCommand& child : command.children)
      CHECK_THAT(plain, Catch::Contains(man_name(child)));
    CHECK_THAT(page, Catch::Contains("\n.SH EXAMPLES\n"));
    ++pages;
    if (installed("groff")) {
      const auto read =
          run_program("/usr/bin/env", {"groff", "-ww", "-man", "-Tutf8", file}, dir.path());
      CHECK(read.code == 0);
      CHECK(read.err.empty());
      CHECK(!read.out.empty());
    }
    if (installed("mandoc")) {
      const auto read = run_program("/usr/bin/env", {"mandoc", "-Tlint", file}, dir.path());
      // Without a date, the same source gives the same page on every day.
      for (const std::string& line : lines_of(read.out + read.err))
        CHECK_THAT(line, Catch::Contains("missing date"));
    }
  });
  for (const std::string program : {"groff", "mandoc"})
    if (!installed(program))
      std::cerr << "SKIPPED: " << program << " is not installed; it reads no page\n";
  const std::filesystem::directory_iterator begin(dir / "pages");
  CHECK(static_cast<std::size_t>(std::distance(begin, {})) == pages);
}
