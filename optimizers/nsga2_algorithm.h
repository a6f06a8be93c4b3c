#pragma once
/// \file
/// NSGA-II as a pagmo user-defined algorithm on LayerProblem. Internal: pagmo's types show.

#include <cstdint>
#include <map>
#include <pagmo/population.hpp>
#include <string>
#include <tuple>
#include <vector>

#include "optimizers/layer_problem.h"
#include "strata/core/random.h"
#include "strata/optimizers/exact_front.h"

namespace strata {

/// All nondominated assignments it was shown. As Σ n² is an integer, points are kept by it, and no
/// rounding of the variance can keep two points of the same usage variance.
class FrontArchive {
 public:
  void insert(const Assignment& assignment, double importance);
  /// By ascending usage variance, objectives evaluated on `problem`.
  std::vector<FrontPoint> front(const PlanningProblem& problem) const;

 private:
  struct Entry {
    double importance;
    Assignment assignment;
  };
  std::map<std::int64_t, Entry> entries_;  // by Σ n²; importance strictly ascending
};

/// Deb et al. 2002: binary tournaments by rank and crowding distance, crossover with probability
/// 0.9, mutation, and the best `population` out of parents and offspring. The variation suits
/// assignments and keeps every row feasible:
///   crossover  per client, the units that only one parent has are paired at random, and each pair
///   is
///              exchanged with probability 1/2;
///   mutation   per client, with probability 1 / clients, one selected unit is exchanged for one
///   that is
///              not.
class Nsga2 {
 public:
  /// (generation, evaluations so far, greatest importance, least usage variance) after each
  /// generation.
  using LogLine = std::tuple<std::int64_t, std::uint64_t, double, double>;

  explicit Nsga2(std::int64_t generations = 1, std::uint64_t seed = 1);

  /// @throws std::invalid_argument unless the problem is a LayerProblem and the population a
  /// multiple of 4 and at least 8.
  pagmo::population evolve(pagmo::population population) const;
  void set_seed(unsigned seed);
  std::string get_name() const { return "Strata NSGA-II"; }

  /// Everything nondominated that `evolve` has seen, its starting population included.
  const FrontArchive& archive() const { return archive_; }
  const std::vector<LogLine>& get_log() const { return log_; }

 private:
  std::int64_t generations_;
  // pagmo's evolve is const by its interface; what evolves along is mutable in pagmo's own
  // algorithms too.
  mutable Random random_;
  mutable FrontArchive archive_;
  mutable std::vector<LogLine> log_;
};

}  // namespace strata
