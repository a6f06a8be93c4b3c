#include "data/fraction.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "strata/core/random.h"

namespace strata::data {

std::vector<int> nested_share(const Manifest& manifest, const std::vector<int>& examples,
                              double fraction, std::uint64_t seed) {
  std::map<std::string, std::vector<int>> by_target;
  for (const int i : examples) by_target[target_of(manifest.examples[i])].push_back(i);
  // One order for all fractions, in which the examples of every target stand at equal distances: so
  // every beginning of it has their shares.
  std::vector<std::pair<double, int>> order;
  for (auto& [target, list] : by_target) {
    Random random(derive_seed(seed, target));
    random.shuffle(list);
    for (std::size_t k = 0; k < list.size(); ++k)
      order.emplace_back((static_cast<double>(k) + 0.5) / static_cast<double>(list.size()),
                         list[k]);
  }
  std::stable_sort(order.begin(), order.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  const auto wanted =
      static_cast<std::size_t>(std::llround(fraction * static_cast<double>(order.size())));
  order.resize(std::min(order.size(), std::max<std::size_t>(wanted, 1)));
  std::vector<int> share;
  for (const auto& [place, i] : order) share.push_back(i);
  std::sort(share.begin(), share.end());
  return share;
}

HeldOut hold_out(const Manifest& manifest, const std::vector<int>& examples, double share,
                 std::uint64_t seed) {
  std::vector<int> firsts;  // of every image
  std::set<std::string> seen;
  for (const int i : examples)
    if (seen.insert(manifest.examples[i].image).second) firsts.push_back(i);
  if (firsts.size() < 2) return {examples, {}};
  std::vector<int> drawn = nested_share(manifest, firsts, share, seed);
  if (drawn.size() == firsts.size()) drawn.pop_back();
  std::set<std::string> images;
  for (const int i : drawn) images.insert(manifest.examples[i].image);
  HeldOut parts;
  for (const int i : examples)
    (images.count(manifest.examples[i].image) > 0 ? parts.held : parts.kept).push_back(i);
  return parts;
}

}  // namespace strata::data
