#include "data/datasets/own_split.h"

#include <algorithm>
#include <map>
#include <unordered_set>
#include <utility>

#include "strata/core/random.h"

namespace strata::data {
namespace {

constexpr std::uint64_t kSplitSeed = 1;

/// The class, then the client.
using Stratum = std::pair<std::string, std::string>;

/// The groups of every stratum, both in the order of their names.
std::map<Stratum, std::vector<std::string>> strata_of(const Manifest& manifest,
                                                      const std::vector<std::string>& groups) {
  std::map<std::string, Stratum> owners;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    const Stratum own{target_of(manifest.examples[i]), manifest.examples[i].client};
    const auto [entry, fresh] = owners.emplace(groups[i], own);
    if (!fresh) entry->second = std::min(entry->second, own);
  }
  std::map<Stratum, std::vector<std::string>> strata;
  for (const auto& [group, stratum] : owners) strata[stratum].push_back(group);
  return strata;
}

/// A fifth, rounded.
std::size_t test_share(std::size_t count) {
  return (2 * count + 5) / 10;
}

std::unordered_set<std::string> tested_groups(const Manifest& manifest,
                                              const std::vector<std::string>& groups) {
  auto strata = strata_of(manifest, groups);
  std::map<std::string, std::size_t> training;
  for (const auto& [stratum, names] : strata) training[stratum.second] += names.size();
  std::unordered_set<std::string> tested;
  std::string name;
  std::size_t seen = 0, taken = 0;
  for (auto& [stratum, names] : strata) {
    if (stratum.first != name) seen = taken = 0;
    name = stratum.first;
    Random random(derive_seed(derive_seed(kSplitSeed, stratum.first), stratum.second));
    random.shuffle(names);
    seen += names.size();
    // Rounded over the class's clients so far: many small clients have their share together.
    std::size_t& left = training[stratum.second];
    const std::size_t count = std::min({test_share(seen) - taken, names.size(), left - 1});
    tested.insert(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(count));
    taken += count;
    left -= count;
  }
  return tested;
}

}  // namespace

void split_stratified(Manifest& manifest, const std::vector<std::string>& groups) {
  const auto tested = tested_groups(manifest, groups);
  for (std::size_t i = 0; i < groups.size(); ++i)
    manifest.examples[i].split = tested.count(groups[i]) > 0 ? kTestSplit : kTrainSplit;
}

}  // namespace strata::data
