// The borders of the house: which module includes which, and that each keeps to its own namespace.

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "catch.h"
#include "temp_dir.h"

namespace fs = std::filesystem;
using strata::test::TempDir;

namespace {

/// What the files of a module may include besides their own module's (docs/design.md). A module
/// that is not here is unknown, and an edge that no file uses any more is to be taken out.
const std::map<std::string, std::set<std::string>> kEdges = {
    {"core", {}},
    {"optimizers", {"core"}},
    {"data", {"core"}},
    {"models", {"core", "data"}},
    {"peft", {"core", "models"}},
    {"tasks", {"core", "data", "models"}},
    {"ntk", {"core", "models", "tasks"}},
    {"experiment", {"core", "data", "models", "peft", "tasks"}},
    {"fedrunner", {"core", "data", "experiment", "models", "peft", "tasks"}},
    {"report", {"core", "fedrunner", "optimizers"}},
    {"cli",
     {"core", "data", "experiment", "fedrunner", "models", "ntk", "optimizers", "peft", "report",
      "tasks"}},
    // What is not linked into the programs: the Python module's C++, which is to have no LibTorch,
    // and the benchmarks.
    {"python", {"core", "ntk", "optimizers"}},
    {"bench",
     {"cli", "core", "data", "experiment", "fedrunner", "models", "ntk", "optimizers", "support",
      "tasks"}},
};

struct SourceFile {
  std::string path;    ///< from the root
  std::string module;  ///< empty: of no module, such as include/strata/strata.h
  bool is_public;
};

/// Every source and header of src/, include/, the three modules at the root, python/bindings and
/// bench/.
std::vector<SourceFile> source_files(const fs::path& root) {
  static const std::regex in_module(R"((?:src/|include/strata/)?([a-z]+)/[a-z_0-9/]+\.(?:h|cpp))");
  std::vector<SourceFile> files;
  for (const char* folder :
       {"src", "include", "optimizers", "ntk", "fedrunner", "python/bindings", "bench"}) {
    if (!fs::exists(root / folder)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(root / folder)) {
      const std::string path = entry.path().lexically_relative(root).generic_string();
      if (entry.path().extension() != ".h" && entry.path().extension() != ".cpp") continue;
      std::smatch match;
      const bool matched = std::regex_match(path, match, in_module);
      files.push_back({path, matched ? match.str(1) : "", path.rfind("include/", 0) == 0});
    }
  }
  return files;
}

std::vector<std::string> lines_of(const fs::path& file) {
  std::ifstream stream(file);
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

struct Borders {
  std::vector<std::string> wrong;                      ///< file:line: what
  std::map<std::string, std::set<std::string>> edges;  ///< in use
};

Borders borders_of(const fs::path& root) {
  static const std::regex include(R"re(\s*#include "(strata/)?([a-z]+)/[^"]+".*)re");
  // Types of other modules may be declared forward.
  static const std::regex forward(R"(((class|struct) \w+;.*)?)");
  static const std::regex opened(R"(namespace (strata[a-z:]*) \{.*)");
  Borders borders;
  for (const SourceFile& file : source_files(root)) {
    int number = 0;
    const auto wrong = [&](const std::string& what) {
      borders.wrong.push_back(file.path + ":" + std::to_string(number) + ": " + what);
    };
    const auto known = kEdges.find(file.module);
    if (known == kEdges.end()) {
      wrong("is of no module that the table names");
      continue;
    }
    const std::string name_space = "strata" + (file.module == "core" ? "" : "::" + file.module);
    bool foreign = false;
    for (const std::string& line : lines_of(root / file.path)) {
      ++number;
      std::smatch match;
      if (std::regex_match(line, match, include)) {
        const std::string to = match.str(2) == "bindings" ? "python" : match.str(2);
        if (file.is_public && match.length(1) == 0)
          wrong("a public header includes \"" + to + "/…\", which is not installed");
        if (to == file.module) continue;
        borders.edges[file.module].insert(to);
        if (!known->second.count(to)) wrong(file.module + " includes " + to);
      } else if (std::regex_match(line, match, opened) && match.str(1) != name_space) {
        foreign = true;
      } else if (foreign && line.rfind("}", 0) == 0) {
        foreign = false;
      } else if (foreign && !std::regex_match(line, forward)) {
        wrong("stands in a namespace that is not " + name_space);
      }
    }
  }
  return borders;
}

}  // namespace

TEST_CASE("modules include what the table of edges allows, and open their own namespace") {
  const auto borders = borders_of(STRATA_SOURCE_DIR);
  for (const auto& wrong : borders.wrong) UNSCOPED_INFO(wrong);
  CHECK(borders.wrong.empty());
  // An edge that is not in use any more is a border to close.
  CHECK(borders.edges == [] {
    auto edges = kEdges;
    edges.erase("core");
    return edges;
  }());
}

TEST_CASE("every public header has an example, which house/examples runs") {
  const fs::path include = fs::path(STRATA_SOURCE_DIR) / "include/strata";
  for (const auto& entry : fs::recursive_directory_iterator(include)) {
    if (!entry.is_regular_file()) continue;
    const std::string header = entry.path().lexically_relative(include).generic_string();
    INFO(header);
    const std::string text = strata::test::slurp(entry.path());
    CHECK(text.find("/// \\code\n") != std::string::npos);
  }
}

TEST_CASE(
    "an include against the edges is seen, as are a foreign namespace and a module of no row") {
  const TempDir dir;
  dir.write("optimizers/search.cpp",
            "#include \"strata/core/plan.h\"\n#include \"ntk/lntk.h\"\nnamespace strata::ntk "
            "{\nint score();\n}\n");
  dir.write("src/core/plan.cpp", "namespace strata {\n}  // namespace strata\n");
  dir.write("include/strata/core/plan.h", "#include \"core/document.h\"\n");
  dir.write("include/strata/ntk/score.h",
            "#include \"strata/models/x.h\"\nnamespace strata::models {\nclass Model;\n}\n");
  dir.write("src/attic/old.cpp", "");
  dir.write("python/bindings/arrays.cpp",
            "#include \"bindings/arrays.h\"\n#include \"models/model.h\"\nnamespace strata::ntk "
            "{\nint score();\n}\n");
  dir.write("bench/page.cpp", "#include \"report/page.h\"\nnamespace {\nint runs;\n}\n");
  auto wrong = borders_of(dir.path()).wrong;
  std::sort(wrong.begin(), wrong.end());
  CHECK(wrong ==
        std::vector<std::string>{
            "bench/page.cpp:1: bench includes report",
            "include/strata/core/plan.h:1: a public header includes \"core/…\", which is "
            "not installed",
            "optimizers/search.cpp:2: optimizers includes ntk",
            "optimizers/search.cpp:4: stands in a namespace that is not strata::optimizers",
            "python/bindings/arrays.cpp:2: python includes models",
            "python/bindings/arrays.cpp:4: stands in a namespace that is not strata::python",
            "src/attic/old.cpp:0: is of no module that the table names"});
}
