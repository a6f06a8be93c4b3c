#pragma once
/// \file
/// Which rank of an MPI job hosts which client (docs/cluster.md).

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace strata::fedrunner {

/// Deals clients out to the ranks from 1, longest training first, each to the rank that has least
/// to do (Graham's LPT rule: the longest rank has at most 4/3 of the least possible). A client
/// stays where it is. Rank 0 is the server's.
class Hosting {
 public:
  /// `ranks` of the job, two at least.
  explicit Hosting(std::size_t ranks) : loads_(ranks, 0) {}

  /// Clients by how long they train, in any unit; of equal ones the first by name comes first.
  void expect(const std::map<std::string, std::int64_t>& loads);
  /// A client that was not expected has the load 1.
  std::size_t rank_of(const std::string& client);

 private:
  std::size_t place(const std::string& client, std::int64_t load);

  std::vector<std::int64_t> loads_;  ///< by rank
  std::map<std::string, std::size_t> places_;
};

}  // namespace strata::fedrunner
