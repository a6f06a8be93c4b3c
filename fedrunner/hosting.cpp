#include "fedrunner/hosting.h"

#include <algorithm>
#include <utility>

namespace strata::fedrunner {

void Hosting::expect(const std::map<std::string, std::int64_t>& loads) {
  std::vector<std::pair<std::int64_t, std::string>> longest;
  for (const auto& [client, load] : loads) longest.emplace_back(-load, client);
  std::sort(longest.begin(), longest.end());
  for (const auto& [load, client] : longest)
    if (!places_.count(client)) place(client, -load);
}

std::size_t Hosting::rank_of(const std::string& client) {
  const auto found = places_.find(client);
  return found == places_.end() ? place(client, 1) : found->second;
}

std::size_t Hosting::place(const std::string& client, std::int64_t load) {
  std::size_t least = 1;
  for (std::size_t rank = 2; rank < loads_.size(); ++rank)
    if (loads_[rank] < loads_[least]) least = rank;
  loads_[least] += load;
  return places_[client] = least;
}

}  // namespace strata::fedrunner
