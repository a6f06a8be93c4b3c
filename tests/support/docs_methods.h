#pragma once
/// \file
/// The methods for convolutions that docs/benchmark.md has, for tests that take them.

#include <stdexcept>
#include <string>

#include "temp_dir.h"

namespace strata::test {

/// Lines that go below the `methods` of configs/peft_missed_opportunity.yaml.
inline std::string methods_in_docs() {
  const std::string text = slurp(std::string(STRATA_SOURCE_DIR) + "/docs/benchmark.md");
  const std::string fence = "```yaml\n";
  const auto first = text.find(fence + "    lora-conv:");
  if (first == std::string::npos) throw std::runtime_error("docs/benchmark.md has no lora-conv");
  const auto begin = first + fence.size();
  return text.substr(begin, text.find("```", begin) - begin);
}

}  // namespace strata::test
