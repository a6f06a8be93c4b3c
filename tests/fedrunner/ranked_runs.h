#pragma once
// Tiny runs over LoRA pairs of rank 3 alone, whose numbers are easily counted.

#include <string>
#include <vector>

#include "catch.h"
#include "fedrunner/tiny_runs.h"
#include "strata/fedrunner/run.h"

namespace strata::test {

/// Beside a layer from 16 to 64 numbers: of a rank A has 16, B 64. Three units.
inline const std::string kPairs =
    "model.peft={lora: {rank: 3, alpha: 6, targets: [intermediate.dense]}}";
inline const std::string kUnits = "units={scheme: lora, always: []}";
constexpr double kMegabit = 32.0 / 1e6;  // of a number

struct RankedRuns : TinyRuns {
  using TinyRuns::TinyRuns;

  void run(const std::string& out, std::vector<std::string> set = {},
           const fedrunner::RunOptions& options = {}) const {
    set.insert(set.begin(), {kPairs, kUnits});
    run_experiment(dir / "tiny.yaml", set, dir / out, tools, options);
  }
  /// The line that refuses the run, of which nothing is left.
  std::string refusal(const std::vector<std::string>& set) const {
    const std::string error = error_of([&] { run("refused", set); });
    CHECK(error.find('\n') == std::string::npos);
    CHECK_FALSE(std::filesystem::exists(dir / "refused"));
    return error;
  }
};

}  // namespace strata::test
