#include "data/fraction.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "strata/core/random.h"

namespace strata::data {
namespace {

/// The group of every image, by the image; a patient and a lesion of one name are two groups.
std::map<std::string, std::string> image_groups(const Manifest& manifest,
                                                const std::vector<int>& examples) {
  std::map<std::string, std::string> groups;
  for (const int i : examples) {
    const Example& example = manifest.examples[i];
    if (!example.patient.empty()) {
      groups.emplace(example.image, "patient " + example.patient);
    } else if (!example.lesion.empty()) {
      groups.emplace(example.image, "lesion " + example.lesion);
    }
  }
  for (const int i : examples)
    groups.emplace(manifest.examples[i].image, "image " + manifest.examples[i].image);
  return groups;
}

}  // namespace

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
  const auto groups = image_groups(manifest, examples);
  const auto group_of = [&](int i) { return groups.at(manifest.examples[i].image); };
  std::vector<int> firsts;  // of every group
  std::set<std::string> seen;
  for (const int i : examples)
    if (seen.insert(group_of(i)).second) firsts.push_back(i);
  if (firsts.size() < 2) return {examples, {}};
  std::vector<int> drawn = nested_share(manifest, firsts, share, seed);
  if (drawn.size() == firsts.size()) drawn.pop_back();
  std::set<std::string> held;
  for (const int i : drawn) held.insert(group_of(i));
  HeldOut parts;
  for (const int i : examples) (held.count(group_of(i)) > 0 ? parts.held : parts.kept).push_back(i);
  return parts;
}

}  // namespace strata::data
