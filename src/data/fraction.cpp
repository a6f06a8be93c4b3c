#include "data/fraction.h"

#include <algorithm>
#include <cmath>
#include <map>
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

}  // namespace strata::data
