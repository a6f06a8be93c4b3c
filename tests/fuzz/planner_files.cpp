// libFuzzer's entry point for the readers of what users hand to the planner: scores.json,
// scores.csv, problem.yaml, and plan.json or an archive. The first byte says which. A reader may
// refuse with InputError; anything else (another exception, a sanitizer's report, a result that
// breaks its own invariants) is a defect.
//
// What only a long file does, such as brackets nested a hundred thousand deep, is as far from a
// mutation of a short one as can be. So the first byte's highest bit says that the rest is packed:
// in it, the byte 1, a byte n, a byte m and m bytes more stand for these m bytes 2^(n % 18) times.
//
//   fuzz_planner_files -runs=20000 -seed=1 tests/fuzz/corpus/planner_files   as the test runs it
//   fuzz_planner_files -max_total_time=3600 MY_CORPUS tests/fuzz/corpus/planner_files   by hand

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "strata/core/error.h"
#include "strata/core/plan.h"
#include "strata/core/plan_archive.h"
#include "strata/core/problem_file.h"
#include "strata/core/score_table.h"

namespace {

const std::filesystem::path& folder() {
  static const std::filesystem::path path = [] {
    // In memory where that is possible: a file a run would otherwise be what takes the time.
    const std::filesystem::path memory = "/dev/shm";
    const auto parent =
        std::filesystem::exists(memory) ? memory : std::filesystem::temp_directory_path();
    std::string pattern = (parent / "strata-fuzz-XXXXXX").string();
    if (!mkdtemp(pattern.data())) std::abort();
    std::ofstream(pattern + "/scores.csv") << "client,a,b,c\nct,1,2,3\nmri,3,2,1\n";
    std::ofstream(pattern + "/costs.csv") << "unit,bytes,flops,memory\na,1,2,3\nb,4,5,6\nc,7,8,9\n";
    static const struct Cleanup {
      std::string path;
      ~Cleanup() { std::filesystem::remove_all(path); }
    } cleanup{pattern};
    return std::filesystem::path(pattern);
  }();
  return path;
}

void require(bool holds) {
  if (!holds) std::abort();
}

void check_scores(const std::filesystem::path& path) {
  const auto table = strata::read_scores(path);
  table.validate("fuzz");
  require(strata::digest(table).size() == 64);
}

void check_plan(const std::filesystem::path& path) {
  const auto plan = strata::read_plan(path);
  require(plan.assignment.rows() == static_cast<Eigen::Index>(plan.clients.size()));
  require(plan.assignment.cols() == static_cast<Eigen::Index>(plan.units.size()));
  const std::string text = strata::plan_json(plan);
  const auto copy = folder() / "copy.json";
  std::ofstream(copy, std::ios::binary) << text;
  require(strata::plan_json(strata::read_plan(copy)) == text);
}

void check_archive(const std::filesystem::path& path) {
  const auto archive = strata::read_archive(path);
  const std::string text = strata::archive_json(archive);
  const auto copy = folder() / "copy.json";
  std::ofstream(copy, std::ios::binary) << text;
  require(strata::archive_json(strata::read_archive(copy)) == text);
  strata::PlanningProblem problem;
  problem.clients = {"mri", "ct"};
  problem.units = {"c", "a"};
  for (const auto& assignment : strata::match_archive(archive, problem, "fuzz").assignments)
    require(assignment.rows() == 2 && assignment.cols() == 2 && assignment.maxCoeff() <= 1);
}

void check_plan_or_archive(const std::filesystem::path& path) {
  try {
    check_plan(path);
  } catch (const strata::InputError&) {
    check_archive(path);
  }
}

std::string unpacked(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t kMost = (std::size_t{1} << 18) + 256;
  std::string out;
  for (std::size_t at = 0; at < size;) {
    if (data[at] != 1 || size - at < 3 || size - at - 3 < data[at + 2]) {
      out += static_cast<char>(data[at++]);
      continue;
    }
    const std::string part(reinterpret_cast<const char*>(data) + at + 3, data[at + 2]);
    const std::size_t times = std::size_t{1} << data[at + 1] % 18;
    for (std::size_t i = 0; i < times && out.size() + part.size() <= kMost; ++i) out += part;
    at += 3 + part.size();
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  static const char* const kNames[] = {"in.json", "in.csv", "problem.yaml", "plan.json"};
  const int kind = data[0] % 4;
  const auto path = folder() / kNames[kind];
  std::ofstream(path, std::ios::binary)
      << ((data[0] & 0x80) != 0 ? unpacked(data + 1, size - 1)
                                : std::string(reinterpret_cast<const char*>(data + 1), size - 1));
  try {
    if (kind < 2) check_scores(path);
    if (kind == 2) strata::load_problem({path.string(), "", "", {}, false}).problem.validate();
    if (kind == 3) check_plan_or_archive(path);
  } catch (const strata::InputError&) {
  }
  return 0;
}
