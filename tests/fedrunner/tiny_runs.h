#pragma once
// Runs on the tiny data and foundation, and what they leave.

#include <map>
#include <stdexcept>
#include <string>

#include "core/console.h"
#include "fedrunner/tiny.h"
#include "strata/core/safetensors.h"
#include "strata/fedrunner/metrics.h"

namespace strata::test {

/// A folder with `data` and `foundation`, and tools for runs on them.
struct TinyRuns {
  TempDir dir;
  fedrunner::RunTools tools = tiny_tools();

  TinyRuns() {
    set_quiet(true);
    write_tiny_data(dir / "data");
    write_tiny_foundation(dir / "foundation");
  }
  /// With the experiment file tiny.yaml.
  explicit TinyRuns(const std::string& run_lines) : TinyRuns() {
    dir.write("tiny.yaml", tiny_experiment(dir, run_lines));
  }

  fedrunner::RoundMetrics row(const std::string& out, int round, const std::string& client) const {
    for (const auto& row : fedrunner::read_metrics(dir / out / "metrics.csv").rows)
      if (row.round == round && row.client == client) return row;
    throw std::runtime_error("no such row");
  }
  std::filesystem::path state_file(const std::string& out, int round) const {
    return dir / out / "state" / ("round-00" + std::to_string(round) + ".safetensors");
  }
};

/// The bytes of a file's tensors by their names.
using Tensors = std::map<std::string, std::string>;

inline Tensors tensors_of(const std::filesystem::path& file_name) {
  const SafetensorsFile file(file_name);
  Tensors found;
  for (const auto& entry : file.tensors()) {
    const auto bytes = file.bytes(entry);
    found[entry.name] = {bytes.begin(), bytes.end()};
  }
  return found;
}

/// Of the names that begin so, by the rest.
inline Tensors below(const Tensors& tensors, const std::string& begin) {
  Tensors found;
  for (const auto& [name, bytes] : tensors)
    if (name.starts_with(begin)) found[name.substr(begin.size())] = bytes;
  return found;
}

}  // namespace strata::test
