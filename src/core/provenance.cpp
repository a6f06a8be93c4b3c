#include "core/provenance.h"

#include <ctime>
#include <filesystem>
#include <fstream>
#include <thread>

#include "core/build_info.h"

namespace strata {
namespace {

std::string command_line;

std::string processor_name() {
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);)
    if (line.rfind("model name", 0) == 0) return line.substr(line.find(':') + 2);
  return "unknown processor";
}

}  // namespace

void set_command_line(int argc, char** argv) {
  // The program's folder says nothing about the result and may be private.
  command_line = std::filesystem::path(argv[0]).filename() == "strata-torch"
                     ? "strata"
                     : std::filesystem::path(argv[0]).filename().string();
  for (int i = 1; i < argc; ++i) command_line += std::string(" ") + argv[i];
}

std::vector<std::pair<std::string, std::string>> provenance() {
  char date[16];
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  std::strftime(date, sizeof date, "%Y-%m-%d", &utc);
  return {{"strata", build_version()},
          {"commit", build_commit()},
          {"command", command_line},
          {"machine", processor_name() + ", " +
                          std::to_string(std::thread::hardware_concurrency()) + " cores"},
          {"date", date}};
}

}  // namespace strata
